package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestRatioIsTheMedianOfPairs(t *testing.T) {
	// The machine was twice as slow in the second round: pairs still compare, medians of columns would not.
	edge := []cost{{microseconds: 80}, {microseconds: 180}, {microseconds: 85}}
	kamailio := []cost{{microseconds: 100}, {microseconds: 200}, {microseconds: 100}}
	if got := ratio(edge, kamailio); got != 0.85 {
		t.Errorf("got %v, want the middle of 0.8, 0.9 and 0.85", got)
	}
	if got := ratio(edge, []cost{{}, {}, {}}); got != 0 {
		t.Errorf("without a reference: %v", got)
	}
}

func TestCleanMeansThreeNines(t *testing.T) {
	for _, test := range []struct {
		good, calls int
		want        bool
	}{{0, 0, false}, {999, 1000, true}, {998, 1000, false}, {1000, 1000, true}} {
		if got := (outcome{good: test.good, calls: test.calls}).clean(); got != test.want {
			t.Errorf("%d of %d: %v", test.good, test.calls, got)
		}
	}
}

func TestOutcomeIsTheLastLineOfSIPp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "caller.csv")
	text := "StartTime;CurrentTime;TotalCallCreated;SuccessfulCall(C);Retransmissions(C);\n" +
		"2026-11-22\t23:29:26.1\t100.5;2026-11-22\t23:29:27.1\t101.5;500;400;0;\n" +
		"2026-11-22\t23:29:26.1\t100.5;2026-11-22\t23:29:31.1\t105.75;1000;999;3;\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readOutcome(file)
	want := outcome{calls: 1000, good: 999, repeated: 3, elapsed: 5250 * time.Millisecond}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, err := readOutcome(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file, no error")
	}
}

func TestPercentileOfShuffledWays(t *testing.T) {
	ways := []time.Duration{9000, 1000, 5000, 3000, 7000}
	if got := percentile(ways, 50); got != 5 {
		t.Errorf("p50 %v, want 5 µs", got)
	}
	if got := percentile(ways, 99); got != 9 {
		t.Errorf("p99 %v, want 9 µs", got)
	}
}

func TestTableSaysWhatWasNotMeasured(t *testing.T) {
	good := outcome{calls: 1000, good: 1000}
	f := &figures{name: "trunkline", low: cost{rate: 1000, microseconds: 50, outcome: good}, lowRatio: 0.71}
	f.note(cost{rate: 8000, outcome: outcome{calls: 10, good: 5, repeated: 2}})
	text := table(plan{rate: 1000, high: 8000}, []*figures{f})
	for _, want := range []string{"50.0", "0.71", "n/a", "5 of 10 calls good", "repeated 2 messages"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestOwnProcessIsMeasured(t *testing.T) {
	if _, err := os.Stat("/proc/self/schedstat"); err != nil {
		t.Skip("needs /proc/PID/schedstat")
	}
	p := &process{pid: os.Getpid()}
	before := p.cpuTime()
	x := 1.0
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		x = math.Sqrt(x + 1)
	}
	if spent := p.cpuTime() - before; spent < 5*time.Millisecond {
		t.Errorf("50 ms of work cost %s (%v)", spent, x)
	}
	if p.memory() < 1<<20 {
		t.Errorf("this process takes %d bytes", p.memory())
	}
	if parent(os.Getpid()) != os.Getppid() {
		t.Errorf("parent %d, want %d", parent(os.Getpid()), os.Getppid())
	}
}
