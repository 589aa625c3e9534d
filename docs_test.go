package trunkline

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	behaviourRow = regexp.MustCompile(`(?m)^\| ([A-Z][A-Z0-9]*-\d+) \|`)
	citedTest    = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*(?:/[\w./-]+)?`)
	citedFlow    = regexp.MustCompile(`[\w./-]+\.txtar\b`)
)

// TestRFCTable keeps docs/rfc.md true: each behaviour once, a state we know, and every test it cites in the tree.
func TestRFCTable(t *testing.T) {
	tree := readTestTree(t)
	behaviours, rows := readFile(t, "docs/behaviours.md"), readFile(t, "docs/rfc.md")
	for _, fault := range faultsInRFCTable(behaviours, rows, tree) {
		t.Error(fault)
	}
}

// TestTrapsTable keeps docs/traps.md true: twenty traps, each with tests that are in the tree.
func TestTrapsTable(t *testing.T) {
	tree := readTestTree(t)
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| ([^|]*) \|$`).FindAllStringSubmatch(readFile(t, "docs/traps.md"), -1)
	if len(rows) != 20 {
		t.Fatalf("%d traps in docs/traps.md, want 20", len(rows))
	}
	for _, row := range rows {
		cited := append(citedTest.FindAllString(row[2], -1), citedFlow.FindAllString(row[2], -1)...)
		if len(cited) == 0 {
			t.Errorf("trap %s cites no test", row[1])
		}
		for _, name := range cited {
			if !tree.has(name) {
				t.Errorf("trap %s cites %s, which is not in the tree", row[1], name)
			}
		}
	}
}

// TestRFCTableNoticesFaults feeds the check pages that are wrong on purpose.
func TestRFCTableNoticesFaults(t *testing.T) {
	tree := testTree{
		tests: map[string]string{"TestScan": "scan_test.go"},
		names: map[string]string{"scan_test.go": `t.Run("two Via headers", …)`},
		flows: []string{"testdata/flows/caller-cancels.txtar"},
	}
	const behaviours = "| PAR-01 | – | folding | P0 |\n| PAR-02 | – | bad request | P1 |\n"
	for _, test := range []struct {
		name, rows string
		want       string // part of the one fault; empty: none
	}{
		{"an id without a row", "| PAR-01 | done | TestScan |\n", "PAR-02 has no row"},
		{"an id with two rows", "| PAR-01 | done | TestScan |\n| PAR-02 | done | TestScan |\n| PAR-02 | done | TestScan |\n", "PAR-02 has 2 rows"},
		{"an id nobody defined", "| PAR-01 | done | TestScan |\n| PAR-02 | done | TestScan |\n| PAR-99 | done | TestScan |\n", "PAR-99 is not in"},
		{"a state of its own", "| PAR-01 | soon | TestScan |\n| PAR-02 | done | TestScan |\n", `state "soon"`},
		{"done without a test", "| PAR-01 | done | it works |\n| PAR-02 | done | TestScan |\n", "PAR-01 is done but cites no test"},
		{"not yet without what is missing", "| PAR-01 | not yet | |\n| PAR-02 | done | TestScan |\n", "PAR-01 does not say what is missing"},
		{"a test that is gone", "| PAR-01 | done | TestGone |\n| PAR-02 | done | TestScan |\n", "TestGone, which is not in the tree"},
		{"a subtest that is gone", "| PAR-01 | done | TestScan/three_Vias |\n| PAR-02 | done | TestScan |\n", "TestScan/three_Vias, which is not in the tree"},
		{"a flow that is gone", "| PAR-01 | done | callee-cancels.txtar |\n| PAR-02 | done | TestScan |\n", "callee-cancels.txtar, which is not in the tree"},
		{"a page without fault", "| PAR-01 | done | TestScan/two_Via_headers, `caller-cancels.txtar` |\n| PAR-02 | partly | no 505 |\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := faultsInRFCTable(behaviours, test.rows, tree)
			if test.want == "" && len(got) > 0 {
				t.Fatalf("faults in a good page: %q", got)
			}
			if test.want != "" && (len(got) != 1 || !strings.Contains(got[0], test.want)) {
				t.Fatalf("got %q, want one fault with %q", got, test.want)
			}
		})
	}
}

// faultsInRFCTable compares the rows of docs/rfc.md with the ids of docs/behaviours.md and the tests of the tree.
func faultsInRFCTable(behaviours, page string, tree testTree) []string {
	var faults []string
	known := map[string]int{} // id → rows seen
	var order []string
	for _, match := range behaviourRow.FindAllStringSubmatch(behaviours, -1) {
		if _, twice := known[match[1]]; twice {
			faults = append(faults, match[1]+" stands twice in docs/behaviours.md")
			continue
		}
		known[match[1]] = 0
		order = append(order, match[1])
	}
	for line := range strings.Lines(page) {
		match := behaviourRow.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		id := match[1]
		if _, ok := known[id]; !ok {
			faults = append(faults, id+" is not in docs/behaviours.md")
			continue
		}
		known[id]++
		faults = append(faults, faultsInRow(id, line, tree)...)
	}
	for _, id := range order {
		switch rows := known[id]; rows {
		case 0:
			faults = append(faults, id+" has no row in docs/rfc.md")
		case 1:
		default:
			faults = append(faults, fmt.Sprintf("%s has %d rows in docs/rfc.md", id, rows))
		}
	}
	return faults
}

func faultsInRow(id, line string, tree testTree) []string {
	cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	if len(cells) != 3 {
		return []string{fmt.Sprintf("%s has %d cells, want id, state and evidence", id, len(cells))}
	}
	state, evidence := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
	cited := append(citedTest.FindAllString(evidence, -1), citedFlow.FindAllString(evidence, -1)...)
	var faults []string
	switch state {
	case "done":
		if len(cited) == 0 {
			faults = append(faults, id+" is done but cites no test or flow file")
		}
	case "partly", "not yet":
		if evidence == "" {
			faults = append(faults, id+" does not say what is missing")
		}
	default:
		faults = append(faults, fmt.Sprintf("%s has state %q, want done, partly or not yet", id, state))
	}
	for _, name := range cited {
		if !tree.has(name) {
			faults = append(faults, fmt.Sprintf("%s cites %s, which is not in the tree", id, name))
		}
	}
	return faults
}

// testTree is what a page may cite.
type testTree struct {
	tests map[string]string // TestName → the file that declares it
	names map[string]string // test file → its text, where the names of subtests stand
	flows []string          // flow files, slash-separated from the root
}

// has reports whether name is a test, a subtest whose name stands in its package's test files, or a flow file.
func (tree testTree) has(name string) bool {
	if strings.HasSuffix(name, ".txtar") {
		return slices.ContainsFunc(tree.flows, func(flow string) bool {
			return flow == name || strings.HasSuffix(flow, "/"+name)
		})
	}
	name, sub, nested := strings.Cut(name, "/")
	file, ok := tree.tests[name]
	if !ok || !nested {
		return ok
	}
	folder := filepath.Dir(file)
	for other, text := range tree.names {
		if filepath.Dir(other) == folder && mentionsSubtest(text, sub) {
			return true
		}
	}
	// Flows and other files of test data give their names to subtests.
	return slices.ContainsFunc(tree.flows, func(flow string) bool {
		return strings.TrimSuffix(filepath.Base(flow), ".txtar") == filepath.Base(sub)
	})
}

// mentionsSubtest looks for each part of a subtest's name as go test prints it: spaces stand as underscores.
func mentionsSubtest(text, sub string) bool {
	text = strings.ReplaceAll(text, " ", "_")
	for part := range strings.SplitSeq(sub, "/") {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// readTestTree walks the module for test functions, their files and flow files.
func readTestTree(t *testing.T) testTree {
	t.Helper()
	tree := testTree{tests: map[string]string{}, names: map[string]string{}}
	declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != ".":
			return filepath.SkipDir
		case strings.HasSuffix(path, ".txtar"):
			tree.flows = append(tree.flows, filepath.ToSlash(path))
		case strings.HasSuffix(path, "_test.go"):
			text := readFile(t, path)
			tree.names[path] = text
			for _, match := range declared.FindAllStringSubmatch(text, -1) {
				tree.tests[match[1]] = path
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
