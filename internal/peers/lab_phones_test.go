//go:build interop

package peers

import (
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"testing"
	"time"

	"trunkline/internal/carrier"
	"trunkline/internal/lab"
)

// handset is what the lab asks of a phone: the keys that a person would press, and what such a person would see.
type handset interface {
	Dial(to string)
	Accept()
	AnswerMode(mode string)
	HangUp()
	Hold()
	Resume()
	Transfer(to string)
	Send(digit byte)

	Connected() int
	Ended() int
	Rang() int
	Early() int
	Held() bool
	Digits() string
	Offers() int
	Recording() Recording
}

// line is a phone in its place at the edge.
type line struct {
	handset
	cell   lab.Cell       // what is common to what is seen of it
	number string         // under which it is called
	door   netip.AddrPort // the edge, as it sees it
	hertz  int            // that it plays
}

// pair are two phones with an edge between them, which both speak one transport and one kind of media with it.
type pair struct {
	*stage
	carrier, agent *line
}

// pairing is which phone stands where, and how the two speak.
type pairing struct {
	carrier, agent   string // "baresip" or "linphone"
	transport, media string
}

func (p pairing) String() string {
	return fmt.Sprintf("%s calls %s over %s and %s", p.carrier, p.agent, p.transport, p.media)
}

// pairings are all that are tried.
func pairings() (all []pairing) {
	for _, way := range [][2]string{{"udp", "rtp"}, {"tcp", "rtp"}, {"tls", "rtp"}, {"udp", "srtp"}, {"tls", "srtp"}} {
		all = append(all, pairing{"baresip", "linphone", way[0], way[1]}, pairing{"linphone", "baresip", way[0], way[1]})
		if way[0] == "tls" { // where linphone is not called as a carrier
			all = append(all, pairing{"baresip", "baresip", way[0], way[1]})
		}
	}
	return all
}

// together runs a test of each pairing that is wanted, all at the same time: they wait, most of the time, for each other or for a timer.
func together(t *testing.T, wanted func(p pairing) bool, test func(t *testing.T, p pairing)) {
	t.Helper()
	Need(t, "baresip", "linphonec")
	var all sync.WaitGroup
	for _, p := range pairings() {
		if !wanted(p) {
			continue
		}
		all.Go(func() { t.Run(p.String(), func(t *testing.T) { test(t, p) }) })
	}
	all.Wait()
}

const agentPassword = "s3cret-of-the-agent"

// start starts an edge and the two phones, or the agent's alone: then the trunk speaks UDP and RTP. The agent registers on the edge, and is
// known by its password. The carrier is known by its address: over TCP and TLS a wire gives it one, with a listener of its own behind it,
// since phones open connections from whatever address the kernel prefers.
func (p pairing) start(t *testing.T, session string) *pair {
	t.Helper()
	o := stageOptions{transport: "udp", appTransport: p.transport, relay: true, media: "ports: 10000-12999, address: " + EdgeHost, sip: "public_address: " + EdgeHost}
	if p.agent == "baresip" {
		o.sip += "\n  registrar: {digest: md5}" // Debian's fails where SHA-256 is offered as well
	}
	mediaOf := map[bool]string{false: "media: {latch: any, srtp: off}\n    ", true: "media: {latch: any, srtp: sdes}\n    "}
	o.trunk = mediaOf[p.carrier != "" && p.media == "srtp"] + session
	o.agent = mediaOf[p.media == "srtp"] + session + fmt.Sprintf("\n    auth_user: %q\n    auth_password: %s", ourNumber, agentPassword)
	if at := FreePort(t, CarrierHost); p.carrier == "baresip" && p.transport == "tls" {
		o.carrier = netip.AddrPortFrom(at.Addr(), at.Port()+1) // it listens one port below
	}
	behind := FreePort(t, EdgeHost)
	door := netip.AddrPortFrom(netip.MustParseAddr(CarrierHost), behind.Port())
	if p.carrier != "" && p.transport != "udp" {
		o.transport, o.listen, o.shown = p.transport, p.transport+"://"+behind.String(), "?public="+CarrierHost
	}
	s := newStage(t, o)
	if o.listen == "" {
		door = s.udp
	} else {
		NewWire(t, door, behind)
	}
	made := &pair{stage: s, agent: p.line(t, s, p.agent, lab.Cell{As: lab.Agent}, FreePort(t, AppHost), ourNumber, s.edgeAddress(p.transport), session)}
	if p.carrier != "" {
		made.carrier = p.line(t, s, p.carrier, lab.Cell{As: lab.Carrier}, s.carrier, theirNumber, door, session)
	}
	Eventually(t, 20*time.Second, "the agent is registered", func() bool {
		return s.Metrics().Sum("trunkline_agent_bindings", `agent="app"`) == 1
	})
	return made
}

// line starts a phone. The agent's registers.
func (p pairing) line(t *testing.T, s *stage, peer string, cell lab.Cell, at netip.AddrPort, number string, door netip.AddrPort, session string) *line {
	t.Helper()
	cell.Peer, cell.Transport, cell.Media = peer, p.transport, p.media
	secure, agent, password := p.media == "srtp", cell.As == lab.Agent, ""
	if agent {
		password = agentPassword
	}
	l := &line{cell: cell, number: number, door: door, hertz: toneOfCarrier}
	if agent {
		l.hertz = toneOfAgent
	}
	switch peer {
	case "linphone":
		phone := Linphone{Hertz: l.hertz, Listen: at, Transport: p.transport, User: number, Proxy: door.String(), Password: password, Register: agent, Secure: secure, Authority: s.authority}
		if session != "" {
			phone.Interval = 90 * time.Second
		}
		l.handset = phone.Start(t)
	default:
		if at.Port()%2 == 1 {
			at = netip.AddrPortFrom(at.Addr(), at.Port()-1)
		}
		l.handset = Baresip{Hertz: l.hertz, Listen: at, Transport: p.transport, User: number, Domain: door.String(), Proxy: door.String(), Password: password, Register: agent, Secure: secure, Authority: s.authority}.Start(t)
	}
	return l
}

// dial lets one line call the other.
func (p *pair) dial(from, to *line) {
	from.Dial(fmt.Sprintf("sip:%s@%s;transport=%s", to.number, from.door, from.cell.Transport))
}

// soon waits for what the phones show, which takes them a while when many run at once.
func soon(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not seen: %s", what)
		}
	}
}

// connect lets one line call the other, which answers by itself.
func (p *pair) connect(t *testing.T, from, to *line) {
	t.Helper()
	calls := [2]int{from.Connected(), to.Connected()}
	p.dial(from, to)
	soon(t, "both phones are connected", func() bool { return from.Connected() > calls[0] && to.Connected() > calls[1] })
}

// ends waits until both phones say that a call has ended, after something was done.
func (p *pair) ends(t *testing.T, by func()) {
	t.Helper()
	calls := [2]int{p.carrier.Ended(), p.agent.Ended()}
	by()
	soon(t, "the call has ended at both phones", func() bool { return p.carrier.Ended() > calls[0] && p.agent.Ended() > calls[1] })
	p.quiet(t)
}

// types lets one phone send a digit, which the other must receive, once.
func types(t *testing.T, from, to *line, digit byte) {
	t.Helper()
	had := to.Digits()
	from.Send(digit)
	soon(t, "the digit has come", func() bool { return to.Digits() == had+string(digit) })
}

// listens waits until a phone has heard the other's tone for a second from now on.
func listens(t *testing.T, l, other *line) {
	t.Helper()
	before := l.Recording().Tone(other.hertz)
	for end := time.Now().Add(20 * time.Second); l.Recording().Tone(other.hertz) < before+time.Second; time.Sleep(250 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the tone of %d Hz is not heard at the %s", other.hertz, l.cell.As)
		}
	}
}

// holds lets one phone hold the call and take it up again.
func holds(t *testing.T, by, other *line) {
	t.Helper()
	by.Hold()
	soon(t, "the other side is on hold", other.Held)
	by.Resume()
	soon(t, "the other side is back", func() bool { return !other.Held() })
}

// tour is a round of calls in one direction, with all that the two phones can do in them.
func (p *pair) tour(t *testing.T, from, to *line, direction string) {
	t.Helper()
	saw := func(l *line, what string) {
		c := l.cell
		c.What, c.Direction = what, direction
		lab.Passed(t, c)
	}

	to.AnswerMode("auto")
	p.connect(t, from, to)
	listens(t, from, to)
	listens(t, to, from)
	types(t, from, to, '5')
	types(t, to, from, '7')
	holds(t, from, to)
	holds(t, to, from)
	types(t, from, to, '#') // the media have come back
	types(t, to, from, '*')
	p.ends(t, from.HangUp)
	for _, l := range []*line{from, to} {
		for _, what := range []string{lab.Tone, lab.DTMFFromPeer, lab.DTMFToPeer, lab.HeldByPeer, lab.HeldByOther} {
			saw(l, what)
		}
	}

	to.AnswerMode("early")
	early := from.Early()
	connected := [2]int{from.Connected(), to.Connected()}
	p.dial(from, to)
	soon(t, "the caller has media before the answer", func() bool { return from.Early() > early })
	to.Accept()
	soon(t, "both phones are connected", func() bool { return from.Connected() > connected[0] && to.Connected() > connected[1] })
	p.ends(t, to.HangUp)
	saw(from, lab.EarlyMedia)
	saw(to, lab.EarlyMedia)
	saw(from, lab.HungUpByPeer)
	saw(from, lab.HungUpByOther)
	saw(to, lab.HungUpByPeer)
	saw(to, lab.HungUpByOther)

	to.AnswerMode("manual")
	rang := from.Rang()
	p.dial(from, to)
	soon(t, "the call rings", func() bool { return from.Rang() > rang })
	p.ends(t, from.HangUp)
	saw(from, lab.Cancelled)
	saw(to, lab.Cancelled)
}

// noListener is why nobody reaches a linphone over TLS that has not come by itself.
const noListener = "linphone takes no TLS connections, it only opens them"

// reachable reports whether the edge can call the carrier's phone. When it cannot, the lab is told.
func (p *pair) reachable(whats ...string) bool {
	if p.carrier.cell.Peer != "linphone" || p.carrier.cell.Transport != "tls" {
		return true
	}
	for _, what := range whats {
		c := p.carrier.cell
		c.What, c.Direction = what, lab.Outbound
		lab.Lacks(c, noListener)
	}
	return false
}

// TestLabPhonesTour: baresip and linphone, each as carrier and as agent, call each other both ways over each transport, with RTP and
// with SRTP: calls that either side ends, the tone of each heard by the other, digits, hold by either side, media before the answer, calls that are given up.
func TestLabPhonesTour(t *testing.T) {
	t.Parallel()
	together(t, func(pairing) bool { return true }, func(t *testing.T, way pairing) {
		p := way.start(t, "")
		c := p.agent.cell
		c.What = lab.Registration
		lab.Passed(t, c)
		p.tour(t, p.carrier, p.agent, lab.Inbound)
		if p.reachable(lab.Tone, lab.HungUpByPeer, lab.HungUpByOther, lab.Cancelled, lab.EarlyMedia, lab.DTMFFromPeer, lab.DTMFToPeer, lab.HeldByPeer, lab.HeldByOther) {
			p.tour(t, p.agent, p.carrier, lab.Outbound)
		}
		p.Stop()
		for _, r := range p.Records() {
			if r.Outcome != "answered" && r.Outcome != "cancelled" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// TestLabSessionTimers: the edge asks both phones for a session of 90 seconds, which is refreshed at half of it: by linphone, or for baresip,
// which knows no session timers, by the edge. The call lives on.
func TestLabSessionTimers(t *testing.T) {
	t.Parallel()
	// SRTP says nothing more about timers.
	wanted := func(p pairing) bool { return p.media == "rtp" && p.carrier != p.agent }
	together(t, wanted, func(t *testing.T, way pairing) {
		p := way.start(t, "session_expires: 90s")
		from, to, direction := p.agent, p.carrier, lab.Outbound
		if !p.reachable() {
			from, to, direction = p.carrier, p.agent, lab.Inbound
		}
		p.connect(t, from, to)
		lines := []*line{from, to}
		offers := [2]int{from.Offers(), to.Offers()}
		for end := time.Now().Add(70 * time.Second); from.Offers() == offers[0] || to.Offers() == offers[1]; time.Sleep(500 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("no refresh")
			}
		}
		types(t, from, to, '1')
		p.ends(t, from.HangUp)
		for _, l := range lines {
			c := l.cell
			c.What, c.Direction = lab.SessionTimer, direction
			lab.Passed(t, c)
		}
	})
}

// TestLabTransfers: the agent's phone transfers a call of the carrier to another number there: without a word to whom it leads, and after
// it has talked to them. The carrier's own parties hear each other then, and the agent is out of it.
func TestLabTransfers(t *testing.T) {
	t.Parallel()
	wanted := func(p pairing) bool { return (p.media == "rtp" || p.transport == "tls") && p.carrier != p.agent }
	together(t, wanted, func(t *testing.T, way pairing) {
		way.carrier = ""
		p := way.start(t, "")
		c := newCarrier(t, p.stage)
		const number = "+14155550199"
		third := "sip:" + number + "@" + p.agent.door.String()
		saw := func(what string) {
			cell := p.agent.cell
			cell.What, cell.Direction = what, lab.Inbound
			lab.Passed(t, cell)
		}
		blind := p.calledBy(t, c)
		ended := p.agent.Ended()
		p.agent.Transfer(third)
		p.joined(t, c, blind)
		soon(t, "the agent's call has ended", func() bool { return p.agent.Ended() > ended })
		blind.HangUp(t.Context())
		p.quiet(t)
		saw(lab.BlindTransfer)

		attended := p.calledBy(t, c)
		p.agent.Hold()
		connected := p.agent.Connected()
		p.agent.Dial(third + ";transport=" + way.transport)
		soon(t, "the third party has answered", func() bool { return p.agent.Connected() > connected })
		switch phone := p.agent.handset.(type) {
		case *RunningLinphone:
			phone.TransferBetween(2, 3)
		case *Phone: // has no key for it, but takes a target with Replaces
			d := phone.Dialed(number)
			phone.Switch(1)
			replaces := url.QueryEscape(fmt.Sprintf("%s;to-tag=%s;from-tag=%s", d.CallID, d.RemoteTag, d.LocalTag))
			phone.Transfer(fmt.Sprintf("<%s?Replaces=%s>", third, replaces))
		}
		p.joined(t, c, attended)
		soon(t, "both of the agent's calls have ended", func() bool { return p.agent.Ended() >= ended+3 })
		attended.HangUp(t.Context())
		p.quiet(t)
		saw(lab.AttendedByPeer)
	})
}

// calledBy lets the carrier call the agent and returns when they hear each other.
func (p *pair) calledBy(t *testing.T, c *carrier.Carrier) *carrier.Call {
	t.Helper()
	call, err := c.Call(t.Context(), theirNumber, ourNumber)
	if err != nil {
		t.Fatal(err)
	}
	soon(t, "the carrier hears the agent", func() bool { return call.Info().Media.Received > 25 })
	return call
}

// joined waits until the carrier hears itself in two calls: what the transfer has joined.
func (p *pair) joined(t *testing.T, c *carrier.Carrier, call *carrier.Call) {
	t.Helper()
	soon(t, "the carrier's two parties hear each other", func() bool {
		calls := c.Calls()
		last := calls[len(calls)-1]
		return last.Incoming && !last.Answer.IsZero() && last.Media.Hertz == carrierTone && call.Info().Media.Hertz == carrierTone
	})
}
