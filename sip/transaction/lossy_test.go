package transaction

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// packet is on its way between the two ends of a lossy network.
type packet struct {
	at  time.Time
	nth int
	to  int
	b   []byte
}

type packets []packet

func (p packets) Len() int { return len(p) }
func (p packets) Less(i, j int) bool {
	if p[i].at.Equal(p[j].at) {
		return p[i].nth < p[j].nth
	}
	return p[i].at.Before(p[j].at)
}
func (p packets) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p *packets) Push(x any)   { *p = append(*p, x.(packet)) }
func (p *packets) Pop() any {
	last := (*p)[len(*p)-1]
	*p = (*p)[:len(*p)-1]
	return last
}

// lossy joins a caller's layer and a callee's through a network that loses,
// delays, reorders and repeats.
type lossy struct {
	t       *testing.T
	random  *rand.Rand
	now     time.Time
	ends    [2]*Layer
	flying  packets
	nth     int
	loss    float64
	jobs    map[time.Time][]func()
	parsed  wire.Message
	callers map[uint64]*lossyCaller
	callees map[string]*lossyCallee // by Call-ID
	timers  *Timers
}

type lossyCaller struct {
	number           int
	invite           Client
	text             string // of the INVITE
	answered         bool
	refused          bool
	failed           bool
	byeSent, byeDone bool
	finals           int
	cancel           bool
}

type lossyCallee struct {
	server   Server
	text     string
	news     int
	acked    bool
	noAck    bool
	byes     int
	answered int
}

type lossyEnd struct {
	*lossy
	to int
}

func (e lossyEnd) Send(f transport.Flow, b []byte, ref uint64) error {
	copies := 1
	switch p := e.random.Float64(); {
	case p < e.loss:
		copies = 0
	case p < e.loss+0.1:
		copies = 2
	}
	for range copies {
		e.nth++
		delay := 5*time.Millisecond + time.Duration(e.random.ExpFloat64()*float64(60*time.Millisecond))
		heap.Push(&e.flying, packet{e.now.Add(delay), e.nth, e.to, append([]byte(nil), b...)})
	}
	return nil
}

var overNet = transport.Flow{Proto: transport.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Remote: netip.MustParseAddrPort("192.0.2.2:5060")}

func newLossy(t *testing.T, seed uint64, loss float64) *lossy {
	n := &lossy{t: t, random: rand.New(rand.NewPCG(seed, 20)), now: begin, loss: loss,
		callers: map[uint64]*lossyCaller{}, callees: map[string]*lossyCallee{}, jobs: map[time.Time][]func(){}}
	n.ends[0] = NewLayer(lossyEnd{n, 1}, Options{})
	n.ends[1] = NewLayer(lossyEnd{n, 0}, Options{Shard: 1, ServerUser: n})
	return n
}

func (n *lossy) after(d time.Duration, f func()) {
	at := n.now.Add(d)
	n.jobs[at] = append(n.jobs[at], f)
}

// run lets d pass.
func (n *lossy) run(d time.Duration) {
	end := n.now.Add(d)
	for {
		next := end
		if len(n.flying) > 0 && n.flying[0].at.Before(next) {
			next = n.flying[0].at
		}
		for at := range n.jobs {
			if at.Before(next) {
				next = at
			}
		}
		for _, l := range n.ends {
			if wait, ok := l.Next(n.now); ok && n.now.Add(wait).Before(next) {
				next = n.now.Add(wait)
			}
		}
		if next.Before(n.now) {
			n.t.Fatal("time goes backwards")
		}
		n.now = next
		if jobs := n.jobs[n.now]; jobs != nil {
			delete(n.jobs, n.now)
			for _, f := range jobs {
				f()
			}
		}
		for len(n.flying) > 0 && !n.flying[0].at.After(n.now) {
			p := heap.Pop(&n.flying).(packet)
			n.deliver(p.to, p.b)
		}
		for _, l := range n.ends {
			l.Advance(n.now)
		}
		if !n.now.Before(end) {
			return
		}
	}
}

func (n *lossy) deliver(to int, b []byte) {
	var e wire.Envelope
	if !wire.Scan(b, &e) {
		n.t.Fatalf("not SIP: %q", b)
	}
	l := n.ends[to]
	if l.Absorb(n.now, &e, overNet) {
		return
	}
	m := &n.parsed
	if err := m.Parse(b); err != nil {
		n.t.Fatalf("%v in %q", err, b)
	}
	if !e.Request {
		l.ReceiveResponse(n.now, m)
		return
	}
	s, verdict := l.ReceiveRequest(n.now, &e, m, overNet)
	text := string(b)
	c := n.callees[string(e.CallID)]
	switch verdict {
	case New:
		s.Bind([]byte("callee"), 0)
		if m.Method == wire.BYE {
			if c != nil {
				c.byes++
			}
			_ = s.Respond(n.now, 200, response(text, 200))
			return
		}
		if c == nil {
			c = &lossyCallee{}
			n.callees[string(e.CallID)] = c
		}
		c.news++
		c.server, c.text = s, text
		s.Trying(n.now)
		n.after(time.Second, func() { _ = c.server.Respond(n.now, 180, response(c.text, 180)) })
		n.after(2*time.Second, func() { n.answer(c) })
	case AckFor2xx:
		if c != nil {
			c.acked = true
			c.server.Acked(n.now)
		}
	case Cancelled:
		c.answered = 487
		_ = s.Respond(n.now, 487, response(c.text, 487))
	case Full, Merged:
		n.t.Fatalf("%v: %s", verdict, text)
	}
}

// answer: one call in five is refused.
func (n *lossy) answer(c *lossyCallee) {
	if c.answered != 0 {
		return
	}
	c.answered = 200
	if strings.Contains(header(c.text, "Call-ID"), "0@") || strings.Contains(header(c.text, "Call-ID"), "5@") {
		c.answered = 486
	}
	_ = c.server.Respond(n.now, c.answered, response(c.text, c.answered))
}

func (n *lossy) PrackTimeout(time.Time, Server) {}

func (n *lossy) AckTimeout(now time.Time, s Server) {
	for _, c := range n.callees {
		if c.server == s {
			c.noAck = true
		}
	}
}

func (n *lossy) Failed(now time.Time, s Server, cause Failure) {}

// lossyUser is the caller's side.
type lossyUser struct{ *lossy }

func (n *lossy) send(c *lossyCaller, method wire.Method, seq int, to string) Client {
	branch := n.ends[0].MintBranch(nil)
	text := call{via: "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=" + string(branch), uri: "sip:callee@192.0.2.2:5060",
		id: fmt.Sprintf("call%d@192.0.2.1", c.number), seq: seq, to: to}.request(method.String())
	if method == wire.ACK {
		_ = lossyEnd{n, 1}.Send(overNet, []byte(text), 0)
		return Client{}
	}
	if method == wire.INVITE {
		c.text = text
	}
	client, err := n.ends[0].Request(n.now, Request{Branch: branch, Method: method, Flow: overNet, Bytes: []byte(text), User: lossyUser{n}, Token: uint64(c.number), Timers: n.timers})
	if err != nil {
		n.t.Fatal(err)
	}
	return client
}

func (n lossyUser) Response(now time.Time, s Client, m *wire.Message) {
	c := n.callers[s.Token]
	to := string(m.Get(wire.HTo))
	switch {
	case m.Method == wire.BYE && m.Status >= 200:
		c.byeDone = true
	case m.Method == wire.BYE || m.Status < 200:
	case m.Status >= 300:
		c.refused = true
		c.finals++
	default:
		if !c.answered {
			c.finals++
		}
		c.answered = true
		n.send(c, wire.ACK, 1, to)
		if !c.byeSent {
			c.byeSent = true
			n.after(5*time.Second, func() { n.send(c, wire.BYE, 2, to) })
		}
	}
}

func (n lossyUser) Failed(now time.Time, s Client, cause Failure) { n.callers[s.Token].failed = true }

// TestTXN13 sets up, refuses, cancels and ends calls through a network that loses
// every fifth datagram, repeats every tenth and reorders.
func TestTXN13(t *testing.T) {
	const calls = 3000
	n := newLossy(t, 13, 0.2)
	for i := range calls {
		c := &lossyCaller{number: i, cancel: i%10 == 3}
		n.callers[uint64(i)] = c
		c.invite = n.send(c, wire.INVITE, 1, "<sip:callee@192.0.2.2>")
		if c.cancel {
			n.after(1500*time.Millisecond, func() { c.invite.Cancel(n.now, nil) })
		}
		n.run(20 * time.Millisecond)
	}
	n.run(3 * time.Minute)
	good, twice := 0, 0
	for i, c := range n.callers {
		if c.finals == 1 && !c.failed && (c.refused || c.byeDone) {
			good++
		}
		callee := n.callees[fmt.Sprintf("call%d@192.0.2.1", i)]
		if callee != nil && callee.news > 1 {
			twice++
		}
		if callee != nil && callee.answered == 200 && c.answered && !callee.acked {
			t.Errorf("call %d: answered and never ACKed", i)
		}
	}
	if good < calls*99/100 {
		t.Errorf("%d of %d calls went well, want 99 %%", good, calls)
	}
	if twice != 0 {
		t.Errorf("%d calls began twice", twice)
	}
	a, b := n.ends[0].Stats(), n.ends[1].Stats()
	t.Logf("%d of %d calls went well; requests repeated %v, responses repeated %v, copies of requests %v, of responses %v",
		good, calls, a.RequestRepeats, b.ResponseRepeats, b.RequestCopies, a.ResponseCopies)
	checkEmpty(t, n.ends[0])
	checkEmpty(t, n.ends[1])
}

// TestTXN13Timers: a trunk with a short T1 gets through the same network sooner.
func TestTXN13Timers(t *testing.T) {
	slow, quick := timeToTrying(t, nil), timeToTrying(t, &Timers{T1: 100 * ms})
	if quick > slow/2 {
		t.Errorf("first response after %v on average with T1 = 100 ms, %v with 500 ms", quick, slow)
	}
}

// timeToTrying returns how long the INVITEs of 500 calls took to get to the callee.
func timeToTrying(t *testing.T, timers *Timers) time.Duration {
	n := newLossy(t, 1, 0.4)
	n.timers = timers
	var sum time.Duration
	for i := range 500 {
		c := &lossyCaller{number: i}
		n.callers[uint64(i)] = c
		n.send(c, wire.INVITE, 1, "<sip:callee@192.0.2.2>")
		from := n.now
		for n.callees[fmt.Sprintf("call%d@192.0.2.1", i)] == nil && !c.failed {
			n.run(10 * time.Millisecond)
		}
		sum += n.now.Sub(from)
	}
	return sum / 500
}
