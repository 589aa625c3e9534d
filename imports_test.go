package trunkline

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "trunkline"

// mayImport lists, for each top folder, the top folders of ours its packages may import.
// Dependencies go one way: cmd → api → sip → media, trunks; store → trunks; config is a leaf.
var mayImport = map[string][]string{
	"cmd":      {"api", "sip", "media", "trunks", "store", "config", "internal"},
	"api":      {"sip", "trunks", "store", "config"},
	"sip":      {"media", "trunks", "config"},
	"store":    {"trunks", "config"},
	"trunks":   {"config"},
	"media":    {"config"},
	"config":   {},
	"internal": {"api", "sip", "media", "trunks", "store", "config"},
	"bench":    {"api", "sip", "media", "trunks", "store", "config", "internal"},
}

// engineOrder is the order of the engine: a package imports only what stands before it.
var engineOrder = []string{"sip/wire", "sip/transport", "sip/transaction", "sip/dialog", "sip"}

// pure packages decide and do nothing else: no socket, no file, no clock, no log.
var pure = []string{"sip/call", "sip/rewrite"}

// TestImports fails with a sentence that names the broken rule and the file that breaks it.
func TestImports(t *testing.T) {
	for _, file := range sourceFiles(t) {
		for _, imported := range file.imports {
			for _, broken := range brokenRules(file, imported) {
				t.Errorf("%s imports %s: %s", file.path, imported, broken)
			}
		}
	}
}

// TestImportRules shows each rule at work on made-up files, so that a rule which never fires is noticed.
func TestImportRules(t *testing.T) {
	for _, test := range []struct {
		name, file, imported string
		broken               string // part of the sentence; empty: allowed
	}{
		{"sip does not know the store", "sip/edge.go", "trunkline/store", "sip may import only media, trunks, config"},
		{"sip does not know the API", "sip/edge.go", "trunkline/api", "sip may import only"},
		{"media does not know SIP messages", "media/relay.go", "trunkline/sip/wire", "media may import only config"},
		{"trunks do not know SIP messages", "trunks/choose.go", "trunkline/sip", "trunks may import only config"},
		{"config is a leaf", "config/load.go", "trunkline/trunks", "config is a leaf"},
		{"nobody imports a command", "api/server.go", "trunkline/cmd/trunkline", "api may import only"},
		{"the daemon's parts do not lean on test helpers", "sip/edge.go", "trunkline/internal/siptest", "sip may import only"},
		{"a test may lean on test helpers", "sip/edge_test.go", "trunkline/internal/siptest", ""},
		{"wire stands below transport", "sip/wire/scan.go", "trunkline/sip/transport", "the engine's order is"},
		{"transaction stands above transport", "sip/transaction/layer.go", "trunkline/sip/transport", ""},
		{"dialog does not reach up to the edge", "sip/dialog/dialog.go", "trunkline/sip", "the engine's order is"},
		{"sipgo stays below sip and internal", "api/server.go", "github.com/emiago/sipgo/sip", "sipgo is imported only"},
		{"sipgo is welcome in the carrier", "internal/carrier/carrier.go", "github.com/emiago/sipgo", ""},
		{"pion stays below media", "sip/sdp.go", "github.com/pion/sdp/v3", "pion is imported only"},
		{"SQL stays in the store", "api/calls.go", "database/sql", "SQL is spoken only"},
		{"the driver stays in the store", "cmd/trunkline/main.go", "github.com/mattn/go-sqlite3", "SQL is spoken only"},
		{"Prometheus stays in metrics.go", "sip/edge.go", "github.com/prometheus/client_golang/prometheus", "metrics.go"},
		{"metrics.go may use Prometheus", "sip/metrics.go", "github.com/prometheus/client_golang/prometheus", ""},
		{"the call machine has no clock of its own or socket", "sip/call/call.go", "net", "is pure"},
		{"the call machine does not log", "sip/call/call.go", "log/slog", "is pure"},
		{"the call machine may name addresses", "sip/call/call.go", "net/netip", ""},
		{"a new top folder needs a place in the design", "helpers/x.go", "trunkline/config", "no place in the layout"},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := path.Dir(test.file)
			got := brokenRules(sourceFile{path: test.file, folder: folder, test: strings.HasSuffix(test.file, "_test.go")}, test.imported)
			switch {
			case test.broken == "" && len(got) > 0:
				t.Errorf("refused: %q", got)
			case test.broken != "" && !strings.Contains(strings.Join(got, "\n"), test.broken):
				t.Errorf("got %q, want a sentence with %q", got, test.broken)
			}
		})
	}
}

type sourceFile struct {
	path    string // slash-separated, from the root
	folder  string // of its package
	test    bool
	imports []string
}

// brokenRules returns a sentence for each rule that file breaks by importing imported.
func brokenRules(file sourceFile, imported string) []string {
	var broken []string
	if ours, ok := strings.CutPrefix(imported, module+"/"); ok {
		broken = append(broken, brokenLayering(file, ours)...)
	}
	top := topFolder(file.folder)
	if under(imported, "github.com/emiago/sipgo") && top != "sip" && top != "internal" {
		broken = append(broken, "sipgo is imported only below sip/ and in internal/")
	}
	if strings.HasPrefix(imported, "github.com/pion/") && top != "media" {
		broken = append(broken, "pion is imported only below media/")
	}
	if isSQL(imported) && top != "store" {
		broken = append(broken, "SQL is spoken only in store/")
	}
	if strings.HasPrefix(imported, "github.com/prometheus/") && !file.test && path.Base(file.path) != "metrics.go" {
		broken = append(broken, "Prometheus is imported only in files named metrics.go")
	}
	if slices.Contains(pure, file.folder) && !file.test && isEffect(imported) {
		broken = append(broken, file.folder+" is pure: it decides, and neither does I/O nor logs")
	}
	return broken
}

// brokenLayering checks an import of one of our own packages, named by its folder.
func brokenLayering(file sourceFile, ours string) []string {
	from, to := topFolder(file.folder), topFolder(ours)
	allowed, known := mayImport[from]
	switch {
	case from == ".": // the root's tests look at everything
		return nil
	case !known:
		return []string{fmt.Sprintf("folder %s has no place in the layout of docs/architecture.md", from)}
	case file.test && to == "internal":
		return nil
	case from != to && !slices.Contains(allowed, to) && len(allowed) == 0:
		return []string{from + " is a leaf: it imports none of our packages"}
	case from != to && !slices.Contains(allowed, to):
		return []string{fmt.Sprintf("%s may import only %s of our folders", from, strings.Join(allowed, ", "))}
	}
	at, wants := slices.Index(engineOrder, file.folder), slices.Index(engineOrder, ours)
	if at >= 0 && wants > at {
		return []string{"the engine's order is " + strings.Join(engineOrder, " ◄ ") + ", and a package imports only what stands before it"}
	}
	return nil
}

func topFolder(folder string) string {
	top, _, _ := strings.Cut(folder, "/")
	return top
}

func under(imported, root string) bool {
	return imported == root || strings.HasPrefix(imported, root+"/")
}

func isSQL(imported string) bool {
	return under(imported, "database/sql") || under(imported, "github.com/mattn/go-sqlite3") || under(imported, "github.com/pressly/goose/v3")
}

func isEffect(imported string) bool {
	return slices.Contains([]string{"net", "os", "os/exec", "net/http", "log", "log/slog", "syscall", "io/fs", "database/sql"}, imported)
}

// sourceFiles lists every Go file of the module with its imports, those of other platforms and of tests included.
func sourceFiles(t *testing.T) []sourceFile {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "list", "-e", "-json=Dir,GoFiles,CgoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var files []sourceFile
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var listed struct {
			Dir                                                          string
			GoFiles, CgoFiles, IgnoredGoFiles, TestGoFiles, XTestGoFiles []string
		}
		if err := decoder.Decode(&listed); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		folder, err := filepath.Rel(root, listed.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(listed.GoFiles, listed.CgoFiles, listed.IgnoredGoFiles, listed.TestGoFiles, listed.XTestGoFiles) {
			files = append(files, readImports(t, filepath.ToSlash(folder), name))
		}
	}
	if len(files) == 0 {
		t.Fatal("go list named no file: the rules would hold for want of anything to check")
	}
	return files
}

func readImports(t *testing.T, folder, name string) sourceFile {
	t.Helper()
	file := sourceFile{path: path.Join(folder, name), folder: folder, test: strings.HasSuffix(name, "_test.go")}
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file.path), nil, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", file.path, err)
		return file
	}
	for _, spec := range parsed.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Errorf("%s: %v", file.path, err)
			continue
		}
		file.imports = append(file.imports, imported)
	}
	return file
}
