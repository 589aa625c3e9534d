package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzLoad: whatever the file holds, Load ends, and what it accepts it prints so that it reads back the same.
func FuzzLoad(f *testing.F) {
	text, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text), "")
	f.Add(full, "TRUNKLINE_DRAIN__DEADLINE=90s")
	names, err := filepath.Glob("../testdata/badconfig/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		body, env := "", ""
		for _, file := range archive.Files {
			switch file.Name {
			case "sipgo.yaml":
				body = string(file.Data)
			case "env":
				env = string(file.Data)
			}
		}
		f.Add(body, env)
	}
	f.Add("sip: &b {<<: *b, <<: *b, <<: *b, <<: *b, <<: *b, <<: *b, <<: *b, <<: *b, <<: *b}\n", "")
	f.Add("trunks: &a [*a]\nsip: {<<: [*a]}\n", "TRUNKLINE_TRUNKS=[*a]")
	f.Fuzz(func(t *testing.T, body, env string) {
		vars := append(strings.Split(env, "\n"), bodyVariable+"="+body)
		c, err := Load("", vars)
		if err != nil {
			return
		}
		printed := string(c.YAML())
		again, err := Load("", []string{bodyVariable + "=" + printed})
		for i := range again.Trunks {
			again.Trunks[i].AuthPassword = c.Trunks[i].AuthPassword
		}
		if err != nil && !strings.Contains(err.Error(), "auth_password") {
			t.Fatalf("printed configuration is refused: %v\n%s", err, printed)
		}
		if changes := Diff(c, again); err == nil && !changes.Empty() {
			t.Fatalf("printed configuration differs: %+v\n%s", changes, printed)
		}
	})
}
