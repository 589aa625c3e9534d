package peers

import (
	"encoding/csv"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// SIPp is a run of SIPp. Scenario and Local are required, Remote to call.
type SIPp struct {
	Scenario  string         // file; see testdata/sipp
	Local     netip.AddrPort // where it sends from and listens
	Remote    netip.AddrPort // whom it calls; invalid: it answers
	Transport string         // "udp", "tcp" (one connection) or "tcp-each" (one for each call); empty: udp
	Lost      int            // percent of the messages that it loses, sent and received
	Service   string         // called number
	Calls     int            // zero: 1 to call, no end to answer
	Rate      int            // calls per second; zero: 10
	Open      int            // calls open at once at most; zero: no limit of ours
	Pause     time.Duration  // how long a call stays up
	User      string         // digest credentials
	Password  string
	Keys      map[string]string // values for [name] in the scenario
	In        *Namespace        // the network it runs in; nil: the test's own
	Limit     time.Duration     // the run is ended after this; zero: a minute

	// GoesOn passes over a message that the scenario does not have; otherwise that ends the call. SIPp that stood still for half a second and
	// then reads two copies of one INVITE does not see that they are the same (3.6.1): a callee whose calls are to outlast that needs this.
	GoesOn bool
}

// Result is what SIPp counted.
type Result struct {
	Created, Good, Failed int
	Repeated              int // messages it had to send again
}

// Start starts an answering SIPp and returns when it listens, or a calling one and returns at once.
func (s SIPp) Start(t testing.TB) *Process {
	t.Helper()
	p, _ := s.start(t)
	if !s.Remote.IsValid() {
		p.WaitFor(10*time.Second, "it listens", func() (done bool) {
			s.In.Do(func() { done = listening(s.Local) })
			return done
		})
	}
	return p
}

// Run calls and returns when all calls have ended. Failed calls do not fail the test; a run over its limit does.
func (s SIPp) Run(t testing.TB) Result {
	t.Helper()
	p, statistics := s.start(t)
	p.Wait(s.limit() + 10*time.Second) // its status says less than its statistics
	r, err := readStatistics(statistics)
	if err != nil {
		t.Fatalf("SIPp: %v", err)
	}
	return r
}

func (s SIPp) limit() time.Duration {
	if s.Limit == 0 {
		return time.Minute
	}
	return s.Limit
}

func (s SIPp) start(t testing.TB) (p *Process, statistics string) {
	t.Helper()
	Need(t, "sipp")
	scenario, err := filepath.Abs(s.Scenario)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	statistics = filepath.Join(dir, "statistics.csv")
	args := []string{"sipp", "-sf", scenario, "-i", s.Local.Addr().String(), "-p", strconv.Itoa(int(s.Local.Port())), "-nostdin",
		"-deadcall_wait", "0", "-watchdog_interval", "0", "-buff_size", "8388608",
		"-trace_stat", "-stf", statistics, "-fd", "1", "-trace_err", "-error_file", filepath.Join(dir, "errors.log")}
	switch s.Transport {
	case "tcp":
		args = append(args, "-t", "t1")
	case "tcp-each":
		args = append(args, "-t", "tn", "-max_socket", "5000")
	}
	if s.Lost > 0 {
		args = append(args, "-lost", strconv.Itoa(s.Lost))
	}
	if s.GoesOn {
		args = append(args, "-default_behaviors", "all,-abortunexp")
	}
	if s.User != "" {
		args = append(args, "-au", s.User, "-ap", s.Password)
	}
	for name, value := range s.Keys {
		args = append(args, "-key", name, value)
	}
	if s.Remote.IsValid() {
		args = append(args, "-r", strconv.Itoa(orElse(s.Rate, 10)), "-m", strconv.Itoa(orElse(s.Calls, 1)), "-s", s.Service,
			"-d", strconv.Itoa(int(s.Pause.Milliseconds())), "-timeout", strconv.Itoa(int(s.limit().Seconds())),
			"-l", strconv.Itoa(orElse(s.Open, orElse(s.Calls, 1)+1000)), s.Remote.String())
	} else if s.Calls > 0 {
		args = append(args, "-m", strconv.Itoa(s.Calls))
	}
	t.Cleanup(func() { showErrors(t, filepath.Join(dir, "errors.log")) })
	return Start(t, Spec{Name: strings.TrimSuffix(filepath.Base(scenario), ".xml"), Args: args, Dir: dir, Env: []string{"TERM=xterm"}, In: s.In}), statistics
}

// showErrors logs what SIPp did not expect, in a test that failed.
func showErrors(t testing.TB, file string) {
	const most = 4000 // bytes
	if text, err := os.ReadFile(file); t.Failed() && err == nil {
		t.Logf("SIPp did not expect:\n%s", text[:min(len(text), most)])
	}
}

func orElse(n, other int) int {
	if n == 0 {
		return other
	}
	return n
}

// readStatistics takes the last line of SIPp's CSV.
func readStatistics(path string) (Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return Result{}, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.FieldsPerRecord = ';', -1
	rows, err := r.ReadAll()
	if err != nil {
		return Result{}, err
	}
	if len(rows) < 2 {
		return Result{}, os.ErrNotExist
	}
	value := func(column string) int {
		for i, name := range rows[0] {
			if name == column && i < len(rows[len(rows)-1]) {
				n, _ := strconv.Atoi(strings.TrimSpace(rows[len(rows)-1][i]))
				return n
			}
		}
		return -1
	}
	return Result{Created: value("TotalCallCreated"), Good: value("SuccessfulCall(C)"), Failed: value("FailedCall(C)"), Repeated: value("Retransmissions(C)")}, nil
}
