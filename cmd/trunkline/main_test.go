package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// command runs one command line and returns what it did.
func command(t *testing.T, args ...string) (status int, out, talk string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a daemon that starts after all must not run for ever
	defer cancel()
	status = execute(ctx, args, streams{strings.NewReader(""), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func TestExitStatusOfCommandLines(t *testing.T) {
	good := writeFile(t, "good.yaml", "http: {listen: 127.0.0.1:8081}\n")
	bad := writeFile(t, "bad.yaml", "sip:\n  lisen: []\nnumbers:\n  - {number: 15550001234, trunk: nobody}\n")
	for _, test := range []struct {
		name string
		args []string
		want int
		out  string // part of stdout
		talk string // part of stderr
	}{
		{"no command prints help", nil, exitOK, "serve", ""},
		{"an unknown command", []string{"sreve"}, exitUsage, "", `unknown command "sreve"`},
		{"an unknown command of a group", []string{"config", "validat"}, exitUsage, "", `unknown command "validat"`},
		{"an unknown flag", []string{"serve", "--confg", "x"}, exitUsage, "", "unknown flag: --confg"},
		{"an argument nobody reads", []string{"serve", "sipgo.yaml"}, exitUsage, "", `unexpected argument "sipgo.yaml"`},
		{"an output nobody knows", []string{"version", "-o", "xml"}, exitUsage, "", "allowed are text and json"},
		{"a valid file", []string{"config", "validate", "--config", good}, exitOK, "", "is valid"},
		{"a file with mistakes", []string{"config", "validate", "--config", bad}, exitCheckFailed, "bad.yaml:2: sip.lisen", "mistakes"},
		{"a file that is not there", []string{"config", "validate", "--config", "nowhere.yaml"}, exitError, "", "nowhere.yaml: no such file"},
		{"serve with mistakes", []string{"serve", "--config", bad}, exitError, "", "bad.yaml:2: sip.lisen"},
		{"serve without a file", []string{"serve", "--config", "nowhere.yaml"}, exitError, "", "nowhere.yaml: no such file"},
		{"an unknown log format", []string{"serve", "--config", good, "--log-format", "xml"}, exitUsage, "", `log format "xml"`},
		{"print", []string{"config", "print", "--config", good}, exitOK, "127.0.0.1:8081", ""},
		{"nobody to ask for health", []string{"healthcheck", "--url", "http://127.0.0.1:1/readyz"}, exitCheckFailed, "", "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, out, talk := command(t, test.args...)
			if status != test.want {
				t.Errorf("status %d, want %d\nstdout: %s\nstderr: %s", status, test.want, out, talk)
			}
			if !strings.Contains(out, test.out) {
				t.Errorf("stdout lacks %q:\n%s", test.out, out)
			}
			if !strings.Contains(talk, test.talk) {
				t.Errorf("stderr lacks %q:\n%s", test.talk, talk)
			}
		})
	}
}

func TestVersionIsStableJSON(t *testing.T) {
	_, out, _ := command(t, "version", "-o", "json")
	var got map[string]string
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, key := range []string{"version", "commit", "go"} {
		if got[key] == "" {
			t.Errorf("%s is missing in %s", key, out)
		}
	}
}

func TestSchemaIsJSON(t *testing.T) {
	status, out, _ := command(t, "config", "schema")
	if status != exitOK || !json.Valid([]byte(out)) {
		t.Errorf("status %d: %.200s", status, out)
	}
}

func TestReadyURLAsksTheHostItself(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:8080":   "http://127.0.0.1:8080/readyz",
		":8080":            "http://127.0.0.1:8080/readyz",
		"0.0.0.0:8080":     "http://127.0.0.1:8080/readyz",
		"[::]:8080":        "http://[::1]:8080/readyz",
		"[2001:db8::1]:80": "http://[2001:db8::1]:80/readyz",
	} {
		if got, err := daemonURL(listen, "/readyz"); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", listen, got, err, want)
		}
	}
	if _, err := daemonURL("", "/readyz"); err == nil {
		t.Error("without http.listen there is nobody to ask, but no error")
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
