package transaction

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// walk drives one layer with whatever the bytes say: requests and responses that
// come, copies, requests and answers of our own, time. Its users check what
// every user may rely on.
type walk struct {
	t       testing.TB
	l       *Layer
	now     time.Time
	steps   []byte
	m       wire.Message
	sent    []string // requests of ours, to respond to
	clients []Client
	servers []Server
	known   map[Server]string // request of each server transaction
	ended   map[Client]string // how each client transaction ended
	acked   map[Server]bool
	invites map[Client]bool
	refs    []uint64
}

var errWalk = errors.New("unreachable")

func (w *walk) next() byte {
	if len(w.steps) == 0 {
		return 0
	}
	b := w.steps[0]
	w.steps = w.steps[1:]
	return b
}

func (w *walk) Send(f transport.Flow, b []byte, ref uint64) error {
	var m wire.Message
	if err := m.Parse(b); err != nil {
		w.t.Fatalf("sent a broken message: %v\n%s", err, b)
	}
	if ref != 0 && len(w.refs) < 100 {
		w.refs = append(w.refs, ref)
	}
	if len(w.steps) > 0 && w.steps[0] == 0xfe {
		w.steps = w.steps[1:]
		return errWalk
	}
	if m.IsRequest() && m.Method != wire.ACK {
		w.sent = append(w.sent, string(b))
	}
	return nil
}

func (w *walk) Response(now time.Time, c Client, m *wire.Message) {
	ended := w.ended[c]
	if ended != "" && (!w.invites[c] || m.Status < 200 || m.Status >= 300) {
		w.t.Fatalf("%d after %s", m.Status, ended)
	}
	if m.Status >= 200 {
		w.ended[c] = fmt.Sprint(m.Status)
	}
	w.react(c)
}

type walkServer struct{ *walk }

func (w *walk) Failed(now time.Time, c Client, cause Failure) {
	if w.ended[c] != "" {
		w.t.Fatalf("failed %v after %s", cause, w.ended[c])
	}
	w.ended[c] = cause.String()
	w.react(c)
}

// react: a user may do anything from inside a callback.
func (w *walk) react(c Client) {
	switch w.next() % 8 {
	case 1:
		c.Cancel(w.now, nil)
	case 2:
		w.request()
	case 3:
		w.answer()
	}
}

func (w walkServer) PrackTimeout(now time.Time, s Server) { w.react(Client{}) }

func (w walkServer) AckTimeout(now time.Time, s Server) {
	if w.acked[s] {
		w.t.Fatal("AckTimeout after Acked")
	}
	w.react(Client{})
}

func (w walkServer) Failed(now time.Time, s Server, cause Failure) { w.react(Client{}) }

var walkFlows = []transport.Flow{overUDP, overTCP}

func (w *walk) request() {
	if w.l.clients.live > 50 {
		return
	}
	b := w.next()
	method := []wire.Method{wire.INVITE, wire.INVITE, wire.BYE, wire.OPTIONS}[b&3]
	f := walkFlows[b>>2&1]
	branch := w.l.MintBranch(nil)
	text := call{via: "SIP/2.0/" + f.Proto.String() + " 192.0.2.1:5060;rport;branch=" + string(branch), uri: "sip:a@b",
		id: "walk", seq: 1, to: "<sip:a@b>"}.request(method.String())
	var timers *Timers
	if b&8 != 0 {
		timers = &Timers{T1: 100 * time.Millisecond, C: 10 * time.Second}
	}
	c, err := w.l.Request(w.now, Request{Branch: branch, Method: method, Flow: f, Bytes: []byte(text), User: w, Timers: timers, Token: uint64(len(w.clients))})
	if err == nil {
		w.invites[c] = method == wire.INVITE
		w.clients = append(w.clients, c)
	}
}

func (w *walk) answer() {
	if len(w.servers) == 0 {
		return
	}
	s := w.servers[int(w.next())%len(w.servers)]
	status := []int{100, 180, 200, 302, 404, 408, 487, 603}[w.next()&7]
	request := w.known[s]
	live := s.Live()
	var err error
	if status == 180 && w.next()&1 == 0 {
		err = s.RespondReliably(w.now, response(request, status))
		if w.next()&1 == 0 {
			s.Pracked(w.now)
		}
	} else {
		err = s.Respond(w.now, status, response(request, status))
	}
	if !live && err != ErrOver {
		w.t.Fatalf("Respond to a finished transaction: %v", err)
	}
}

func (w *walk) receive(text string, f transport.Flow) {
	b := []byte(text)
	var e wire.Envelope
	if !wire.Scan(b, &e) || w.l.Absorb(w.now, &e, f) {
		return
	}
	if w.m.Parse(b) != nil {
		return
	}
	if !e.Request {
		w.l.ReceiveResponse(w.now, &w.m)
		return
	}
	s, verdict := w.l.ReceiveRequest(w.now, &e, &w.m, f)
	switch verdict {
	case New:
		s.Bind([]byte("local1"), 1)
		w.servers = append(w.servers, s)
		w.known[s] = text
	case Cancelled:
		_ = s.Respond(w.now, 487, response(w.known[s], 487))
	case AckFor2xx:
		if s != (Server{}) {
			w.acknowledge(s)
		}
	}
}

// acknowledge may come too early, and then counts for nothing.
func (w *walk) acknowledge(s Server) {
	live := s.Live()
	s.Acked(w.now)
	w.acked[s] = w.acked[s] || live && !s.Live()
}

func (w *walk) step() {
	switch w.next() % 14 {
	case 0, 1:
		w.request()
	case 2, 3, 4: // a response to something we sent
		if len(w.sent) > 0 {
			b := w.next()
			request := w.sent[len(w.sent)-1-int(b>>3)%len(w.sent)]
			f := overUDP
			if strings.Contains(request, "TCP") {
				f = overTCP
			}
			w.receive(respond(request, []int{100, 180, 183, 200, 200, 401, 487, 503}[b&7], "b"), f)
		}
	case 5, 6, 7: // a request, and sometimes one without the cookie
		b := w.next()
		method := []string{"INVITE", "INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "FOO", "ACK"}[b&7]
		branch := []string{"z9hG4bK1", "z9hG4bK2", "old", "z9hG4bK3"}[b>>3&3]
		text := call{via: "SIP/2.0/UDP 192.0.2.20:5060;branch=" + branch, uri: "sip:a@b", id: "in", seq: 1 + int(b>>5&3), to: "<sip:a@b>"}.request(method)
		if b>>7 != 0 {
			text = strings.Replace(text, "<sip:a@b>\r\nCall", "<sip:a@b>;tag=local1\r\nCall", 1)
		}
		w.receive(text, walkFlows[w.next()&1])
	case 8:
		w.answer()
	case 9:
		if len(w.clients) > 0 {
			c := w.clients[int(w.next())%len(w.clients)]
			if w.next()&1 == 0 {
				c.Cancel(w.now, []byte("Reason: Q.850;cause=16\r\n"))
			} else {
				c.Abandon()
			}
		}
	case 10:
		if len(w.servers) > 0 {
			s := w.servers[int(w.next())%len(w.servers)]
			s.Trying(w.now)
			w.acknowledge(s)
		}
	case 11:
		if len(w.refs) > 0 {
			w.l.TransportFailed(w.now, w.refs[int(w.next())%len(w.refs)])
		}
		if w.next()&15 == 0 {
			w.l.TransportFailedTo(w.now, carrier)
			w.l.ConnectionLost(w.now, overTCP)
		}
	default:
		b := w.next()
		w.pass(time.Duration(b>>2) * []time.Duration{time.Millisecond, 20 * time.Millisecond, time.Second, 40 * time.Millisecond}[b&3])
	}
}

func (w *walk) pass(d time.Duration) {
	end := w.now.Add(d)
	for {
		wait, ok := w.l.Next(w.now)
		if !ok || w.now.Add(wait).After(end) {
			break
		}
		w.now = w.now.Add(wait)
		w.l.Advance(w.now)
	}
	w.now = end
	w.l.Advance(w.now)
}

// runWalk takes the steps and then keeps silent: at the end nothing may be left.
func runWalk(t testing.TB, steps []byte) {
	w := &walk{t: t, now: begin, steps: steps, known: map[Server]string{}, ended: map[Client]string{}, acked: map[Server]bool{}, invites: map[Client]bool{}}
	w.l = NewLayer(w, Options{ServerUser: walkServer{w}, Unanswered: 30 * time.Second, MaxServers: 40, MaxLinger: 20_000, Timers: Timers{C: 20 * time.Second}})
	for len(w.steps) > 0 {
		w.step()
	}
	for _, s := range w.servers {
		_ = s.Respond(w.now, 500, response(w.known[s], 500))
	}
	w.pass(time.Minute + 64*time.Second)
	for _, c := range w.clients {
		if c.Live() {
			t.Fatal("a client transaction is left")
		}
	}
	w.pass(40 * time.Second)
	s := w.l.Stats()
	if s.Clients+s.Servers+s.LingerRecords != 0 || w.l.byNonce.length+w.l.byKey.length+w.l.merging.length != 0 || w.l.wheel.Len() != 0 || w.l.unheard != 0 {
		t.Fatalf("left over: %+v", s)
	}
	if w.l.buffers.lent != [bufferSizes]int{} {
		t.Fatalf("buffers not given back: %v", w.l.buffers.lent)
	}
}

func TestRandomWalk(t *testing.T) {
	walks := 3000
	if testing.Short() {
		walks = 300
	}
	for seed := range uint64(walks) {
		random := rand.New(rand.NewPCG(seed, 64))
		steps := make([]byte, 40+random.IntN(600))
		for i := range steps {
			steps[i] = byte(random.Uint32())
		}
		runWalk(t, steps)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte{0, 0, 2, 1, 2, 3, 12, 130, 9, 0, 0, 2, 6})
	f.Add([]byte{5, 0, 0, 8, 0, 2, 12, 41, 5, 2, 0, 10, 0, 5, 0})
	f.Add([]byte{5, 16, 0, 5, 19, 0, 8, 0, 6, 5, 18, 0, 12, 254, 254})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) < 5000 {
			runWalk(t, steps)
		}
	})
}
