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
		{"without a name it is the default key", nil, exitOK},
		{"a role that is none", []string{"--name", "x", "--role", "king"}, exitUsage},
		{"a name that is too long", []string{"--name", strings.Repeat("x", 121)}, exitUsage},
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

// What an operator does with keys and databases, on the files alone.
func TestKeysAndDatabasesWithoutADaemon(t *testing.T) {
	dir := t.TempDir()
	run := func(want int, args ...string) string {
		t.Helper()
		var out, talk bytes.Buffer
		if status := execute(t.Context(), append(args, "--directory", dir), streams{nil, &out, &talk}); status != want {
			t.Fatalf("%q: exit status %d, want %d: %s%s", args, status, want, out.String(), talk.String())
		}
		return out.String()
	}
	run(exitError, "db", "check") // there is none
	raw := strings.TrimSpace(run(exitOK, "key", "create", "--org", "acme"))
	run(exitOK, "key", "create", "--org", "other", "--role", "member")
	run(exitUsage, "key", "list") // there are two organizations
	listed := run(exitOK, "key", "list", "--org", "acme", "-o", "json")
	id := regexp.MustCompile(`"id": "([0-9a-f-]{36})"`).FindStringSubmatch(listed)
	if id == nil || strings.Contains(listed, raw) || !strings.Contains(listed, raw[:15]) || !strings.Contains(listed, `"is_active": true`) {
		t.Fatalf("list: %s", listed)
	}
	run(exitNotFound, "key", "revoke", id[1], "--org", "other") // another organization's key does not exist
	run(exitOK, "key", "revoke", id[1], "--org", "acme")
	run(exitOK, "key", "revoke", id[1], "--org", "acme")
	if listed := run(exitOK, "key", "list", "--org", "acme", "-o", "yaml"); !strings.Contains(listed, "is_active: false") {
		t.Errorf("after revoking: %s", listed)
	}
	if table := run(exitOK, "key", "list", "--org", "acme"); !strings.Contains(table, "REVOKED") || !strings.Contains(table, id[1]) {
		t.Errorf("table: %s", table)
	}

	if shown := run(exitOK, "db", "migrate"); !strings.Contains(shown, "trunkline.db: schema ") || !strings.Contains(shown, "records.db: schema ") {
		t.Errorf("migrate: %s", shown)
	}
	run(exitOK, "db", "check")
	run(exitOK, "db", "rotate-keys")
	run(exitOK, "db", "check")
	copied := filepath.Join(dir, "copy.db")
	run(exitOK, "db", "backup", copied)
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("backup: %v %v", info, err)
	}
	run(exitError, "db", "backup", copied) // nothing is replaced
	if err := os.Remove(filepath.Join(dir, "keyring.json")); err != nil {
		t.Fatal(err)
	}
	if found := run(exitCheckFailed, "db", "check"); !strings.Contains(found, "keyring.json") {
		t.Errorf("without the key ring: %s", found)
	}
	run(exitError, "key", "list", "--org", "acme")
}
