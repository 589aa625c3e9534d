package main

import (
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"trunkline/store"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md from what the edge exports")

const metricsPage = "../../docs/metrics.md"

// TestMetricsPage compares docs/metrics.md with what a running edge exports, and lints the latter.
func TestMetricsPage(t *testing.T) {
	d := startForMetrics(t)
	problems, err := testutil.GatherAndLint(d.metrics.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "trunkline_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	want := exported(t, d)
	if *update {
		writeMetricsPage(t, want)
	}
	documented := map[string]string{}
	for line := range strings.Lines(read(t, metricsPage)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `trunkline_") {
			if documented[name] != "" {
				t.Errorf("docs/metrics.md has %s twice", name)
			}
			documented[name] = strings.TrimSpace(line)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch documented[name] {
		case "":
			t.Errorf("docs/metrics.md lacks %s", name)
		case want[name].row():
		default:
			t.Errorf("docs/metrics.md says of %s\n%s, but it is\n%s", name, documented[name], want[name].row())
		}
	}
	for name := range documented {
		if _, ok := want[name]; !ok {
			t.Errorf("docs/metrics.md has %s, which the edge does not export", name)
		}
	}
}

// TestMetricLabelsAreClosed looks at the label names: none can carry what a stranger sends.
func TestMetricLabelsAreClosed(t *testing.T) {
	known := strings.Fields("trunk agent direction state outcome code reason method transport kind cause cps_key decision side codec " +
		"check status result route version commit go stage file provider verdict step " +
		"party payer name") // name: of a trunk, agent or organization
	for name, m := range exported(t, startForMetrics(t)) {
		for _, label := range m.labels {
			if !slices.Contains(known, label) {
				t.Errorf("%s has the label %q: is its set of values closed?", name, label)
			}
		}
	}
}

// metric is one exported metric as the page shows it.
type metric struct {
	name, kind, help string
	labels           []string
}

func (m metric) row() string {
	labels := "–"
	if len(m.labels) > 0 {
		labels = strings.Join(m.labels, ", ")
	}
	return fmt.Sprintf("| `%s` | %s | %s | %s |", m.name, m.kind, labels, strings.ReplaceAll(m.help, "|", "\\|"))
}

// startForMetrics starts a daemon with relay, a trunk and a number, so that every collector is there.
func startForMetrics(t *testing.T) *daemon {
	t.Helper()
	file := writeFile(t, "sipgo.yaml", fmt.Sprintf(`
sip: {listen: ["udp://%s"]}
http: {listen: "%s"}
storage: {directory: %s}
trunks: [{name: carrier, server: "127.0.0.2:5070", source_addresses: [127.0.0.2], cps_limit: 10, max_calls: 5, health: {interval: 1h}}]
`, freePort(t, "udp"), freePort(t, "tcp"), t.TempDir()))
	return startFile(t, file)
}

// startFile runs a daemon with the configuration in a file until the test ends.
func startFile(t *testing.T, file string) *daemon {
	t.Helper()
	c, err := loadConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	log, _, err := newLog(new(lockedLog), c.Log.Format, new(slog.LevelVar))
	if err != nil {
		t.Fatal(err)
	}
	d, err := startDaemon(t.Context(), daemonOptions{Config: c, File: file, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	return d
}

// exported asks the collectors of d what they may ever show, and its registry what kind it is.
func exported(t *testing.T, d *daemon) map[string]metric {
	t.Helper()
	r := &describing{t: t, found: map[string]metric{}}
	if err := registerProbeMetrics(r, d.prober, d.verifier); err != nil {
		t.Fatal(err)
	}
	if err := registerMetrics(r, d.edge, d.network, d.relay, d.keeper, d.watcher, d.registrar, d.keepAlive); err != nil {
		t.Fatal(err)
	}
	records, err := store.OpenRecords(t.TempDir(), store.Options{Registerer: r})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { records.Close(t.Context()) })
	families, err := d.metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "trunkline_") {
			continue
		}
		m, ok := r.found[f.GetName()]
		if !ok { // of the HTTP server or the daemon itself, which show theirs from the start
			m = metric{name: f.GetName(), help: f.GetHelp(), labels: labelNames(f)}
		}
		m.kind = strings.ToLower(f.GetType().String())
		r.found[m.name] = m
	}
	// A metric without a series yet says its kind by its name.
	for name, m := range r.found {
		if m.kind == "" {
			m.kind = "gauge"
			switch {
			case strings.HasSuffix(name, "_total"):
				m.kind = "counter"
			case strings.HasSuffix(name, "_delay_seconds"):
				m.kind = "histogram"
			}
			r.found[name] = m
		}
	}
	return r.found
}

func labelNames(f *dto.MetricFamily) (names []string) {
	if len(f.GetMetric()) == 0 {
		return nil
	}
	for _, pair := range f.GetMetric()[0].GetLabel() {
		names = append(names, pair.GetName())
	}
	return names
}

// describing is a Registerer that only asks for descriptions.
type describing struct {
	t     *testing.T
	found map[string]metric
}

var described = regexp.MustCompile(`fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)".*variableLabels: \{([^}]*)\}`)

func (r *describing) Register(c prometheus.Collector) error {
	descriptions := make(chan *prometheus.Desc)
	go func() { // ends when the collector has described itself
		c.Describe(descriptions)
		close(descriptions)
	}()
	for d := range descriptions {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			r.t.Errorf("cannot read %s", d)
			continue
		}
		m := metric{name: parts[1], help: strings.ReplaceAll(parts[2], `\"`, `"`)}
		if parts[3] != "" {
			m.labels = strings.Split(parts[3], ",")
		}
		r.found[m.name] = m
	}
	return nil
}

func (r *describing) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *describing) Unregister(prometheus.Collector) bool { return false }

func writeMetricsPage(t *testing.T, all map[string]metric) {
	t.Helper()
	groups := []struct{ prefix, title string }{
		{"trunkline_call", "Calls"}, {"trunkline_cps", "Pacing"}, {"trunkline_registration", "Registrations"}, {"trunkline_agent_", "Registrations"},
		{"trunkline_toll", "Guards"}, {"trunkline_source", "Guards"},
		{"trunkline_sip", "SIP"}, {"trunkline_rtp", "Media"}, {"trunkline_dtmf", "Media"}, {"trunkline_db", "Store"}, {"trunkline_cdr", "Store"},
		{"trunkline_http", "HTTP"}, {"trunkline_provider", "Providers"}, {"trunkline_webhook", "Events and webhooks"}, {"trunkline_events", "Events and webhooks"},
		{"trunkline_trunk_", "Trunks"}, {"trunkline_probe_", "Probes"}, {"", "Process"},
	}
	sections := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, g := range groups {
			if strings.HasPrefix(name, g.prefix) {
				sections[g.title] = append(sections[g.title], all[name].row())
				break
			}
		}
	}
	var page strings.Builder
	page.WriteString(metricsIntroduction)
	done := map[string]bool{}
	for _, g := range groups {
		if rows := sections[g.title]; len(rows) > 0 && !done[g.title] {
			done[g.title] = true
			fmt.Fprintf(&page, "\n## %s\n\n| Metric | Kind | Labels | What it says |\n| --- | --- | --- | --- |\n%s\n", g.title, strings.Join(rows, "\n"))
		}
	}
	if err := os.WriteFile(metricsPage, []byte(page.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

const metricsIntroduction = `# Metrics

` + "`/metrics`" + ` shows these in the Prometheus format: classic buckets over text, native histograms as well over protobuf. The Go runtime's and
the process's usual metrics stand beside them. Labels come from closed sets: configured trunks, SIP methods, our own reasons. None
carries a number, an address, a Call-ID or a User-Agent. Series of configured trunks exist from the start, at zero.

Ratios are left to queries. Answer-seizure ratio of a trunk over a quarter of an hour:

` + "```" + `
sum by (trunk) (rate(trunkline_call_results_total{outcome="answered"}[15m]))
  / clamp_min(sum by (trunk) (rate(trunkline_call_results_total[15m])), 1e-9)
` + "```" + `

This page is compared with a running edge by a test; ` + "`go test ./cmd/trunkline -run TestMetricsPage -update`" + ` writes it anew.
`
