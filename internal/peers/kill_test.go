//go:build interop

package peers

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKillNineUnderLoad: an edge that is killed in the middle of a load leaves sound databases with every record older than the
// commit interval, starts again on them, and takes calls.
func TestKillNineUnderLoad(t *testing.T) {
	Need(t, "sipp", "sqlite3")
	const (
		rate     = 300
		interval = 100 * time.Millisecond
		late     = 200 * time.Millisecond // a commit takes time, and so does the writer's turn on a busy machine
	)
	data := filepath.Join(t.TempDir(), "data")
	total := 0
	for round := range 3 {
		s := newStage(t, stageOptions{data: data, store: "commit_interval: " + interval.String()})
		answering := SIPp{Scenario: scenario("uas.xml"), Local: s.app}.Start(t)
		calling := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, CarrierHost), Remote: s.udp, Service: ourNumber, Calls: rate * 60, Rate: rate,
			Pause: 50 * time.Millisecond, Keys: map[string]string{"caller": theirNumber}}.Start(t)
		// What had ended by when, as the edge itself tells.
		type sample struct {
			at    time.Time
			ended int
		}
		var samples []sample
		for end := time.Now().Add(3*time.Second + time.Duration(round)*37*time.Millisecond); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			m := s.Metrics()
			samples = append(samples, sample{time.Now(), int(m.Sum("trunkline_call_results_total"))})
		}
		s.Kill()
		killed := time.Now()
		calling.Stop()
		answering.Stop()
		due, seen := 0, samples[len(samples)-1].ended
		for _, sample := range samples {
			if killed.Sub(sample.at) > interval+late {
				due = sample.ended
			}
		}
		if due < rate {
			t.Fatalf("round %d: only %d calls had ended before the kill", round, due)
		}
		checkIntegrity(t, data)
		records, ids := s.Records(), map[string]bool{}
		for _, r := range records {
			ids[r.ID] = true
		}
		if len(ids) != len(records) {
			t.Errorf("%d records of %d calls", len(records), len(ids))
		}
		fresh := len(records) - total
		if fresh < due {
			t.Errorf("round %d: %d records, but %d calls had ended %s before the kill", round, fresh, due, interval+late)
		}
		t.Logf("round %d: %d calls had ended %s before the kill, %d just before it; %d records", round, due, interval+late, seen, fresh)
		total = len(records)
	}
	s := newStage(t, stageOptions{data: data})
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 10)
	s.Stop()
	if n := len(s.Records()); n != total+10 {
		t.Errorf("%d records, want the %d from before and 10 new ones", n, total)
	}
}

// checkIntegrity looks at copies of both databases, their write-ahead logs included, as the dead process left them.
func checkIntegrity(t *testing.T, data string) {
	t.Helper()
	copied := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(copied, os.DirFS(data)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"trunkline.db", "records.db"} {
		out, err := exec.Command("sqlite3", filepath.Join(copied, name), "PRAGMA integrity_check; PRAGMA foreign_key_check").CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "ok" {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
}

// TestTwoEdgesOnOneStore: the second edge on a folder ends with one clear line and leaves the first alone.
func TestTwoEdgesOnOneStore(t *testing.T) {
	Need(t, "sipp")
	data := filepath.Join(t.TempDir(), "data")
	first := newStage(t, stageOptions{data: data})
	other := &stage{udp: FreePort(t, EdgeHost), tls: FreePort(t, EdgeHost), carrier: first.carrier, app: first.app, authority: first.authority}
	second := NewEdge(t, EdgeOptions{Config: other.config(stageOptions{}), Data: data})
	if status := second.Wait(10 * time.Second); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if log := second.Log(); !strings.Contains(log, "another trunkline runs on this directory") {
		t.Error(log)
	}
	first.play(t, "inbound", "udp", "uac.xml", "uas.xml", 5)
}

// TestTwoEdgesOnOnePort: the second edge on a SIP port says so and ends. Shards share a port among themselves, which must not let
// another process in: it would take half of the messages.
func TestTwoEdgesOnOnePort(t *testing.T) {
	Need(t, "sipp")
	for _, shards := range []int{1, 2} {
		first := newStage(t, stageOptions{sip: fmt.Sprintf("shards: %d", shards)})
		second := NewEdge(t, EdgeOptions{Config: first.config(first.options)})
		if status := second.Wait(10 * time.Second); status != 1 {
			t.Errorf("%d shards: exit status %d", shards, status)
		}
		if log := second.Log(); !strings.Contains(log, "sip.listen") || !strings.Contains(log, first.udp.String()) || !strings.Contains(log, "in use") {
			t.Errorf("%d shards: %s", shards, log)
		}
		first.play(t, "inbound", "udp", "uac.xml", "uas.xml", 20)
	}
}
