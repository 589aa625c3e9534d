package peers

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

const monitoring = "../../monitoring"

// rules is what tests look at in rules.yml.
type rules struct {
	Groups []struct {
		Name  string
		Rules []struct {
			Record, Alert, Expr string
			Labels              map[string]string
			Annotations         map[string]string
		}
	}
}

func readRules(t *testing.T) (all rules) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(monitoring, "prometheus/rules.yml"))
	if err == nil {
		err = yaml.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ruleQueries are the expressions of the rules, and recorded the names that they make.
func ruleQueries(t *testing.T) (all []Query, recorded []string) {
	t.Helper()
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			all = append(all, Query{"rules.yml, " + r.Record + r.Alert, r.Expr})
			if r.Record != "" {
				recorded = append(recorded, r.Record)
			}
		}
	}
	return all, recorded
}

func dashboards(t *testing.T) []Dashboard {
	t.Helper()
	all, err := Dashboards(filepath.Join(monitoring, "grafana/dashboards"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d dashboards, %v", len(all), err)
	}
	return all
}

// TestDashboardsAreWellMade: what Grafana would complain about, or show badly.
func TestDashboardsAreWellMade(t *testing.T) {
	uids := map[string]string{}
	for _, d := range dashboards(t) {
		if other := uids[d.UID]; other != "" || d.UID == "" || d.ID != nil {
			t.Errorf("%s: uid %q is %s's, or there is an id of Grafana's own", d.File, d.UID, other)
		}
		uids[d.UID] = d.File
		ids := map[int]bool{}
		for i, p := range d.Panels {
			if ids[p.ID] || p.Title == "" {
				t.Errorf("%s: panel %d %q has no title or the number of another", d.File, p.ID, p.Title)
			}
			ids[p.ID] = true
			if len(p.Targets) > 0 && p.Datasource["uid"] != "${datasource}" {
				t.Errorf("%s: %q has the data source %v", d.File, p.Title, p.Datasource)
			}
			for _, other := range d.Panels[:i] {
				a, b := p.GridPos, other.GridPos
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H || a.X+a.W > 24 {
					t.Errorf("%s: %q lies on %q, or beyond the edge", d.File, p.Title, other.Title)
				}
			}
		}
	}
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(trunkline_[a-z0-9_]+)` \\| (\\w+) \\| ([^|]*) \\|")
	metricName = regexp.MustCompile(`\b(trunkline_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	recordName = regexp.MustCompile(`\b((?:trunk|cps_key):[a-z0-9_:]+)`)
	labelName  = regexp.MustCompile(`(\w+)\s*(?:=~|!~|!=|=)`)
	grouping   = regexp.MustCompile(`\b(?:by|on)\s*\(([^)]*)\)`)
)

// TestQueriesNameWhatThereIs compares every expression of the dashboards and rules with docs/metrics.md, which is compared with a
// running edge: each metric, each label of it, and each recorded series.
func TestQueriesNameWhatThereIs(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	labels, kinds, anywhere := map[string][]string{}, map[string]string{}, []string{"le", "instance", "job"}
	for _, row := range metricRow.FindAllStringSubmatch(string(page), -1) {
		for label := range strings.SplitSeq(row[3], ",") {
			labels[row[1]] = append(labels[row[1]], strings.TrimSpace(label))
			anywhere = append(anywhere, strings.TrimSpace(label))
		}
		kinds[row[1]] = row[2]
	}
	queries, recorded := ruleQueries(t)
	for _, d := range dashboards(t) {
		queries = append(queries, d.Queries()...)
	}
	used := map[string]bool{}
	for _, q := range queries {
		for _, found := range metricName.FindAllStringSubmatch(q.Expr, -1) {
			name := found[1]
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				if base, ok := strings.CutSuffix(name, part); ok && kinds[base] == "histogram" {
					name = base
				}
			}
			used[name] = true
			if labels[name] == nil {
				t.Errorf("%s: there is no %s in docs/metrics.md", q.Where, name)
				continue
			}
			for _, label := range labelName.FindAllStringSubmatch(found[2], -1) {
				if !slices.Contains(append([]string{"le", "instance", "job"}, labels[name]...), label[1]) {
					t.Errorf("%s: %s has no label %s", q.Where, name, label[1])
				}
			}
		}
		for _, found := range recordName.FindAllString(q.Expr, -1) {
			if !slices.Contains(recorded, found) {
				t.Errorf("%s: no rule records %s", q.Where, found)
			}
		}
		for _, found := range grouping.FindAllStringSubmatch(q.Expr, -1) {
			for label := range strings.SplitSeq(found[1], ",") {
				if !slices.Contains(anywhere, strings.TrimSpace(label)) {
					t.Errorf("%s: no metric has the label %s", q.Where, label)
				}
			}
		}
	}
	for name := range labels { // what operators steer by is to be seen somewhere
		for _, group := range []string{"trunkline_cps_", "trunkline_registration_state"} {
			if strings.HasPrefix(name, group) && !used[name] && !slices.Contains(unseen, name) {
				t.Errorf("no dashboard and no rule shows %s", name)
			}
		}
	}
}

// unseen are metrics that no dashboard shows, on purpose.
var unseen = []string{"trunkline_cps_burst"}

// TestAlertsSayWhatToDo: an alert without a severity reaches nobody, one without an action helps nobody.
func TestAlertsSayWhatToDo(t *testing.T) {
	var tested []byte
	for _, file := range []string{"rules_test.yml", "rules_week_test.yml"} {
		text, err := os.ReadFile(filepath.Join(monitoring, "prometheus", file))
		if err != nil {
			t.Fatal(err)
		}
		tested = append(tested, text...)
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			if !slices.Contains([]string{"page", "warn", "info"}, r.Labels["severity"]) || r.Annotations["summary"] == "" || r.Annotations["action"] == "" {
				t.Errorf("%s: severity %q, annotations %q", r.Alert, r.Labels["severity"], r.Annotations)
			}
			fires := regexp.MustCompile(`alertname: ` + r.Alert + `\n\s+exp_alerts:\n`).Match(tested)
			silent := strings.Count(string(tested), "alertname: "+r.Alert+", exp_alerts: []") >= 2 // and without traffic
			if !fires || !silent {
				t.Errorf("rules_test.yml does not show %s fire (%v), be silent, and be silent without traffic (%v)", r.Alert, fires, silent)
			}
		}
	}
}

// TestRules runs the rules' own tests.
func TestRules(t *testing.T) {
	Need(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", "rules_test.yml", "rules_week_test.yml"}} {
		cmd := exec.CommandContext(t.Context(), "promtool", args...) // ends with the test
		cmd.Dir = filepath.Join(monitoring, "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
