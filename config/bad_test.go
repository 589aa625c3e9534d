package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the want parts of testdata/badconfig")

// TestBadConfig pins the wording of each mistake. A file of testdata/badconfig holds sipgo.yaml, files it names, an env
// with one variable a line, and in want the whole message.
func TestBadConfig(t *testing.T) {
	names, err := filepath.Glob("../testdata/badconfig/*.txtar")
	if err != nil || len(names) < 25 {
		t.Fatalf("found %d files: %v", len(names), err)
	}
	for _, name := range names {
		absolute, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { runBad(t, absolute) })
	}
}

func runBad(t *testing.T, name string) {
	archive, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	var env []string
	want, wantAt := "", -1
	for i, file := range archive.Files {
		switch file.Name {
		case "env":
			env = strings.Split(strings.TrimSpace(string(file.Data)), "\n")
		case "want":
			want, wantAt = strings.TrimSpace(string(file.Data)), i
		default:
			if err := os.WriteFile(file.Name, file.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err = Load("sipgo.yaml", env)
	if err == nil {
		t.Fatal("no mistake was found")
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is told:\n%v", err)
	}
	if got := err.Error(); got != want {
		if !*update {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
		if wantAt < 0 {
			archive.Files = append(archive.Files, txtar.File{Name: "want"})
			wantAt = len(archive.Files) - 1
		}
		archive.Files[wantAt].Data = []byte(got + "\n")
		if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
