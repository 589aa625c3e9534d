package sip_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/config"
	"trunkline/internal/siptest"
	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// world is an edge on a network in memory with a carrier and an application.
type world struct {
	t       *testing.T
	edge    *sip.Edge
	net     *siptest.Network
	carrier *siptest.Endpoint
	app     *siptest.Endpoint
	at      netip.AddrPort // the edge
	lastTag string         // To tag of the last response to the carrier

	mu      sync.Mutex
	records []trunks.CallRecord
}

func (w *world) Record(r trunks.CallRecord) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
}

// worldConfig is the configuration of a world whose agent has a toll.
func worldConfig(t *testing.T, toll string) config.Config {
	t.Helper()
	return loadConfig(t, `agents:
  - {name: app, destinations: [{uri: "sip:192.0.2.30:5080"}], source_addresses: [192.0.2.30], toll: `+toll+`}
numbers:
  - {number: "+15550001234", trunk: carrier, inbound_agent: app, outbound_agent: app}
`)
}

// loadConfig is a configuration with one trunk, and with the agents and numbers given.
func loadConfig(t *testing.T, agents string) config.Config {
	t.Helper()
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + `
sip: {listen: ["udp://192.0.2.1:5060"]}
media: {relay: false}
trunks:
  - {name: carrier, server: "192.0.2.20:5060", source_addresses: [192.0.2.20]}
` + agents})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// setToll gives the agent a toll.
func (w *world) setToll(toll string) {
	w.t.Helper()
	snapshot, err := w.edge.Trunks().Rebuild(worldConfig(w.t, toll), nil)
	if err == nil {
		err = w.edge.Reload(snapshot)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// run builds a world in a bubble and plays with it.
func run(t *testing.T, log slog.Handler, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app = w.net.Endpoint("app", transport.UDP, netip.MustParseAddrPort("192.0.2.30:5080"))
		o := sip.Options{Trace: 1 << 20, OverloadDelay: 200 * time.Millisecond}
		if log != nil {
			o.Log = slog.New(log)
		}
		w.run(worldConfig(t, "{}"), o, func() { play(w) })
	})
}

// newWorld is a network with a carrier on it, and room for an edge.
func newWorld(t *testing.T) *world {
	w := &world{t: t, at: netip.MustParseAddrPort("192.0.2.1:5060")}
	w.net = siptest.NewNetwork(siptest.NetworkOptions{Listeners: []transport.Listener{{Proto: transport.UDP, Addr: w.at, Local: w.at, SentBy: w.at.String()}}})
	w.carrier = w.net.Endpoint("carrier", transport.UDP, netip.MustParseAddrPort("192.0.2.20:5060"))
	return w
}

// run has an edge of that configuration in the world while play lasts.
func (w *world) run(c config.Config, o sip.Options, play func()) {
	w.t.Helper()
	snapshot, err := trunks.Build(c, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	o.Trunks, o.Records = snapshot, w
	if o.Network == nil {
		o.Network = w.net
	}
	if w.edge, err = sip.New(o); err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { w.edge.Run(ctx); close(done) }() // ends with stop
	play()
	stop()
	<-done
	w.net.Close()
}

// call sends the n-th INVITE from the carrier.
func (w *world) call(n int, called string) {
	w.t.Helper()
	w.send(w.carrier, fmt.Sprintf("INVITE sip:%[2]s@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKi%[1]d;rport\nMax-Forwards: 70\n"+
		"From: <sip:+14155550199@192.0.2.20>;tag=c%[1]d\nTo: <sip:%[2]s@192.0.2.1>\nCall-ID: call-%[1]d\nCSeq: 1 INVITE\nContact: <sip:192.0.2.20:5060>\nContent-Length: 0\n\n",
		n, called))
}

func (w *world) send(from *siptest.Endpoint, text string) {
	w.t.Helper()
	if err := from.Send(w.at, []byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		w.t.Fatal(err)
	}
}

// next returns what comes next to an endpoint.
func (w *world) next(at *siptest.Endpoint) *wire.Message {
	w.t.Helper()
	a, ok := at.Receive(time.Second)
	if !ok {
		w.t.Fatal("nothing came within a second")
	}
	m := new(wire.Message)
	if err := m.Parse(bytes.Clone(a.Bytes)); err != nil {
		w.t.Fatalf("%v in\n%s", err, a.Bytes)
	}
	if at == w.carrier && m.Status > 100 {
		w.lastTag = string(m.To.Tag)
	}
	return m
}

// final skips provisionals.
func (w *world) final(at *siptest.Endpoint) int {
	w.t.Helper()
	for {
		if m := w.next(at); m.Status >= 200 {
			return m.Status
		}
	}
}

// panicky is a log handler that panics on one message, to stand for any bug on
// a call's way.
type panicky struct {
	slog.Handler
	on string
	n  int // times it may panic
}

func (p *panicky) Enabled(context.Context, slog.Level) bool { return true }
func (p *panicky) Handle(_ context.Context, r slog.Record) error {
	if r.Message == p.on && p.n > 0 {
		p.n--
		panic("a bug")
	}
	return nil
}

// A panic ends the call it happens in, with a 500 and one record; the others and
// the process go on.
func TestPanicEndsThatCallOnly(t *testing.T) {
	for _, test := range []struct {
		name, on string
		code     int // what the caller of the broken call hears
		records  int // of the two calls
	}{
		{"while a call is set up", "call refused", 500, 2},
		{"while a call is ended", "call ended", 404, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := &panicky{Handler: slog.DiscardHandler, on: test.on, n: 1}
			run(t, log, func(w *world) {
				w.call(1, "+19990000000") // leads nowhere
				if got := w.final(w.carrier); got != test.code {
					t.Errorf("the caller of the broken call hears %d, not %d", got, test.code)
				}
				w.call(2, "+15550001234")
				if m := w.next(w.app); m.Method != wire.INVITE {
					t.Errorf("the next call does not reach the application: %s", m.Bytes)
				}
				time.Sleep(5 * time.Minute) // ring limit: everything is over
				if n := w.edge.Calls(); n != 0 {
					t.Errorf("%d calls are left in the edge", n)
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				if len(w.records) != test.records {
					t.Errorf("%d records, want %d: %+v", len(w.records), test.records, w.records)
				}
			})
		})
	}
}

// brokenNetwork panics when something is sent to an address, to stand for a bug that a call meets again as it is ended.
type brokenNetwork struct {
	*siptest.Network
	to netip.AddrPort
	n  int // times it may panic
}

func (b *brokenNetwork) Port(shard int) transport.Port { return brokenPort{b.Network.Port(shard), b} }

type brokenPort struct {
	transport.Port
	of *brokenNetwork
}

func (p brokenPort) Send(f transport.Flow, b []byte, ref uint64) error {
	if f.Remote == p.of.to && p.of.n > 0 {
		p.of.n--
		panic("a bug")
	}
	return p.Port.Send(f, b, ref)
}

// A call that panics again while it is ended gives back what it holds, and has its record.
func TestPanicWhileThePanickedCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		app := netip.MustParseAddrPort("192.0.2.30:5080")
		w.app = w.net.Endpoint("app", transport.UDP, app)
		broken := &brokenNetwork{Network: w.net, to: app}
		c := worldConfig(t, "{}")
		c.Trunks[0].MaxCalls, c.Agents[0].MaxCalls = new(1), new(1)
		w.run(c, sip.Options{Network: broken}, func() {
			w.call(1, "+15550001234")
			w.answer(w.app, w.next(w.app), 200, agentOffer)
			if got := w.final(w.carrier); got != 200 {
				t.Fatalf("the caller hears %d", got)
			}
			broken.n = 2 // the ACK to the application, and the BYE that is to end the call for that
			w.ackAndBye(1)
			time.Sleep(5 * time.Minute)
			if n := w.edge.Calls(); n != 0 {
				t.Errorf("%d calls are left in the edge", n)
			}
			if len(w.records) != 1 || w.records[0].Outcome != "local_error" || w.records[0].Reason != "panic" || w.records[0].Ended.IsZero() {
				t.Errorf("records %+v", w.records)
			}
			for {
				if _, ok := w.app.Receive(0); !ok {
					break
				}
			}
			w.call(2, "+15550001234")
			if m := w.next(w.app); m.Method != wire.INVITE {
				t.Errorf("the only channel is not given back: %s", m.Bytes)
			}
		})
	})
}

// A call that was to take over another one, and panics twice, leaves that one as it was.
func TestPanicOfWhoTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.app = w.net.Endpoint("app", transport.UDP, netip.MustParseAddrPort("192.0.2.30:5080"))
		at := netip.MustParseAddrPort("192.0.2.30:5090")
		phone := w.net.Endpoint("phone", transport.UDP, at)
		broken := &brokenNetwork{Network: w.net, to: at}
		w.run(worldConfig(t, "{}"), sip.Options{Network: broken}, func() {
			o := &office{world: w}
			w.call(1, "+15550001234")
			invite := w.next(w.app)
			w.answer(w.app, invite, 200, agentOffer)
			if got := w.final(w.carrier); got != 200 {
				t.Fatalf("the caller hears %d", got)
			}
			w.send(w.carrier, o.fromCarrier("ACK", 1, 1, numberAnswer))
			o.wantMethod(w.next(w.app), wire.ACK)
			broken.n = 2
			w.send(phone, fmt.Sprintf("INVITE sip:+15550001234@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.30:5090;branch=z9hG4bKover;rport\nMax-Forwards: 70\n"+
				"From: <sip:+15550001234@192.0.2.30>;tag=over\nTo: <sip:+15550001234@192.0.2.1>\nCall-ID: over\nCSeq: 1 INVITE\nContact: <sip:192.0.2.30:5090>\n"+
				"Replaces: %s;to-tag=%s;from-tag=theirs\nContent-Type: application/sdp\nContent-Length: %d\n\n", invite.CallID, invite.From.Tag, len(agentOffer))+strings.ReplaceAll(agentOffer, "\r\n", "\n"))
			time.Sleep(time.Second)
			if broken.n != 0 {
				t.Errorf("%d panics are left", broken.n)
			}
			w.send(w.app, o.inside(invite, "BYE", "bye", "", ""))
			if m := w.next(w.app); m.Status != 200 {
				t.Errorf("the BYE: %d", m.Status)
			}
			for {
				if m := w.next(w.carrier); m.Method == wire.BYE {
					break
				}
			}
		})
	})
}

// TRN-08: the keep-alives of a trunk are those of the connections to it, and a reload that leaves them alone keeps the
// connections.
func TestKeepAliveOfATrunk(t *testing.T) {
	snapshot := func(keepAlive string) *trunks.Snapshot {
		c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + `
sip: {listen: ["tcp://192.0.2.1:5060"]}
trunks:
  - {name: carrier, server: "192.0.2.20:5060", transport: tcp, keep_alive: ` + keepAlive + `}
`})
		if err != nil {
			t.Fatal(err)
		}
		s, err := trunks.Build(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	at := netip.MustParseAddrPort("192.0.2.1:5060")
	net := siptest.NewNetwork(siptest.NetworkOptions{Listeners: []transport.Listener{{Proto: transport.TCP, Addr: at, Local: at, SentBy: at.String()}}})
	edge, err := sip.New(sip.Options{Network: net, Trunks: snapshot("30s")})
	if err != nil {
		t.Fatal(err)
	}
	peer := func() *transport.Peer {
		f, _, ok := edge.Way(edge.Trunks().Trunks[0], 0)
		if !ok {
			t.Fatal("no way")
		}
		return f.Peer
	}
	first := peer()
	if first == nil || first.Ping != 30*time.Second {
		t.Fatalf("peer %+v", first)
	}
	for _, step := range []struct {
		keepAlive string
		same      bool
		want      time.Duration
	}{{"30s", true, 30 * time.Second}, {"1m", false, time.Minute}} {
		if err := edge.Reload(snapshot(step.keepAlive)); err != nil {
			t.Fatal(err)
		}
		if got := peer(); (got == first) != step.same || got.Ping != step.want {
			t.Errorf("after a reload with %s: %+v", step.keepAlive, got)
		}
	}
	if err := edge.Reload(snapshot("0")); err != nil {
		t.Fatal(err)
	}
	if got := peer(); got != nil {
		t.Errorf("without keep-alives: %+v", got)
	}
}

// PAR-02: each broken request is answered and counted, and a thousand of them in a second are one line in the log, not
// a thousand.
func TestBrokenRequestsFillNoLog(t *testing.T) {
	log := new(siptest.Log)
	run(t, slog.NewTextHandler(log, nil), func(w *world) {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(w.edge.Collector())
		const broken = 1000
		for n := range broken {
			w.send(w.carrier, fmt.Sprintf("OPTIONS sip:192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKb%[1]d;rport\nMax-Forwards: many\n"+
				"From: <sip:a@192.0.2.20>;tag=b%[1]d\nTo: <sip:b@192.0.2.1>\nCall-ID: broken-%[1]d\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n", n))
			if m := w.next(w.carrier); m.Status != 400 {
				t.Fatalf("request %d is answered %d", n, m.Status)
			}
		}
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		counted := 0.0
		for _, f := range families {
			if f.GetName() == "trunkline_sip_parse_errors_total" {
				for _, m := range f.GetMetric() {
					counted += m.GetCounter().GetValue()
				}
			}
		}
		if counted != broken {
			t.Errorf("%v of %d are counted", counted, broken)
		}
	})
	if n := strings.Count(log.String(), "invalid message"); n < 1 || n > 4 { // they took two seconds
		t.Errorf("logged %d times:\n%s", n, log)
	}
}

// 180, 183 and 200 that arrive in one burst reach the caller in that order, a
// thousand times over.
func TestBurstKeepsOrder(t *testing.T) {
	run(t, nil, func(w *world) {
		for n := range 1000 {
			w.call(n, "+15550001234")
			invite := w.next(w.app)
			for _, status := range []int{180, 183, 200} {
				b := wire.AppendResponse(nil, invite, status, "", fmt.Appendf(nil, "t%d", n), netip.AddrPort{})
				b = append(b, "Contact: <sip:192.0.2.30:5080>\r\n"...)
				sdp := []byte(nil)
				if status == 200 {
					sdp = []byte("v=0\r\no=- 1 1 IN IP4 192.0.2.30\r\ns=-\r\nc=IN IP4 192.0.2.30\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
				}
				if err := w.app.Send(w.at, wire.AppendBody(b, "application/sdp", sdp)); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range []int{100, 180, 183, 200} {
				if got := w.next(w.carrier); got.Status != want {
					t.Fatalf("call %d: %d came where %d was due", n, got.Status, want)
				}
			}
			w.cancelRepeats(n)
		}
	})
}

// cancelRepeats acknowledges the n-th call with its answer and hangs up, so that
// nothing is repeated.
func (w *world) cancelRepeats(n int) {
	w.t.Helper()
	w.ackAndBye(n)
	ack := w.next(w.app)
	for ack.Method != wire.ACK {
		ack = w.next(w.app)
	}
	if m := w.next(w.app); m.Method != wire.BYE {
		w.t.Fatalf("call %d: %s came where BYE was due", n, m.MethodName)
	} else {
		w.app.Send(w.at, wire.AppendBody(wire.AppendResponse(nil, m, 200, "", nil, netip.AddrPort{}), "", nil))
	}
	if got := w.final(w.carrier); got != 200 {
		w.t.Fatalf("call %d: the BYE is answered %d", n, got)
	}
}

// ackAndBye sends ACK and BYE back to back, as a caller with nothing to say does.
func (w *world) ackAndBye(n int) {
	w.t.Helper()
	tag := w.lastTag
	const sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	for i, method := range []string{"ACK", "BYE"} {
		b := fmt.Appendf(nil, "%[1]s sip:192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bK%[1]s%[2]d;rport\r\nMax-Forwards: 70\r\n"+
			"From: <sip:+14155550199@192.0.2.20>;tag=c%[2]d\r\nTo: <sip:+15550001234@192.0.2.1>;tag=%[3]s\r\nCall-ID: call-%[2]d\r\nCSeq: %[4]d %[1]s\r\n",
			method, n, tag, i+1)
		body := []byte(nil)
		if method == "ACK" {
			body = []byte(sdp)
		}
		if err := w.carrier.Send(w.at, wire.AppendBody(b, "application/sdp", body)); err != nil {
			w.t.Fatal(err)
		}
	}
}
