package transaction

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

var (
	carrier = netip.MustParseAddrPort("192.0.2.20:5060")
	overUDP = transport.Flow{Proto: transport.UDP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Remote: carrier}
	overTCP = transport.Flow{Proto: transport.TCP, Conn: 7, Remote: carrier}
)

// world is one layer, what it sent and what its users heard, and a clock.
type world struct {
	t      *testing.T
	l      *Layer
	now    time.Time
	sent   []sent
	heard  []string // callbacks: "180", "200", "failed timeout", "no ack", "server failed timeout"
	names  []Client // of the Response callbacks
	refuse error    // what Send returns
	ref    uint64   // of the last Send
	m      wire.Message
	onCall func(c Client) // called inside each client callback
}

type sent struct {
	at   time.Duration // since the world began
	text string
	flow transport.Flow
}

func newWorld(t *testing.T, o Options) *world {
	w := &world{t: t, now: begin}
	o.ServerUser = serverWorld{w}
	w.l = NewLayer(w, o)
	w.l.Advance(begin)
	return w
}

func (w *world) Send(f transport.Flow, b []byte, ref uint64) error {
	w.ref = ref
	if w.refuse != nil {
		return w.refuse
	}
	w.sent = append(w.sent, sent{w.now.Sub(begin), string(b), f})
	return nil
}

func (w *world) Response(now time.Time, c Client, m *wire.Message) {
	w.heard = append(w.heard, fmt.Sprint(m.Status))
	w.names = append(w.names, c)
	if w.onCall != nil {
		w.onCall(c)
	}
}

func (w *world) Failed(now time.Time, s Client, cause Failure) {
	w.heard = append(w.heard, "failed "+cause.String())
	if w.onCall != nil {
		w.onCall(s)
	}
}

// serverWorld is the world as the layer's ServerUser, whose Failed takes a Server.
type serverWorld struct{ *world }

func (w serverWorld) PrackTimeout(now time.Time, s Server) {
	w.heard = append(w.heard, fmt.Sprintf("no prack %d", s.Token()))
}

func (w serverWorld) AckTimeout(now time.Time, s Server) {
	w.heard = append(w.heard, fmt.Sprintf("no ack %d", s.Token()))
}

func (w serverWorld) Failed(now time.Time, s Server, cause Failure) {
	w.heard = append(w.heard, fmt.Sprintf("server failed %v %d", cause, s.Token()))
}

// wait lets time pass, advancing the layer whenever it wants to be.
func (w *world) wait(d time.Duration) {
	w.t.Helper()
	end := w.now.Add(d)
	for {
		next, ok := w.l.Next(w.now)
		if !ok || w.now.Add(next).After(end) {
			break
		}
		w.now = w.now.Add(next)
		w.l.Advance(w.now)
	}
	w.now = end
	w.l.Advance(w.now)
}

// receive takes a message through the layer as a shard does.
func (w *world) receive(text string, f transport.Flow) (Server, Verdict) {
	w.t.Helper()
	var e wire.Envelope
	b := []byte(text)
	if !wire.Scan(b, &e) {
		w.t.Fatalf("not SIP: %q", text)
	}
	if w.l.Absorb(w.now, &e, f) {
		return Server{}, Absorbed
	}
	if err := w.m.Parse(b); err != nil {
		w.t.Fatalf("%v in %q", err, text)
	}
	if e.Request {
		return w.l.ReceiveRequest(w.now, &e, &w.m, f)
	}
	if !w.l.ReceiveResponse(w.now, &w.m) {
		w.heard = append(w.heard, "stray")
	}
	return Server{}, Absorbed
}

// heardOnly fails unless exactly these callbacks have come since the last call.
func (w *world) heardOnly(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.heard, want) {
		w.t.Errorf("heard %q, want %q", w.heard, want)
	}
	w.heard = nil
}

// sentOnly fails unless exactly these first words, "INVITE" or "200 INVITE", have
// been sent since the last call, and returns the messages.
func (w *world) sentOnly(want ...string) []sent {
	w.t.Helper()
	var got []string
	for _, s := range w.sent {
		got = append(got, summary(s.text))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("sent %q, want %q", got, want)
	}
	all := w.sent
	w.sent = nil
	return all
}

// sentAt fails unless messages have left exactly at these times.
func (w *world) sentAt(want ...time.Duration) {
	w.t.Helper()
	var got []time.Duration
	for _, s := range w.sent {
		got = append(got, s.at)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("sent at %v, want %v", got, want)
	}
	w.sent = nil
}

// empty fails if the layer still holds anything.
func (w *world) empty() {
	w.t.Helper()
	checkEmpty(w.t, w.l)
	if wait, ok := w.l.Next(w.now); ok {
		w.t.Errorf("the layer still waits %v for something", wait)
	}
}

func checkEmpty(t *testing.T, l *Layer) {
	t.Helper()
	s := l.Stats()
	if s.Clients+s.Servers+s.LingerRecords+s.LingerBytes != 0 {
		t.Errorf("left over: %d clients, %d servers, %d finished", s.Clients, s.Servers, s.LingerRecords)
	}
	if l.byNonce.length+l.byKey.length+l.merging.length != 0 {
		t.Errorf("left in tables: %d, %d, %d", l.byNonce.length, l.byKey.length, l.merging.length)
	}
	if l.wheel.Len() != 0 || l.unheard != 0 {
		t.Errorf("left over: %d timers, unheard %d", l.wheel.Len(), l.unheard)
	}
	if l.buffers.lent != [bufferSizes]int{} {
		t.Errorf("buffers not given back: %v", l.buffers.lent)
	}
}

// summary is "INVITE" of a request and "200 INVITE" of a response.
func summary(text string) string {
	first, _, _ := strings.Cut(text, " ")
	if first == "SIP/2.0" {
		return text[8:11] + " " + strings.Fields(header(text, "CSeq"))[1]
	}
	return first
}

// header returns the value of the first line of this header, "" without one.
func header(text, name string) string {
	for line := range strings.SplitSeq(text, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}

func lines(s string) string {
	return strings.ReplaceAll(strings.TrimLeft(s, "\n"), "\n", "\r\n")
}

// call is the text of requests and responses of one exchange.
type call struct {
	via   string // with branch
	uri   string
	extra string // lines
	id    string
	seq   int
	to    string // To value
}

func (c call) request(method string) string {
	extra := ""
	if c.extra != "" {
		extra = c.extra + "\n"
	}
	return lines(fmt.Sprintf(`
%s %s SIP/2.0
Via: %s
%sMax-Forwards: 70
From: "Alice" <sip:+14155550100@edge.example>;tag=from1
To: %s
Call-ID: %s
CSeq: %d %s
Contact: <sip:edge@192.0.2.1:5060>
Content-Length: 0

`, method, c.uri, c.via, extra, c.to, c.id, c.seq, method))
}

// respond is a response as the peer would send it to a request that we sent.
func respond(request string, status int, tag string) string {
	to := header(request, "To")
	if tag != "" && !strings.Contains(to, ";tag=") {
		to += ";tag=" + tag
	}
	contact := ""
	if status > 100 && status < 300 {
		contact = "Contact: <sip:peer@192.0.2.20:5060>\r\n"
	}
	return fmt.Sprintf("SIP/2.0 %d %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n%sContent-Length: 0\r\n\r\n",
		status, wire.ReasonPhrase(status), header(request, "Via"), header(request, "From"), to,
		header(request, "Call-ID"), header(request, "CSeq"), contact)
}

// start sends a request of ours with a branch from the layer.
func (w *world) start(method wire.Method, f transport.Flow, t *Timers) (Client, string) {
	w.t.Helper()
	branch := w.l.MintBranch(nil)
	text := call{
		via: "SIP/2.0/" + f.Proto.String() + " 192.0.2.1:5060;rport;branch=" + string(branch),
		uri: "sip:+14155550199@carrier.example;user=phone", extra: "Route: <sip:proxy.example;lr>\nRoute: <sip:other.example;lr>",
		id: "a84b4c76e66710@edge.example", seq: 314159, to: "<sip:+14155550199@carrier.example>",
	}.request(method.String())
	c, err := w.l.Request(w.now, Request{Branch: branch, Method: method, Flow: f, Bytes: []byte(text), User: w, Token: 42, Timers: t})
	if err != nil {
		w.t.Fatal(err)
	}
	return c, text
}

// incoming is a request of the carrier's with this branch.
func incoming(method, branch string) string {
	return call{
		via: "SIP/2.0/UDP 192.0.2.20:5060;rport;branch=" + branch, uri: "sip:+14155550100@edge.example",
		id: "f81d4fae7dec@carrier.example", seq: 1, to: "<sip:+14155550100@edge.example>",
	}.request(method)
}

// response to a request that came to us, as the edge would write it.
func response(request string, status int) []byte { return []byte(respond(request, status, "local1")) }
