package trunkline

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	behaviourRow = regexp.MustCompile(`(?m)^\| ([A-Z][A-Z0-9]*-\d+) \|`)
	trapRow      = regexp.MustCompile(`(?m)^\| (\d+) \|`)
	citedTest    = regexp.MustCompile(`(?:\b[a-z]\w*\.)?\b(?:Test|Fuzz)[A-Z]\w*(?:/[\w./-]+)?`)
	citedFile    = regexp.MustCompile(`[\w.*-]+\.(?:txtar|txt)\b`) // a star stands for any text
	idInName     = regexp.MustCompile(`^([A-Z][A-Z0-9]*-\d+)-`)
	confession   = regexp.MustCompile(`(?i)\b(?:not yet|missing|no test|not built|not tested)\b`)
)

// TestRFCTable keeps docs/rfc.md true: each behaviour once, a state we know, every test it cites in the tree and run by
// make test, and every flow and conversation named after a behaviour cited in its row.
func TestRFCTable(t *testing.T) {
	tree := readTestTree(t)
	behaviours, rows := readFile(t, "docs/behaviours.md"), readFile(t, "docs/rfc.md")
	for _, fault := range faultsInRFCTable(behaviours, rows, tree) {
		t.Error(fault)
	}
}

// TestAPITable keeps docs/api.md true: each line of the contract once, with a test of that name in the tree.
func TestAPITable(t *testing.T) {
	for _, fault := range faultsInAPITable(readFile(t, "docs/api.md"), readTestTree(t)) {
		t.Error(fault)
	}
}

// TestTrapsTable keeps docs/traps.md true: the twenty traps in order, each with tests that are in the tree.
func TestTrapsTable(t *testing.T) {
	for _, fault := range faultsInTrapsTable(readFile(t, "docs/traps.md"), 20, readTestTree(t)) {
		t.Error(fault)
	}
}

var relativeLink = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)

// TestLinks: what a page of the project links to is in the tree.
func TestLinks(t *testing.T) {
	err := filepath.WalkDir(".", func(page string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(page) != ".md" {
			return err
		}
		for _, link := range relativeLink.FindAllStringSubmatch(readFile(t, page), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRFCTableNoticesFaults feeds the check pages that are wrong on purpose.
func TestRFCTableNoticesFaults(t *testing.T) {
	tree := exampleTree
	const behaviours = "| PAR-01 | – | folding | P0 |\n| PAR-02 | – | bad request | P1 |\n"
	const second = "| PAR-02 | done | PAR-02-answered.txtar, PAR-02-said.txt |\n"
	for _, test := range []struct {
		name, rows string
		want       string // part of the one fault; empty: none
	}{
		{"an id with two rows", "| PAR-01 | done | TestScan |\n" + second + "| PAR-02 | done | TestScan, PAR-02-answered.txtar, PAR-02-said.txt |\n", "PAR-02 has 2 rows"},
		{"an id nobody defined", "| PAR-01 | done | TestScan |\n" + second + "| PAR-99 | done | TestScan |\n", "PAR-99 is not in"},
		{"a state of its own", "| PAR-01 | soon | TestScan |\n" + second, `state "soon"`},
		{"done without a test", "| PAR-01 | done | it works |\n" + second, "PAR-01 is done but cites no test"},
		{"done, and something is missing", "| PAR-01 | done | TestScan; folding is missing |\n" + second, `PAR-01 is done but says "missing"`},
		{"partly without a test", "| PAR-01 | partly | no folding |\n" + second, "PAR-01 is partly done but cites no test"},
		{"partly without what is missing", "| PAR-01 | partly | TestScan |\n" + second, "PAR-01 does not say what is missing"},
		{"not yet without what is missing", "| PAR-01 | not yet | |\n" + second, "PAR-01 does not say what is missing"},
		{"a test that is gone", "| PAR-01 | done | TestGone |\n" + second, "TestGone, which is not in the tree"},
		{"a subtest that is gone", "| PAR-01 | done | TestScan/three_Vias |\n" + second, "TestScan/three_Vias, which is not in the tree"},
		{"the end of a subtest's name", "| PAR-01 | done | TestScan/Via_headers |\n" + second, "TestScan/Via_headers, which is not in the tree"},
		{"a test of another package's name", "| PAR-01 | done | call.TestScan |\n" + second, "call.TestScan, which is not in the tree"},
		{"a name that two packages have", "| PAR-01 | done | TestTwice |\n" + second, "TestTwice, which two packages have: name it api.TestTwice or sip.TestTwice"},
		{"a test that a tag keeps out", "| PAR-01 | done | TestTagged |\n" + second, "TestTagged, which make test does not run"},
		{"a flow that is gone", "| PAR-01 | done | callee-cancels.txtar |\n" + second, "callee-cancels.txtar, which is not in the tree"},
		{"flows that are gone", "| PAR-01 | done | PAR-01-*.txtar |\n" + second, "PAR-01-*.txtar, which is not in the tree"},
		{"a flow that nobody plays", "| PAR-01 | done | taken.txtar |\n" + second, "taken.txtar, which is not in the tree"},
		{"a flow of the behaviour left out", "| PAR-01 | done | TestScan |\n| PAR-02 | done | PAR-02-said.txt |\n", "PAR-02 does not cite PAR-02-answered.txtar"},
		{"a page without fault", "| PAR-01 | done | TestScan/two_Via_headers, TestScan/PAR-01, sip.TestTwice, `caller-cancels.txtar` |\n" + second, ""},
		{"all flows of a behaviour", "| PAR-01 | done | TestScan |\n| PAR-02 | done | PAR-02-*.txtar, PAR-02-*.txt |\n", ""},
		{"parts of a page without fault", "| PAR-01 | partly | TestScan: no 505 |\n" + second, ""},
	} {
		t.Run(test.name, func(t *testing.T) { wantFault(t, faultsInRFCTable(behaviours, test.rows, tree), test.want) })
	}
	t.Run("an id without a row", func(t *testing.T) {
		wantFault(t, faultsInRFCTable("| PAR-01 | – | folding | P0 |\n", "", testTree{}), "PAR-01 has no row")
	})
}

func TestTrapsTableNoticesFaults(t *testing.T) {
	for _, test := range []struct{ name, rows, want string }{
		{"one is left out", "| 1 | a | b | TestScan |\n", "trap 2 has no row"},
		{"one is there twice", "| 1 | a | b | TestScan |\n| 2 | a | b | TestScan |\n| 2 | a | b | TestScan |\n", "trap 2 has 2 rows"},
		{"no test", "| 1 | a | b | it works |\n| 2 | a | b | TestScan |\n", "trap 1 cites no test"},
		{"no remedy", "| 1 | a | | TestScan |\n| 2 | a | b | TestScan |\n", "trap 1 has an empty cell"},
		{"a test that is gone", "| 1 | a | b | TestGone |\n| 2 | a | b | TestScan |\n", "TestGone, which is not in the tree"},
		{"a page without fault", "| 1 | a | b | TestScan |\n| 2 | a | b | PAR-02-answered.txtar |\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) { wantFault(t, faultsInTrapsTable(test.rows, 2, exampleTree), test.want) })
	}
}

var exampleTree = testTree{
	tests: map[string][]testFunc{
		"TestScan": {{pkg: "sip"}}, "TestTwice": {{pkg: "api"}, {pkg: "sip"}}, "TestTagged": {{pkg: "sip", tagged: true}},
	},
	names: map[string][]string{"sip": {"two Via headers", "PAR-01/folding"}},
	files: []string{"testdata/flows/caller-cancels.txtar", "testdata/flows/PAR-02-answered.txtar", "sip/call/testdata/PAR-02-said.txt", "testdata/badconfig/taken.txtar"},
}

func wantFault(t *testing.T, got []string, want string) {
	t.Helper()
	if want == "" && len(got) > 0 {
		t.Fatalf("faults in a good page: %q", got)
	}
	if want != "" && (len(got) != 1 || !strings.Contains(got[0], want)) {
		t.Fatalf("got %q, want one fault with %q", got, want)
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
	cells := cellsOf(line)
	if len(cells) != 3 {
		return []string{fmt.Sprintf("%s has %d cells, want id, state and evidence", id, len(cells))}
	}
	state, evidence := cells[1], cells[2]
	cited := citations(evidence)
	var faults []string
	switch state {
	case "done":
		if len(cited) == 0 {
			faults = append(faults, id+" is done but cites no test or flow file")
		} else if word := confession.FindString(citedFile.ReplaceAllString(evidence, "")); word != "" {
			faults = append(faults, fmt.Sprintf("%s is done but says %q", id, word))
		}
	case "partly":
		if len(cited) == 0 {
			faults = append(faults, id+" is partly done but cites no test or flow file")
		} else if _, missing, ok := strings.Cut(evidence, ": "); !ok || missing == "" {
			faults = append(faults, id+" does not say what is missing")
		}
	case "not yet":
		if evidence == "" {
			faults = append(faults, id+" does not say what is missing")
		}
	default:
		faults = append(faults, fmt.Sprintf("%s has state %q, want done, partly or not yet", id, state))
	}
	for _, name := range cited {
		if wrong := tree.wrong(name); wrong != "" {
			faults = append(faults, fmt.Sprintf("%s cites %s, which %s", id, name, wrong))
		}
	}
	for _, file := range tree.files {
		name := path.Base(file)
		of := idInName.FindStringSubmatch(name)
		if of != nil && of[1] == id && played(file) && !slices.ContainsFunc(cited, func(c string) bool { return covers(c, file) }) {
			faults = append(faults, fmt.Sprintf("%s does not cite %s", id, name))
		}
	}
	return faults
}

// faultsInTrapsTable wants the traps from 1 on, each once: number, trap, what is done about it, tests.
func faultsInTrapsTable(page string, traps int, tree testTree) []string {
	var faults []string
	seen := map[string]int{}
	for line := range strings.Lines(page) {
		match := trapRow.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		id := match[1]
		seen[id]++
		cells := cellsOf(line)
		if len(cells) != 4 {
			faults = append(faults, fmt.Sprintf("trap %s has %d cells, want number, trap, remedy and tests", id, len(cells)))
			continue
		}
		if slices.Contains(cells, "") {
			faults = append(faults, fmt.Sprintf("trap %s has an empty cell", id))
		}
		cited := citations(cells[3])
		if len(cited) == 0 {
			faults = append(faults, fmt.Sprintf("trap %s cites no test or flow file", id))
		}
		for _, name := range cited {
			if wrong := tree.wrong(name); wrong != "" {
				faults = append(faults, fmt.Sprintf("trap %s cites %s, which %s", id, name, wrong))
			}
		}
	}
	for n := 1; n <= traps; n++ {
		switch rows := seen[strconv.Itoa(n)]; rows {
		case 0:
			faults = append(faults, fmt.Sprintf("trap %d has no row", n))
		case 1:
		default:
			faults = append(faults, fmt.Sprintf("trap %d has %d rows", n, rows))
		}
	}
	return faults
}

// contractLines are the ids that docs/api.md must list, by group: first and last of each run.
var contractLines = []struct {
	group       string
	first, last int
}{{"TP", 1, 48}, {"AK", 1, 30}, {"DA", 1, 30}, {"CC", 1, 6}, {"M", 1, 11}, {"M", 20, 27}, {"M", 30, 34}, {"M", 50, 54}, {"M", 60, 65}}

// faultsInAPITable wants each line of the contract once: id, what it says, subtests named by the id.
func faultsInAPITable(page string, tree testTree) []string {
	var faults []string
	rows := map[string]int{}
	for line := range strings.Lines(page) {
		match := behaviourRow.FindStringSubmatch(line)
		if match == nil {
			continue
		}
		id := match[1]
		rows[id]++
		cells := cellsOf(line)
		if len(cells) != 3 || slices.Contains(cells, "") {
			faults = append(faults, id+" has an empty cell, or not three")
			continue
		}
		cited := citations(cells[2])
		if len(cited) == 0 {
			faults = append(faults, id+" cites no test")
		}
		for _, name := range cited {
			if wrong := tree.wrong(name); wrong != "" {
				faults = append(faults, fmt.Sprintf("%s cites %s, which %s", id, name, wrong))
			} else if !strings.HasSuffix(name, "/"+id) {
				faults = append(faults, fmt.Sprintf("%s cites %s, which is named otherwise", id, name))
			}
		}
	}
	for _, run := range contractLines {
		for n := run.first; n <= run.last; n++ {
			id := fmt.Sprintf("%s-%02d", run.group, n)
			if rows[id] != 1 {
				faults = append(faults, fmt.Sprintf("%s has %d rows in docs/api.md", id, rows[id]))
			}
		}
	}
	return faults
}

func cellsOf(line string) []string {
	cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

func citations(evidence string) []string {
	return append(citedTest.FindAllString(evidence, -1), citedFile.FindAllString(evidence, -1)...)
}

// testTree is what a page may cite.
type testTree struct {
	tests map[string][]testFunc // TestName → who declares it
	names map[string][]string   // folder → every string in its test files, among them the names of subtests
	files []string              // flow files and conversations, slash-separated from the root
}

type testFunc struct {
	pkg    string // folder, slash-separated from the root
	tagged bool   // a build tag keeps it out of make test
}

// played reports whether a test plays the file: the flows by TestFlow, the conversations by TestConversations.
func played(file string) bool {
	return path.Dir(file) == "testdata/flows" || path.Dir(file) == "sip/call/testdata"
}

// covers reports whether a citation means the file.
func covers(cited, file string) bool {
	ok, err := path.Match(cited, path.Base(file))
	return ok && err == nil
}

// wrong says why name cannot be cited; empty: it is a test, a subtest, or a file that a test plays.
func (tree testTree) wrong(name string) string {
	const gone = "is not in the tree"
	if citedFile.MatchString(name) {
		if !slices.ContainsFunc(tree.files, func(file string) bool { return played(file) && covers(name, file) }) {
			return gone
		}
		return ""
	}
	name, sub, nested := strings.Cut(name, "/")
	pkg, test, qualified := strings.Cut(name, ".")
	if !qualified {
		test = name
	}
	found := slices.Clone(tree.tests[test])
	if qualified {
		found = slices.DeleteFunc(found, func(f testFunc) bool { return path.Base(f.pkg) != pkg })
	}
	switch {
	case len(found) == 0:
		return gone
	case len(found) > 1:
		var all []string
		for _, f := range found {
			all = append(all, path.Base(f.pkg)+"."+test)
		}
		return "two packages have: name it " + strings.Join(all, " or ")
	case found[0].tagged:
		return "make test does not run"
	case nested && !slices.ContainsFunc(tree.names[found[0].pkg], func(literal string) bool { return isSubtest(literal, sub) }):
		return gone
	}
	return ""
}

// isSubtest reports whether go test -run …/sub runs a subtest with that name, whose spaces it shows as underscores.
func isSubtest(name, sub string) bool {
	name = strings.ReplaceAll(name, " ", "_")
	return name == sub || strings.HasPrefix(name, sub+"/")
}

// readTestTree walks the module for test functions, the strings beside them, flow files and conversations.
func readTestTree(t *testing.T) testTree {
	t.Helper()
	tree := testTree{tests: map[string][]testFunc{}, names: map[string][]string{}}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != ".":
			return filepath.SkipDir
		case strings.HasSuffix(name, ".txtar"), strings.HasSuffix(name, ".txt"):
			tree.files = append(tree.files, filepath.ToSlash(name))
		case strings.HasSuffix(name, "_test.go"):
			return tree.read(filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range tree.tests {
		slices.SortFunc(found, func(a, b testFunc) int { return strings.Compare(a.pkg, b.pkg) })
	}
	return tree
}

// read takes in one test file.
func (tree testTree) read(file string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	pkg := path.Dir(file)
	strs := map[string]bool{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Recv == nil && citedTest.FindString(n.Name.Name) == n.Name.Name {
				tree.tests[n.Name.Name] = append(tree.tests[n.Name.Name], testFunc{pkg, tagged(parsed)})
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
				strs[text] = true
			}
		}
		return true
	})
	tree.names[pkg] = append(tree.names[pkg], slices.Collect(maps.Keys(strs))...)
	return nil
}

// tagged reports whether a build constraint asks for more than an operating system, the race detector or what make test sets: interop.
func tagged(file *ast.File) bool {
	for _, group := range file.Comments {
		for _, c := range group.List {
			if rest, ok := strings.CutPrefix(c.Text, "//go:build "); ok && !strings.Contains("linux !linux unix !unix race !race interop", rest) {
				return true
			}
		}
	}
	return false
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
