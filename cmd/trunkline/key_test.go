package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// M-10: the first organization, owner and key come from a command that needs no daemon.
func TestKeyCreate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sipgo.yaml")
	if err := os.WriteFile(file, []byte("storage: {directory: "+filepath.Join(dir, "data")+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want int
	}{
		{"on a fresh store", []string{"--name", "first"}, exitOK},
		{"a second one", []string{"--name", "second", "--org", "acme", "--role", "admin"}, exitOK},
		{"without a name", nil, exitUsage},
		{"a role that is none", []string{"--name", "x", "--role", "king"}, exitUsage},
		{"a name that is too long", []string{"--name", strings.Repeat("x", 121)}, exitError},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out, talk bytes.Buffer
			args := append([]string{"key", "create", "--config", file}, test.args...)
			if status := execute(t.Context(), args, streams{nil, &out, &talk}); status != test.want {
				t.Fatalf("exit status %d, want %d: %s", status, test.want, talk.String())
			}
			if ok := regexp.MustCompile(`^sk_live_[0-9a-f]{44}\n$`).MatchString(out.String()); ok != (test.want == exitOK) {
				t.Errorf("stdout: %q", out.String())
			}
			if strings.Contains(talk.String(), strings.TrimSpace(out.String())) && out.Len() > 0 {
				t.Error("the key stands on stderr too")
			}
		})
	}
}
