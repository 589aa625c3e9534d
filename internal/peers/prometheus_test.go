//go:build interop

package peers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/internal/carrier"
)

// TestPrometheusAnswersEveryQuery: Debian's Prometheus scrapes an edge that registers, is paced and relays calls of SIPp, and
// each query of the dashboards and rules brings something. What has nothing to show in a healthy minute is named.
func TestPrometheusAnswersEveryQuery(t *testing.T) {
	t.Parallel()
	Need(t, "sipp", "prometheus")
	s := newStage(t, stageOptions{relay: true, carrier: FreePort(t, CarrierHost),
		trunk: "cps_limit: 5\n    max_calls: 50\n    register: true\n    auth_user: edge\n    auth_password: secret\n    health: {interval: 1s}",
		more:  "organizations: [{name: acme, toll: {minutes_per_day: 1000}}]"})
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: s.carrier, User: "edge", Password: "secret", MaxExpires: 20, Ring: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := startPrometheus(t, s.HTTP.String())
	load := SIPp{Scenario: scenario("uac-hold.xml"), Local: FreePort(t, AppHost), Remote: s.udp, Service: theirNumber, Calls: 400, Rate: 8, Pause: 300 * time.Millisecond,
		Keys: map[string]string{"caller": ourNumber}, Limit: 90 * time.Second}.Start(t)
	defer load.Stop()
	queries, _ := ruleQueries(t)
	for _, d := range dashboards(t) {
		queries = append(queries, d.Queries()...)
	}
	open := map[Query]string{}
	for _, q := range queries {
		open[q] = "nothing yet"
	}
	p.WaitFor(90*time.Second, "each query brings something", func() bool {
		for q := range open {
			series, err := p.query(q.Fill("10s"))
			switch {
			case err != nil:
				t.Fatalf("%s: %v\n%s", q.Where, err, q.Expr)
			case series > 0 || quiet(q):
				delete(open, q)
			default:
				open[q] = "no series"
			}
		}
		if time.Since(p.began) < 45*time.Second {
			return len(open) == 0
		}
		return true
	})
	for q, why := range open {
		t.Errorf("%s: %s\n%s", q.Where, why, q.Expr)
	}
	if n, err := p.query(`ALERTS{alertstate="firing", alertname=~"TrunklineDown|TrunkDown|TrunkNotRegistered|CpsPeakAboveLimit|CdrDropped|CallEndedByBug"}`); n > 0 || err != nil {
		t.Errorf("%d alerts fire at a healthy edge, %v", n, err)
	}
}

// quiet tells of queries that bring nothing while all is well: alerts, what compares with a week ago, what counts mishaps, what only runs by
// schedule, and who would have registered.
func quiet(q Query) bool {
	for _, part := range []string{"offset 1w", `code="503"`, "rtp_round_trip", "rtp_mos", "_media_timeout", "_probe_", "trunkline_agent_bindings"} {
		if strings.Contains(q.Expr, part) {
			return true
		}
	}
	alert := strings.HasPrefix(q.Where, "rules.yml") && !strings.Contains(q.Where, ":")
	return alert
}

// prometheus is Debian's, in a process of its own.
type prometheus struct {
	*Process
	address string
	began   time.Time
}

// startPrometheus scrapes target each second, by the example configuration and our rules in quick time.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	for file, replace := range map[string]*strings.Replacer{
		"prometheus.yml": strings.NewReplacer("15s", "1s", "127.0.0.1:8080", target),
		"rules.yml":      strings.NewReplacer("interval: 30s", "interval: 1s"),
	} {
		text, err := os.ReadFile(filepath.Join(monitoring, "prometheus", file))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), []byte(replace.Replace(string(text))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p := &prometheus{address: FreePort(t, EdgeHost).String(), began: time.Now()}
	p.Process = Start(t, Spec{Name: "prometheus", Dir: dir, Args: []string{"prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
		"--web.listen-address=" + p.address, "--log.level=warn"}})
	p.WaitFor(30*time.Second, "it answers", func() bool { _, err := p.query("up"); return err == nil })
	return p
}

// query returns how many series an expression has now; those that are not a number do not count.
func (p *prometheus) query(expr string) (series int, err error) {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + p.address + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []struct{ Value [2]any } }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Status != "success" {
		return 0, fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	for _, r := range answer.Data.Result {
		if r.Value[1] != "NaN" {
			series++
		}
	}
	return series, nil
}
