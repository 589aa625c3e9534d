package siptest

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/sip/transport"
)

// fakeEdge is a user agent just clever enough to hold the runner against: it answers OPTIONS at once, an INVITE to "busy"
// with 486 and any other with 100, 180 and after a second 200; it repeats finals until the ACK, answers BYE and CANCEL,
// and calls the carrier when an INVITE names it.
type fakeEdge struct {
	port    transport.Port
	network *Network
	timers  []fakeTimer
	acked   map[string]bool
	records []Record
	options int
	faulty  string // a header it leaves out
}

type fakeTimer struct {
	at    time.Time
	flow  transport.Flow
	bytes []byte
	again time.Duration
	key   string
}

func newFake(t *testing.T, cfg config.Config, n *Network) Edge {
	return &fakeEdge{port: n.Port(0), network: n, acked: map[string]bool{}}
}

func (f *fakeEdge) Records() []Record { return f.records }
func (f *fakeEdge) Metrics() string {
	return fmt.Sprintf("# HELP fake\nfake_options_total{kind=\"any\"} %d\n", f.options)
}

func (f *fakeEdge) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		packet, ok := f.port.Receive(f.next())
		if ok && packet.Err != nil {
			f.records = append(f.records, Record{"outcome": "unreachable", "who": f.network.nameOf(packet.Flow.Remote)})
		} else if ok {
			f.receive(packet)
		}
		f.tick()
	}
	return nil
}

func (f *fakeEdge) next() time.Duration {
	wait := time.Hour
	for _, t := range f.timers {
		wait = min(wait, t.at.Sub(f.port.Now()))
	}
	return max(wait, 0)
}

func (f *fakeEdge) tick() {
	now := f.port.Now()
	var left []fakeTimer
	for _, t := range f.timers {
		switch {
		case t.at.After(now):
			left = append(left, t)
		case !f.acked[t.key]:
			f.port.Send(t.flow, t.bytes, 0)
			if t.again > 0 && t.again < 32*time.Second {
				t.at, t.again = now.Add(t.again), 2*t.again
				left = append(left, t)
			}
		}
	}
	f.timers = left
}

func (f *fakeEdge) receive(p transport.Packet) {
	if string(p.Bytes) == transport.Ping {
		f.port.Send(p.Flow, []byte("\r\n"), 0)
		return
	}
	m, err := parseMessage(p.Bytes)
	if err != nil || m.status != 0 {
		return
	}
	key := m.callID()
	reply := func(status int) *message {
		r := &message{status: status, reason: reasons[status]}
		for i, v := range m.list("Via") {
			if i == 0 {
				v = strings.Replace(v, ";rport", fmt.Sprintf(";rport=%d;received=%s", p.Flow.Remote.Port(), p.Flow.Remote.Addr()), 1)
			}
			r.add("Via", v)
		}
		for _, v := range m.list("Record-Route") {
			r.add("Record-Route", v)
		}
		r.add("From", m.get("From"))
		to := m.get("To")
		if status > 100 && m.toTag() == "" {
			to += ";tag=edgetag-" + key
		}
		r.add("To", to)
		r.add("Call-ID", key)
		r.add("CSeq", m.get("CSeq"))
		r.add("Contact", "<sip:edge@"+f.network.Listeners()[p.Flow.Socket].SentBy+">")
		r.add("Content-Length", "0")
		r.remove(f.faulty)
		return r
	}
	switch m.method {
	case "OPTIONS":
		f.options++
		f.port.Send(p.Flow, reply(200).bytes(), 0)
	case "ACK":
		f.acked[key] = true
	case "BYE":
		f.acked[key] = true
		f.port.Send(p.Flow, reply(200).bytes(), 0)
		f.records = append(f.records, Record{"outcome": "answered", "ended_by": "caller", "code": "200"})
	case "CANCEL":
		f.port.Send(p.Flow, reply(200).bytes(), 0)
	case "INVITE":
		f.port.Send(p.Flow, reply(100).bytes(), 0)
		switch uriUser(m.uri) {
		case "busy":
			f.timers = append(f.timers, fakeTimer{f.port.Now(), p.Flow, reply(486).bytes(), 500 * time.Millisecond, key})
		case "carrier":
			f.call(m)
		default:
			f.port.Send(p.Flow, reply(180).bytes(), 0)
			f.timers = append(f.timers, fakeTimer{f.port.Now().Add(time.Second), p.Flow, reply(200).bytes(), 500 * time.Millisecond, key})
		}
	}
}

// call sends an OPTIONS to the carrier.
func (f *fakeEdge) call(invite *message) {
	l := f.network.Listeners()[0]
	m := &message{method: "OPTIONS", uri: "sip:192.0.2.20:5060"}
	m.add("Via", "SIP/2.0/UDP "+l.SentBy+";rport;branch=z9hG4bKfakefakefake")
	m.add("Max-Forwards", "70")
	m.add("From", "<sip:edge@192.0.2.1>;tag=fromfake")
	m.add("To", "<sip:192.0.2.20>")
	m.add("Call-ID", "fake-call")
	m.add("CSeq", "7 OPTIONS")
	m.add("Subject", invite.get("Subject"))
	m.add("Content-Length", "0")
	f.port.Send(transport.Flow{Proto: transport.UDP, Remote: netip.MustParseAddrPort("192.0.2.20:5060")}, m.bytes(), 0)
}
