//go:build interop

package peers

import (
	"cmp"
	"net/netip"
	"testing"
	"time"

	"trunkline/internal/carrier"
	"trunkline/internal/lab"
	"trunkline/store"
	"trunkline/trunks"
)

// phones are two real phones with an edge between them: one in the carrier's place, one in the agent's. Each plays its own tone.
type phones struct {
	*stage
	carrier, agent *Phone
	cells          [2]lab.Cell // what is common to those of the carrier and of the agent
}

const (
	toneOfCarrier = 440 // hertz
	toneOfAgent   = 1000
)

// phoneOptions vary them.
type phoneOptions struct {
	trunk, agent   string // further keys of their media
	more           stageOptions
	carrier, phone Baresip

	carrierLine, agentLine *Line  // what lies between the phone and the edge, but for its addresses; nil: nothing
	latch                  string // of the agent; empty: any
}

// startPhones starts an edge and two phones. Debian's baresip sends its media, and opens its connections, from the address that the
// kernel prefers, whatever it listens on: the edge has to take media from anywhere, and who speaks TCP or TLS is at that address.
func startPhones(t *testing.T, o phoneOptions) *phones {
	t.Helper()
	Need(t, "baresip")
	o.more.relay, o.more.media = true, "ports: 10000-10999"
	o.more.trunk += "\n    media: {latch: any, " + o.trunk + "}"
	o.more.agent += "\n    media: {latch: " + cmp.Or(o.latch, "any") + ", " + o.agent + "}"
	o.more.transport, o.more.appTransport = cmp.Or(o.carrier.Transport, "udp"), cmp.Or(o.phone.Transport, "udp")
	if o.more.transport != "udp" {
		o.more.carrier = FreePort(t, EdgeHost)
	}
	if o.more.appTransport != "udp" {
		o.more.app = FreePort(t, EdgeHost)
	}
	p := &phones{stage: newStage(t, o.more)}
	o.carrier.User, o.carrier.Hertz, o.carrier.Transport = theirNumber, toneOfCarrier, o.more.transport
	o.phone.User, o.phone.Hertz, o.phone.Transport = ourNumber, cmp.Or(o.phone.Hertz, toneOfAgent), o.more.appTransport
	o.carrier.Listen, o.phone.Listen = p.stage.carrier, p.stage.app
	p.behind(t, o.carrierLine, &o.carrier)
	p.behind(t, o.agentLine, &o.phone)
	p.carrier, p.agent = p.start(t, o.carrier), p.start(t, o.phone)
	p.cells = [2]lab.Cell{
		{As: lab.Carrier, Transport: o.carrier.Transport, Media: mediaOf(o.carrier)},
		{As: lab.Agent, Transport: o.phone.Transport, Media: mediaOf(o.phone)},
	}
	return p
}

// behind puts a line in the place of a phone, and the phone behind it.
func (p *phones) behind(t *testing.T, line *Line, b *Baresip) {
	t.Helper()
	if line == nil {
		return
	}
	line.At, line.Edge = b.Listen, p.udp
	b.Listen, b.Proxy = FreePort(t, b.Listen.Addr().String()), line.At.String()
	if line.Phones == nil {
		line.Phones = map[string]netip.AddrPort{}
	}
	line.Phones[""] = b.Listen
	line.Start(t)
}

func mediaOf(b Baresip) string {
	if b.Secure {
		return "srtp"
	}
	return "rtp"
}

// passed reports what was seen to work on a call of the caller: with the carrier's phone, and with the agent's.
func (p *phones) passed(t *testing.T, caller *Phone, atCarrier, atAgent string) {
	t.Helper()
	for i, what := range [2]string{atCarrier, atAgent} {
		if what == "" {
			continue
		}
		cell := p.cells[i]
		cell.Peer, cell.What, cell.Direction = "baresip", what, lab.Inbound
		if caller == p.agent {
			cell.Direction = lab.Outbound
		}
		lab.Passed(t, cell)
	}
}

// start starts a phone whose calls go through the edge.
func (p *phones) start(t *testing.T, b Baresip) *Phone {
	t.Helper()
	b.Proxy = cmp.Or(b.Proxy, p.edgeAddress(b.Transport).String())
	if b.Transport == "tls" {
		b.Listen, b.Authority = netip.AddrPortFrom(b.Listen.Addr(), b.Listen.Port()-1), p.authority
	}
	return b.Start(t)
}

// call lets one phone call the other's number and returns when both are connected.
func (p *phones) call(t *testing.T, from *Phone) {
	t.Helper()
	calls := [2]int{p.carrier.Count("CALL_ESTABLISHED"), p.agent.Count("CALL_ESTABLISHED")}
	p.dial(from)
	Eventually(t, 10*time.Second, "both phones are connected", func() bool {
		return p.carrier.Count("CALL_ESTABLISHED") > calls[0] && p.agent.Count("CALL_ESTABLISHED") > calls[1]
	})
}

// dial lets one phone call the other's number.
func (p *phones) dial(from *Phone) {
	number, transport := ourNumber, p.options.transport
	if from == p.agent {
		number, transport = theirNumber, p.options.appTransport
	}
	from.Dial("sip:" + number + "@" + p.edgeAddress(transport).String() + ";transport=" + transport)
}

// talk waits until each phone has heard the other's tone for a second from now on, and hardly anything else.
func (p *phones) talk(t *testing.T) {
	t.Helper()
	hear(t, ear{p.carrier, toneOfAgent}, ear{p.agent, toneOfCarrier})
}

// ear is a phone and the tone it is to hear.
type ear struct {
	*Phone
	hertz int
}

// hear waits until each ear has heard its tone for a second from now on, and hardly anything else.
func hear(t *testing.T, ears ...ear) {
	t.Helper()
	since := make([]time.Duration, len(ears))
	for i, e := range ears {
		since[i] = e.Recording().Length()
	}
	for i, e := range ears {
		var heard Recording
		Eventually(t, 15*time.Second, "the tone is heard", func() bool {
			heard = e.Recording().After(since[i])
			return heard.Tone(e.hertz) >= time.Second
		})
		if tone, length := heard.Tone(e.hertz), heard.Length(); tone < length*8/10 {
			t.Errorf("%s of %s is the tone of %d Hz", tone, length, e.hertz)
		}
	}
}

// silent waits until each phone has heard nothing for a second.
func silent(t *testing.T, all ...*Phone) {
	t.Helper()
	for _, p := range all {
		heard, since := p.Recording().Length(), time.Now()
		Eventually(t, 15*time.Second, "it is silent", func() bool {
			if now := p.Recording().Length(); now != heard {
				heard, since = now, time.Now()
			}
			return time.Since(since) > time.Second
		})
	}
}

// end stops the edge and returns the records of so many calls, newest first.
func (p *phones) end(t *testing.T, calls int) []store.Stored {
	t.Helper()
	p.quiet(t)
	p.Stop()
	records := p.Records()
	if len(records) != calls {
		t.Fatalf("%d records, want %d", len(records), calls)
	}
	return records
}

// clean checks that a record tells of a clean network: packets of a codec both ways, none lost, and a good opinion of them.
func clean(t *testing.T, r store.Stored, codec string) {
	t.Helper()
	for _, m := range []trunks.MediaStats{r.Caller2Callee, r.Callee2Caller} {
		if m.Packets < 45 || m.Codec != codec || m.Lost != 0 || m.Jitter > 100*time.Millisecond || m.MOS < 4 || m.MOS > 4.5 || m.RoundTrip > time.Second {
			t.Errorf("%+v, want %s without loss", m, codec)
		}
	}
}

// TestLabPhonesHearEachOther: a call of the carrier's phone and one of the agent's, each with both tones, whatever the two sides speak.
func TestLabPhonesHearEachOther(t *testing.T) {
	t.Parallel()
	secure := Baresip{Secure: true}
	for _, test := range []struct {
		name  string
		o     phoneOptions
		codec string
	}{
		{"plain RTP", phoneOptions{}, "PCMU"},
		{"SRTP towards the carrier", phoneOptions{trunk: "srtp: sdes", agent: "srtp: off", carrier: secure}, "PCMU"},
		{"SRTP towards the agent", phoneOptions{trunk: "srtp: off", agent: "srtp: sdes", phone: secure}, "PCMU"},
		{"SRTP on each side", phoneOptions{trunk: "srtp: sdes", agent: "srtp: sdes", carrier: secure, phone: secure}, "PCMU"},
		{"SRTP from end to end", phoneOptions{carrier: secure, phone: secure}, "PCMU"},
		{"SRTP and TLS towards the carrier", phoneOptions{trunk: "srtp: sdes", agent: "srtp: off", carrier: Baresip{Secure: true, Transport: "tls"}}, "PCMU"},
		{"SRTP and TLS towards the agent", phoneOptions{trunk: "srtp: off", agent: "srtp: sdes", phone: Baresip{Secure: true, Transport: "tls"}}, "PCMU"},
		{"TCP towards the carrier", phoneOptions{carrier: Baresip{Transport: "tcp"}}, "PCMU"},
		{"a trunk that takes A-law alone", phoneOptions{trunk: "codecs: [PCMA]"}, "PCMA"},
		{"Opus", phoneOptions{carrier: Baresip{Codecs: "opus/48000/2"}, phone: Baresip{Codecs: "opus/48000/2"}}, "opus"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startPhones(t, test.o)
			for _, caller := range []*Phone{p.carrier, p.agent} {
				p.call(t, caller)
				p.talk(t)
				p.passed(t, caller, lab.Tone, lab.Tone)
				caller.HangUp()
				p.quiet(t)
				if caller == p.carrier {
					p.passed(t, caller, lab.HungUpByPeer, lab.HungUpByOther)
				} else {
					p.passed(t, caller, lab.HungUpByOther, lab.HungUpByPeer)
				}
			}
			for _, r := range p.end(t, 2) {
				clean(t, r, test.codec)
			}
		})
	}
}

// TestLabPhonesHold: each phone puts the call on hold and takes it up again. Neither hears anything while it is held, for
// a phone that holds sends nothing; afterwards both do.
func TestLabPhonesHold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		o    phoneOptions
	}{
		{"plain RTP", phoneOptions{}},
		{"SRTP towards the carrier", phoneOptions{trunk: "srtp: sdes", agent: "srtp: off", carrier: Baresip{Secure: true}}},
		{"Opus", phoneOptions{carrier: Baresip{Codecs: "opus/48000/2"}, phone: Baresip{Codecs: "opus/48000/2"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := startPhones(t, test.o)
			p.call(t, p.carrier)
			p.talk(t)
			for _, holder := range []*Phone{p.agent, p.carrier} {
				holder.Hold()
				silent(t, p.carrier, p.agent)
				holder.Resume()
				p.talk(t)
				if holder == p.carrier {
					p.passed(t, p.carrier, lab.HeldByPeer, lab.HeldByOther)
				} else {
					p.passed(t, p.carrier, lab.HeldByOther, lab.HeldByPeer)
				}
			}
			p.carrier.HangUp()
			for _, r := range p.end(t, 1) {
				if r.Caller2Callee.Lost+r.Callee2Caller.Lost != 0 {
					t.Errorf("hold counts as loss: %+v", r)
				}
			}
		})
	}
}

// TestLabPhonesEarlyMedia: the agent's phone hears the carrier, and the carrier the phone, before the answer; and then they talk on.
func TestLabPhonesEarlyMedia(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		o     phoneOptions
		codec string
	}{
		{"plain RTP", phoneOptions{}, "PCMU"},
		{"SRTP towards the agent", phoneOptions{trunk: "srtp: off", agent: "srtp: sdes", phone: Baresip{Secure: true}}, "PCMU"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.o.phone.Hertz = appTone // which the carrier knows
			p := startPhones(t, test.o)
			p.carrier.Stop() // whose place is taken by one that can send a 183 with sound: Debian's baresip sends none before it answers
			c, err := carrier.Start(t.Context(), carrier.Options{Listen: p.stage.carrier, Contact: "sip:" + p.udp.String(), Ring: 3 * time.Second,
				Numbers: map[string]carrier.Behavior{theirNumber: carrier.EarlyMedia}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			p.dial(p.agent)
			hear(t, ear{p.agent, carrierTone})
			if call := c.Calls()[0]; !call.Answer.IsZero() || call.Media.Hertz != appTone {
				t.Errorf("before the answer: %+v", call)
			}
			p.agent.WaitForEvent(5*time.Second, "CALL_ESTABLISHED")
			hear(t, ear{p.agent, carrierTone})
			p.agent.HangUp()
			r := p.end(t, 1)[0]
			clean(t, r, test.codec)
			if call := c.Calls()[0]; call.Media.Lost != 0 {
				t.Errorf("the carrier: %+v", call)
			}
			if rang := r.Answered.Sub(r.Started); rang < 2*time.Second {
				t.Errorf("answered after %s", rang)
			}
			early := p.cells[1]
			early.Peer, early.What, early.Direction = "baresip", lab.EarlyMedia, lab.Outbound
			lab.Passed(t, early)
			for i, direction := range [2]string{lab.Outbound, lab.Inbound} {
				called := p.cells[i]
				called.Peer, called.What, called.Direction, called.Media = "baresip", lab.EarlyMedia, direction, ""
				lab.Lacks(called, "baresip sends nothing before it answers")
			}
		})
	}
}
