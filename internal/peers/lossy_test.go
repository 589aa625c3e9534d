//go:build interop

package peers

import (
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

var forwarder = flag.Bool("forwarder", false, "TestLossyNetwork: no network namespaces, a forwarder on loopback")

// lossySide is an edge at one end of a bad line, with its applications.
type lossySide struct {
	*Edge
	in     *Namespace
	near   netip.AddrPort // where the edge takes calls of its applications
	line   netip.AddrPort // and those from the line
	public string         // what it shows there; empty: the same
	caller string         // host that its applications call from
	places []lossyPlace
	prefix string // of its numbers
	ports  string // of its media
}

// lossyPlace is an application that calls go to, by the last digit of the number.
type lossyPlace struct {
	scenario, caller string // of the application, and of those who call it
	at               netip.AddrPort
	statistics       string
}

// newLossySide chooses what a side will be reached at; prefix is that of its numbers.
func newLossySide(t *testing.T, in *Namespace, host, prefix, ports string) *lossySide {
	s := &lossySide{in: in, near: FreePort(t, EdgeHost), line: FreePort(t, EdgeHost), caller: host, prefix: prefix, ports: ports}
	if in != nil {
		s.line = netip.AddrPortFrom(in.Addr, 5060)
	}
	for _, scenarios := range [][2]string{{"uas.xml", "uac-patient.xml"}, {"uas-trying.xml", "uac-giveup.xml"}, {"uas-hangup.xml", "uac-wait.xml"}} {
		s.places = append(s.places, lossyPlace{scenario: scenarios[0], caller: scenarios[1], at: FreePort(t, host)})
	}
	return s
}

// start starts the edge, which finds the other one at far, and its applications.
func (s *lossySide) start(t *testing.T, far netip.AddrPort) {
	listen := "udp://" + s.line.String()
	public := ""
	if s.public != "" {
		public = "?public=" + s.public
	}
	var agents, numbers strings.Builder
	for i := range s.places {
		p := &s.places[i]
		var answering *Process
		answering, p.statistics = SIPp{Scenario: scenario(p.scenario), Local: p.at, GoesOn: true, In: s.in}.start(t)
		answering.WaitFor(10*time.Second, "it listens", func() (done bool) {
			s.in.Do(func() { done = listening(p.at) })
			return done
		})
		fmt.Fprintf(&agents, "  - {name: app-%d, destinations: [{uri: \"sip:%s\"}]}\n", i, p.at)
		fmt.Fprintf(&numbers, "  - {number: \"%s%d\", trunk: line, inbound_agent: app-%[2]d, outbound_agent: caller}\n", s.prefix, i)
	}
	s.Edge = StartEdge(t, EdgeOptions{In: s.in, Env: []string{"GOGC=50"}, Config: fmt.Sprintf(`
sip: {listen: ["udp://%s", "%s%s"], timers: {timer_c: 1m}} # a callee whose every answer is lost hears of no CANCEL
media: {relay: true, ports: %s}
trace: {memory: 2MiB}
trunks: [{name: line, server: "%s", listener: "%s", source_addresses: ["%s"]}]
agents:
  - {name: caller, source_addresses: ["%s"]}
%snumbers:
%s`, s.near, listen, public, s.ports, far, listen, far.Addr(), s.caller, agents.String(), numbers.String())})
}

// call has the applications call those of the other side, each of them so many times, and returns what became of it by scenario.
func (s *lossySide) call(t *testing.T, other *lossySide, calls, rate int) map[string]Result {
	var all sync.WaitGroup
	var mu sync.Mutex
	results := map[string]Result{}
	for i, p := range other.places {
		run := SIPp{Scenario: scenario(p.caller), Local: FreePort(t, s.caller), Remote: s.near, Service: fmt.Sprint(other.prefix, i), Calls: calls, Rate: rate,
			Pause: 500 * time.Millisecond, Keys: map[string]string{"caller": fmt.Sprint(s.prefix, i)}, In: s.in, Limit: 75 * time.Second}
		calling, statistics := run.start(t)
		all.Go(func() { // ends with SIPp, which has a limit
			<-calling.Done()
			r, err := readStatistics(statistics)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			results[p.caller] = r
		})
	}
	all.Wait()
	return results
}

// over waits until nothing is left of any call: neither side of it, nor a transaction that could still repeat something, nor a port. The
// longest take timer C (a minute here), 32 s for what its CANCEL brings, and 32 s for which that is remembered.
func (s *lossySide) over(t *testing.T) {
	left := func() (calls, transactions, bytes, ports float64) {
		m := s.Metrics()
		return m.Sum("trunkline_calls"), m.Sum("trunkline_sip_transactions"), m.Sum("trunkline_sip_transaction_memory_bytes"), m.Sum("trunkline_rtp_ports_in_use")
	}
	for end := time.Now().Add(150 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		calls, transactions, bytes, ports := left()
		if calls == 0 && transactions == 0 && bytes == 0 && ports == 0 {
			return
		}
		if time.Now().After(end) {
			_, open := s.Get("/debug/calls")
			t.Fatalf("left are %g calls, %g transactions, %g bytes of finished ones, %g media ports:\n%s", calls, transactions, bytes, ports, open)
		}
	}
}

// TestLossyNetwork: two edges with a line between them that loses a fifth of the packets, doubles a tenth and holds a fifth up, so that
// others overtake them, each way. Applications on both sides call each other over it: they hold and resume, hang up, are hung up on, and
// give up while it rings. Nearly all calls are set up (TXN-13), every one ends on both sides of both edges, and each has one record. The
// line joins two network namespaces; where none can be made, a forwarder on loopback is the line.
func TestLossyNetwork(t *testing.T) {
	t.Parallel()
	Need(t, "sipp")
	bad := BadLine{Lost: 20, Doubled: 10, Late: 20, By: 100 * time.Millisecond}
	a, b, count, err := JoinNamespaces(t, bad)
	if *forwarder || err != nil {
		t.Logf("a forwarder on loopback is the line: %v", err)
		a, b = nil, nil
	}
	near, far := newLossySide(t, a, AppHost, "+1415555010", "10000-17999"), newLossySide(t, b, CarrierHost, "+1555000123", "18000-25999")
	atNear, atFar := near.line, far.line
	if a == nil {
		const hostOfNear, hostOfFar = "127.0.0.5", "127.0.0.6"
		f := StartForwarder(t, bad, near.line, far.line, hostOfNear, hostOfFar)
		near.public, far.public, atNear, atFar, count = hostOfNear, hostOfFar, f.AtA, f.AtB, &f.Carried
	}
	near.start(t, atFar)
	far.start(t, atNear)
	const calls, rate = 180, 9 // of each of six kinds
	var there, back map[string]Result
	var all sync.WaitGroup
	all.Go(func() { there = near.call(t, far, calls, rate) })
	all.Go(func() { back = far.call(t, near, calls, rate) })
	all.Wait()
	good := 0
	for _, results := range []map[string]Result{there, back} {
		for _, r := range results {
			good += r.Good
		}
	}
	const offered = 6 * calls
	t.Logf("%d of %d calls were good; the line passed %d packets on, lost %d, doubled %d, held up %d", good, offered, count.Passed.Load(), count.Lost.Load(),
		count.Doubled.Load(), count.Late.Load())
	if good < offered*99/100 {
		t.Errorf("%d of %d calls were good: there %+v, back %+v", good, offered, there, back)
	}
	near.over(t)
	far.over(t)
	for _, s := range []*lossySide{near, far} {
		m := s.Metrics()
		t.Logf("%s: repeated by the edge: %.0f; copies it received: %.0f", s.prefix, m.Sum("trunkline_sip_retransmissions_total", `direction="tx"`),
			m.Sum("trunkline_sip_retransmissions_total", `direction="rx"`))
		s.Stop()
		s.check(t, offered)
	}
}

// check: one record for each call that the edge saw, half of them each way; those of its own applications are all there.
func (s *lossySide) check(t *testing.T, offered int) {
	t.Helper()
	ids, by := map[string]bool{}, map[string]int{}
	for _, r := range s.Records() {
		ids[r.ID] = true
		by[r.Direction.String()]++
		by[r.Direction.String()+" "+r.Outcome]++
		if r.Ended.Before(r.Started) {
			t.Errorf("%+v", r)
		}
	}
	half := offered / 2
	if by["outbound"] != half || by["inbound"] > half || by["inbound"] < half*99/100 || len(ids) != by["outbound"]+by["inbound"] {
		t.Errorf("%s: %d records of different calls; by direction and outcome: %v", s.prefix, len(ids), by)
	}
	for _, direction := range []string{"outbound", "inbound"} {
		if answered, cancelled := by[direction+" answered"], by[direction+" cancelled"]; answered < half*2/3*99/100 || cancelled < half/3*97/100 {
			t.Errorf("%s: by direction and outcome: %v", s.prefix, by)
		}
	}
}
