package register_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/config"
	"trunkline/internal/siptest"
	"trunkline/sip"
	"trunkline/sip/register"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// world is a keeper on an edge, and a registrar whose lines the test speaks.
type world struct {
	*testing.T
	edge      *sip.Edge
	keeper    *register.Keeper
	net       *siptest.Network
	registrar *siptest.Endpoint
	log       *siptest.Log
}

var (
	edgeAt      = netip.MustParseAddrPort("192.0.2.1:5060")
	registrarAt = netip.MustParseAddrPort("192.0.2.20:5060")
)

// oneTrunk is what most tests register: alice at carrier.example.
const oneTrunk = `{name: carrier, server: "192.0.2.20:5060", domain: carrier.example, register: true, auth_user: alice, auth_password: secret}`

// run registers trunks in a bubble, in YAML as in sipgo.yaml, and plays the registrar. Names of servers are both
// 192.0.2.20 and 192.0.2.21.
func run(t *testing.T, trunkLines string, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{T: t, log: new(siptest.Log)}
		w.net = siptest.NewNetwork(siptest.NetworkOptions{Listeners: []transport.Listener{{Proto: transport.UDP, Addr: edgeAt, Local: edgeAt, SentBy: edgeAt.String()}}})
		w.registrar = w.net.Endpoint("registrar", transport.UDP, registrarAt)
		var err error
		if w.edge, err = sip.New(sip.Options{Network: w.net, Trunks: w.snapshot(trunkLines)}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { w.edge.Run(ctx); close(ended) }() // ends with stop
		w.keeper = register.New(w.edge, slog.New(slog.NewTextHandler(w.log, nil)))
		w.keeper.Apply(w.edge.Trunks())
		play(w)
		closing, cancel := context.WithTimeout(t.Context(), time.Second)
		w.keeper.Close(closing)
		cancel()
		stop()
		<-ended
		w.net.Close()
	})
}

func (w *world) snapshot(trunkLines string) *trunks.Snapshot {
	w.Helper()
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=sip: {listen: [\"udp://192.0.2.1:5060\"]}\ntrunks:\n  - " + trunkLines})
	if err != nil {
		w.Fatal(err)
	}
	s, err := trunks.Build(c, trunks.Names{{Name: "two.example", Transport: config.UDP}: {{Addr: registrarAt}, {Addr: netip.MustParseAddrPort("192.0.2.21:5060")}}})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// token is the user of our Contact.
func (w *world) token() string { return w.edge.Trunks().Trunks[0].Token }

// reload puts other trunks into force.
func (w *world) reload(trunkLines string) {
	w.Helper()
	s := w.snapshot(trunkLines)
	if err := w.edge.Reload(s); err != nil {
		w.Fatal(err)
	}
	w.keeper.Apply(s)
}

// next returns the REGISTER that comes next, within a wait.
func (w *world) next(within time.Duration) *wire.Message { return w.nextAt(w.registrar, within) }

func (w *world) nextAt(at *siptest.Endpoint, within time.Duration) *wire.Message {
	w.Helper()
	a, ok := receive(at, within)
	if !ok {
		w.Fatalf("no REGISTER within %s; %+v", within, w.keeper.Status())
	}
	m := new(wire.Message)
	if err := m.Parse(bytes.Clone(a.Bytes)); err != nil {
		w.Fatalf("%v in\n%s", err, a.Bytes)
	}
	if m.Method != wire.REGISTER {
		w.Fatalf("%s where REGISTER was due", m.MethodName)
	}
	return m
}

// receive is Receive without the keep-alives.
func receive(at *siptest.Endpoint, within time.Duration) (siptest.Arrival, bool) {
	for end := time.Now().Add(within); ; {
		a, ok := at.Receive(time.Until(end))
		if !ok || string(a.Bytes) != transport.Ping {
			return a, ok
		}
	}
}

// silence fails if a REGISTER comes.
func (w *world) silence(for_ time.Duration) {
	w.Helper()
	if a, ok := receive(w.registrar, for_); ok {
		w.Fatalf("nothing was due, but came\n%s", a.Bytes)
	}
}

// answer answers a REGISTER with these header lines beside the usual ones.
func (w *world) answer(m *wire.Message, status int, lines ...string) {
	w.Helper()
	w.answerFrom(w.registrar, m, status, lines...)
}

func (w *world) answerFrom(from *siptest.Endpoint, m *wire.Message, status int, lines ...string) {
	w.Helper()
	b := wire.AppendResponse(nil, m, status, "", []byte("registrar"), edgeAt)
	for _, line := range lines {
		b = append(append(b, line...), "\r\n"...)
	}
	if err := from.Send(edgeAt, wire.AppendBody(b, "", nil)); err != nil {
		w.Fatal(err)
	}
	synctest.Wait()
	time.Sleep(10 * time.Millisecond) // the way to the edge
}

// granted answers 200 and grants what is said at the Contact.
func (w *world) granted(m *wire.Message, seconds int) {
	w.Helper()
	w.answer(m, 200, fmt.Sprintf("Contact: %s;expires=%d", m.Get(wire.HContact), seconds))
}

// status returns the status of the only trunk.
func (w *world) status() register.Status {
	w.Helper()
	all := w.keeper.Status()
	if len(all) != 1 {
		w.Fatalf("%d registrations, want 1", len(all))
	}
	return all[0]
}

func (w *world) wantState(want register.State) {
	w.Helper()
	if got := w.status(); got.State != want {
		w.Errorf("state %s, want %s: %+v", got.State, want, got)
	}
}

// about reports whether got is want, give or take the time messages travel.
func about(got, want time.Duration) bool {
	return got > want-50*time.Millisecond && got < want+50*time.Millisecond
}
