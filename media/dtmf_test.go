package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"
)

// MED-06: a party that speaks by INFO is shown no telephone-event, and the other one has it by us.
func TestTelephoneEventForAPartyThatSpeaksByInfo(t *testing.T) {
	const (
		plain  = "m=audio 4000 RTP/AVP 0 8\na=rtpmap:0 PCMU/8000\na=ptime:20\n"
		events = "m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\na=ptime:20\n"
		flash  = "m=audio 4000 RTP/AVP 0 8 97\na=rtpmap:0 PCMU/8000\na=rtpmap:97 telephone-event/8000\na=fmtp:97 0-10,12-20\na=ptime:20\n"
		added  = "m=audio 4000 RTP/AVP 0 8 101\na=rtpmap:0 PCMU/8000\na=ptime:20\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\n"
	)
	tests := []struct {
		name                          string
		caller, callee                DTMF
		offer, offered, answer, shown string
		converts                      bool
	}{
		{"neither: all crosses as it comes", DTMFPass, DTMFPass, events, events, events, events, false},
		{"the caller speaks by INFO, and has none", DTMFInfo, DTMFPass, plain, added, events, plain, true},
		{"the caller speaks by INFO, and offers it all the same", DTMFInfo, DTMFPass, events,
			added, events, plain, true},
		{"the caller speaks by INFO, the callee has none", DTMFInfo, DTMFPass, plain, added, plain, plain, false},
		{"the callee speaks by INFO", DTMFPass, DTMFInfo, events, plain, plain, strings.Replace(added, "0-16", "0-15", 1), true},
		{"the callee speaks by INFO, the caller takes flash", DTMFPass, DTMFInfo, flash, plain, plain, strings.ReplaceAll(added, "101", "97"), true},
		{"the callee speaks by INFO, and answers with it all the same", DTMFPass, DTMFInfo, events, plain, events,
			strings.Replace(added, "0-16", "0-15", 1), true},
		{"the callee speaks by INFO, the caller has none", DTMFPass, DTMFInfo, plain, plain, plain, plain, false},
		{"both speak by INFO", DTMFInfo, DTMFInfo, events, plain, events, plain, false},
		{"one for each clock of the codecs offered", DTMFInfo, DTMFPass,
			"m=audio 4000 RTP/AVP 96 0 8\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n",
			"m=audio 4000 RTP/AVP 96 0 8 101 97\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\n" +
				"a=rtpmap:101 telephone-event/48000\na=fmtp:101 0-16\na=rtpmap:97 telephone-event/8000\na=fmtp:97 0-16\n",
			"m=audio 4000 RTP/AVP 0 97\na=rtpmap:97 telephone-event/8000\n", "m=audio 4000 RTP/AVP 0\n", true},
		{"an answer has the clock of its codec", DTMFPass, DTMFInfo,
			"m=audio 4000 RTP/AVP 96 0 97 101\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/48000\na=rtpmap:101 telephone-event/8000\n",
			"m=audio 4000 RTP/AVP 96 0\na=rtpmap:96 opus/48000/2\n",
			"m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n",
			"m=audio 4000 RTP/AVP 96 97\na=rtpmap:96 opus/48000/2\na=rtpmap:97 telephone-event/48000\na=fmtp:97 0-15\n", true},
		{"an answer has another clock if that is all there is", DTMFPass, DTMFInfo,
			"m=audio 4000 RTP/AVP 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n",
			"m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n",
			"m=audio 4000 RTP/AVP 96\na=rtpmap:96 opus/48000/2\n",
			"m=audio 4000 RTP/AVP 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n", true},
	}
	port := strings.NewReplacer("m=audio 20000", "m=audio 4000", "m=audio 20002", "m=audio 4000")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := countedRelay(t).Bridge(loopback, loopback)
			b.OnDigits(func() {})
			b.Peer(Caller, Terms{DTMF: test.caller})
			b.Peer(Callee, Terms{DTMF: test.callee})
			_, offered, _ := strings.Cut(mustOffer(t, b, Caller, body(test.offer)), "t=0 0\n")
			same(t, "the offer", port.Replace(offered), test.offered)
			_, answered, _ := strings.Cut(mustAnswer(t, b, Callee, body(test.answer)), "t=0 0\n")
			same(t, "the answer", port.Replace(answered), test.shown)
			info := Caller
			if test.callee == DTMFInfo {
				info = Callee
			}
			if got := b.Plays(info); got != test.converts {
				t.Errorf("digits of the %s are converted: %v", info, got)
			}
			if b.Plays(info.Other()) {
				t.Errorf("digits of the %s are converted", info.Other())
			}
		})
	}
}

// A re-INVITE of either side shows everybody what they know, and a side that comes after a failover has its own way.
func TestTelephoneEventAfterReinviteAndFailover(t *testing.T) {
	const plain = "m=audio 4000 RTP/AVP 0\n"
	const events = "m=audio 4000 RTP/AVP 0 110\na=rtpmap:110 telephone-event/8000\na=fmtp:110 0-16\n"
	b := countedRelay(t).Bridge(loopback, loopback)
	b.OnDigits(func() {})
	b.Peer(Caller, Terms{})
	b.Peer(Callee, Terms{DTMF: DTMFInfo})
	formats := func(sdp string) string {
		_, sdp, _ = strings.Cut(sdp, "RTP/AVP ")
		return strings.ReplaceAll(sdp, "\n", " ")
	}
	const shown = "0 110 a=rtpmap:110 telephone-event/8000 a=fmtp:110 0-16 "
	check := func(what, got, want string) {
		t.Helper()
		if got = formats(got); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	check("the offer", mustOffer(t, b, Caller, body(events)), "0 ")
	check("its answer", mustAnswer(t, b, Callee, body(plain)), shown)
	check("a re-INVITE of the callee", mustOffer(t, b, Callee, body(plain)), shown)
	check("its answer", mustAnswer(t, b, Caller, body(events)), "0 ")
	check("a re-INVITE of the caller", mustOffer(t, b, Caller, body(events)), "0 ")
	check("its answer", mustAnswer(t, b, Callee, body(plain)), shown)
	if !b.Plays(Callee) {
		t.Error("digits of the callee are not converted")
	}
	if err := b.Replace(Callee, loopback); err != nil {
		t.Fatal(err)
	}
	b.Peer(Callee, Terms{})
	check("the offer to another callee", mustOffer(t, b, Caller, body(events)), shown)
	check("its answer", mustAnswer(t, b, Callee, body(events)), shown)
	if b.Plays(Callee) {
		t.Error("digits of a callee that has telephone-event are converted")
	}
}

// digitCall is an answered call without sockets, in whose middle we see what leaves.
type digitCall struct {
	t         *testing.T
	mu        sync.Mutex // of what has left
	relay     *Relay
	bridge    *Bridge
	now       time.Time
	addresses [2]netip.AddrPort // of the parties
	ports     [2]netip.AddrPort // of the relay, towards them
	out       [2][]*rtp.Packet  // that a party has received
	at        [2][]time.Duration
	sequence  [2]uint16
	heard     []Digit
}

var withEvents = "m=audio %d RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"

// newDigitCall: the caller speaks by INFO, the callee has telephone-event. It must be made in a synctest bubble.
func newDigitCall(t *testing.T) *digitCall {
	c := &digitCall{t: t, now: time.Now()}
	c.addresses = [2]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:4000"), netip.MustParseAddrPort("127.0.0.1:5000")}
	var err error
	c.relay, err = New(Options{Engine: EngineNone, Outlet: func(from, to netip.AddrPort, packet []byte) {
		side := Caller
		if to == c.addresses[Callee] {
			side = Callee
		}
		var p rtp.Packet
		if err := p.Unmarshal(slices.Clone(packet)); err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.out[side] = append(c.out[side], &p)
		c.at[side] = append(c.at[side], time.Since(c.now))
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.bridge = c.relay.Bridge(loopback, loopback)
	c.bridge.OnDigits(func() {})
	c.bridge.Peer(Caller, Terms{DTMF: DTMFInfo})
	c.bridge.Peer(Callee, Terms{})
	c.answer(c.offer("m=audio %d RTP/AVP 0\r\n"), withEvents)
	return c
}

const sessionLines = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"

func (c *digitCall) offer(audio string) []byte {
	c.t.Helper()
	sdp, err := c.bridge.Offer(Caller, fmt.Appendf([]byte(sessionLines), audio, 4000), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.ports[Callee] = target(c.t, loopback, sdp)
	return sdp
}

func (c *digitCall) answer(_ []byte, audio string) {
	c.t.Helper()
	sdp, err := c.bridge.Answer(Callee, fmt.Appendf([]byte(sessionLines), audio, 5000), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.ports[Caller] = target(c.t, loopback, sdp)
}

// say sends a packet of a party.
func (c *digitCall) say(from Side, p *rtp.Packet) {
	c.t.Helper()
	raw, err := p.Marshal()
	if err != nil {
		c.t.Fatal(err)
	}
	c.relay.Inject(c.ports[from], c.addresses[from], append(make([]byte, 0, 2000), raw...))
}

// talk sends audio for a while, a packet each 20 ms.
func (c *digitCall) talk(from Side, d time.Duration) {
	for ; d > 0; d -= 20 * time.Millisecond {
		c.sequence[from]++
		n := c.sequence[from]
		c.say(from, &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 160, SSRC: 7 + uint32(from)}, Payload: make([]byte, 160)})
		time.Sleep(20 * time.Millisecond)
	}
}

// press sends an event: ends is how many of its end packets are not lost.
func (c *digitCall) press(from Side, event byte, d time.Duration, ends int) {
	start := uint32(c.sequence[from]+1) * 160
	for step := 20 * time.Millisecond; step <= d; step += 20 * time.Millisecond {
		for copies := range 3 {
			c.sequence[from]++
			payload := []byte{event, 10, 0, 0}
			binary.BigEndian.PutUint16(payload[2:], uint16(step/time.Millisecond*8))
			if step == d {
				payload[1] |= endBit
			}
			if step < d || copies < ends {
				c.say(from, &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 101, Marker: step == 20*time.Millisecond,
					SequenceNumber: c.sequence[from], Timestamp: start, SSRC: 7 + uint32(from)}, Payload: payload})
			}
			if step < d {
				break
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// left returns what has left towards a side and forgets it.
func (c *digitCall) left(to Side) []*rtp.Packet {
	c.mu.Lock()
	defer c.mu.Unlock()
	packets := c.out[to]
	c.out[to] = nil
	return packets
}

// took is the time from the first to the last packet that has left towards a side.
func (c *digitCall) took(to Side) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[to][len(c.at[to])-1] - c.at[to][0]
}

// digits takes what was heard.
func (c *digitCall) digits() []Digit {
	c.bridge.Digits(func(_ Side, d Digit) { c.heard = append(c.heard, d) })
	return c.heard
}

// events are the digits in a stream, as a receiver understands them, and checks that they are well formed.
func events(t *testing.T, packets []*rtp.Packet) (found []digit) {
	t.Helper()
	at := map[uint32]int{}
	for i, p := range packets {
		if i > 0 && p.SSRC == packets[i-1].SSRC && p.SequenceNumber != packets[i-1].SequenceNumber+1 {
			t.Errorf("packet %d has number %d after %d", i, p.SequenceNumber, packets[i-1].SequenceNumber)
		}
		if p.PayloadType != 101 {
			if len(p.Payload) != 160 {
				t.Errorf("packet %d has %d bytes of payload type %d", i, len(p.Payload), p.PayloadType)
			}
			continue
		}
		n, known := at[p.Timestamp]
		if p.Marker == known {
			t.Errorf("packet %d: marker %v, its event has begun: %v", i, p.Marker, known)
		}
		if !known {
			n = len(found)
			at[p.Timestamp] = n
			found = append(found, digit{event: p.Payload[0]})
		}
		d := &found[n]
		units := binary.BigEndian.Uint16(p.Payload[2:])
		if units < d.duration || d.ended && (units != d.duration || p.Payload[1]&endBit == 0) {
			t.Errorf("packet %d: %x after %+v", i, p.Payload, *d)
		}
		d.duration, d.ended = units, p.Payload[1]&endBit != 0
	}
	return found
}

func count(packets []*rtp.Packet, is func(*rtp.Packet) bool) (n int) {
	for _, p := range packets {
		if is(p) {
			n++
		}
	}
	return n
}

func isEnd(p *rtp.Packet) bool { return p.PayloadType == 101 && p.Payload[1]&endBit != 0 }

// MED-06: the events of digits take the place of the party's packets, number for number.
func TestDigitsArePlayedInPlaceOfAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newDigitCall(t)
		defer c.relay.Close()
		defer c.bridge.Close()
		c.talk(Caller, 100*time.Millisecond)
		for _, event := range []byte{5, 11, Flash} {
			if err := c.bridge.Play(Caller, Digit{event, 160 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
		}
		c.talk(Caller, time.Second)
		got := c.left(Callee)
		if len(got) != int(c.sequence[Caller]) {
			t.Errorf("%d packets of %d", len(got), c.sequence[Caller])
		}
		if want := []digit{{5, 1280, true}, {11, 1280, true}, {16, 1280, true}}; !slices.Equal(events(t, got), want) {
			t.Errorf("heard %+v", events(t, got))
		}
		if n := count(got, isEnd); n != 3*endPackets {
			t.Errorf("%d end packets", n)
		}
		if first := slices.IndexFunc(got, func(p *rtp.Packet) bool { return p.PayloadType == 101 }); first != 5 || got[5].Timestamp != 6*160 || got[5].SSRC != 7 {
			t.Errorf("the first event is packet %d: %+v", first, got[first].Header)
		}
		for i := 1; i < len(got); i++ {
			if got[i].PayloadType == 101 && got[i-1].PayloadType == 101 && got[i].Timestamp != got[i-1].Timestamp {
				t.Errorf("no pause before packet %d", i)
			}
		}
		sum := c.relay.totals()
		if tx := sum.sent[codecEvent].packets; tx != 30 || sum.sent[codecPCMU].packets != uint64(len(got))-30 {
			t.Errorf("%d events and %d others are counted as sent, of %d", tx, sum.sent[codecPCMU].packets, len(got))
		}
	})
}

// MED-06: a party that sends nothing has its digits played all the same, before its first packet, and between two; its own packets go
// on behind them.
func TestDigitsArePlayedIntoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newDigitCall(t)
		defer c.relay.Close()
		defer c.bridge.Close()
		play := func(event byte) {
			if err := c.bridge.Play(Caller, Digit{event, 100 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
		}
		play(1)
		time.Sleep(time.Second)
		first := c.left(Callee)
		if got := events(t, first); !slices.Equal(got, []digit{{1, 800, true}}) {
			t.Fatalf("heard %+v", got)
		}
		if len(first) != 7 || c.took(Callee) != 120*time.Millisecond {
			t.Errorf("%d packets in %v", len(first), c.took(Callee))
		}
		c.talk(Caller, 200*time.Millisecond)
		time.Sleep(time.Second)
		play(2)
		time.Sleep(20 * time.Millisecond)
		play(3)
		time.Sleep(time.Second)
		c.talk(Caller, 60*time.Millisecond)
		play(4) // while it talks, and then it falls silent
		c.talk(Caller, 60*time.Millisecond)
		time.Sleep(200 * time.Millisecond)
		c.talk(Caller, 60*time.Millisecond)
		got := c.left(Callee)
		if want := []digit{{2, 800, true}, {3, 800, true}, {4, 800, true}}; !slices.Equal(events(t, got), want) {
			t.Errorf("heard %+v", events(t, got))
		}
		if got[0].SSRC != 7 || got[len(got)-1].SSRC != 7 {
			t.Error("the party's packets are not its own any more")
		}
		for i := 1; i < len(got); i++ {
			if int32(got[i].Timestamp-got[i-1].Timestamp) < 0 && got[i].PayloadType == 101 {
				t.Errorf("an event begins at %d, after %d", got[i].Timestamp, got[i-1].Timestamp)
			}
		}
	})
}

// A party on hold is played nothing, and a queue has an end.
func TestDigitsThatCannotBePlayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newDigitCall(t)
		defer c.relay.Close()
		for range waitingDigits {
			if err := c.bridge.Play(Caller, Digit{1, time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.bridge.Play(Caller, Digit{1, time.Second}); err != errManyDigits {
			t.Errorf("one too many: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
		c.answer(c.offer("m=audio %d RTP/AVP 0\r\n"), strings.Replace(withEvents, "0-16", "0-15", 1)+"a=inactive\r\n")
		if err := c.bridge.Play(Caller, Digit{1, time.Second}); err != errNoDigits {
			t.Errorf("on hold: %v", err)
		}
		c.answer(c.offer("m=audio %d RTP/AVP 0\r\n"), strings.Replace(withEvents, "0-16", "0-15", 1))
		if err := c.bridge.Play(Caller, Digit{Flash, time.Second}); err != errNoSuchDigit {
			t.Errorf("flash to one that does not take it: %v", err)
		}
		if err := c.bridge.Play(Callee, Digit{1, time.Second}); err != errNoDigits {
			t.Errorf("from the side that has telephone-event: %v", err)
		}
		c.answer(c.offer("m=audio %d RTP/AVP 0\r\n"), "m=audio %d RTP/AVP 0\r\n")
		if c.bridge.Plays(Caller) {
			t.Error("digits are converted for a side without telephone-event")
		}
		c.bridge.Close()
		if heard, unplayed := c.bridge.LostDigits(); heard != 0 || unplayed != waitingDigits {
			t.Errorf("lost are %d and %d", heard, unplayed)
		}
		c.left(Callee)
		time.Sleep(time.Minute)
		if len(c.left(Callee)) != 0 {
			t.Error("packets leave a closed bridge")
		}
	})
}

// MED-06: an event is told once, though its ends are lost, and nothing of it reaches the side that speaks by INFO.
func TestEventsAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newDigitCall(t)
		defer c.relay.Close()
		defer c.bridge.Close()
		c.talk(Callee, 100*time.Millisecond)
		c.press(Callee, 7, 160*time.Millisecond, 3)
		c.talk(Callee, 100*time.Millisecond)
		c.press(Callee, 8, 100*time.Millisecond, 0) // every end is lost
		if got := c.digits(); !slices.Equal(got, []Digit{{7, 160 * time.Millisecond}}) {
			t.Errorf("heard %v", got)
		}
		time.Sleep(300 * time.Millisecond)
		c.press(Callee, 9, 100*time.Millisecond, 0) // and the next digit follows at once
		c.press(Callee, 9, 60*time.Millisecond, 1)
		c.talk(Callee, 100*time.Millisecond)
		c.press(Callee, 33, 100*time.Millisecond, 3) // no digit: a tone
		c.talk(Callee, 40*time.Millisecond)
		want := []Digit{{7, 160 * time.Millisecond}, {8, 80 * time.Millisecond}, {9, 80 * time.Millisecond}, {9, 60 * time.Millisecond}}
		if got := c.digits(); !slices.Equal(got, want) {
			t.Errorf("heard %v, want %v", got, want)
		}
		got := c.left(Caller)
		if n := count(got, func(p *rtp.Packet) bool { return p.PayloadType != 0 }); n != 0 || len(got) != 17 {
			t.Errorf("%d packets, %d of them no audio", len(got), n)
		}
		holes := 0
		for i := 1; i < len(got); i++ {
			holes += int(got[i].SequenceNumber - got[i-1].SequenceNumber - 1)
		}
		if holes != 3+3+2 { // the packets that were lost on their way to us
			t.Errorf("%d numbers are missing", holes)
		}
		if d := c.relay.totals().sent[codecPCMU].packets; d != 17 {
			t.Errorf("%d packets are counted as sent", d)
		}
	})
}

// A digit that is held longer than a duration can say comes in segments. RFC 4733 §2.5.1.3.
func TestLongEventIsOneDigit(t *testing.T) {
	var told []Digit
	l := newListener(func() time.Duration { return 0 }, new(plug), func(d Digit) { told = append(told, d) })
	l.describe([]eventFormat{{number: 1, shown: 101, clock: 8000}}, nil)
	say := func(timestamp uint32, flags byte, units uint16) {
		packet := []byte{0x80, 101, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 3, flags, byte(units >> 8), byte(units)}
		binary.BigEndian.PutUint32(packet[4:], timestamp)
		l.hear(packet, 8000, 0)
	}
	say(100, 10, 0xfff0)
	say(100, 10, 0xffff)
	say(100+0xffff, 10, 800)
	say(100+0xffff, 10|endBit, 1600)
	say(100+0xffff, 10|endBit, 1600)
	l.stop()
	if want := (0xffff + 1600) * time.Second / 8000; len(told) != 1 || told[0].Duration != want {
		t.Errorf("told %v, want %v", told, want)
	}
}

// Numbers stay consecutive, whatever was taken out, and packets that come late fall into their place.
func TestGaps(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 6))
	for range 200 {
		var g gaps
		first := uint16(random.Uint32())
		type packet struct {
			number uint16
			take   bool
			want   uint16
		}
		var stream []packet
		next := first
		for i := range 300 {
			p := packet{number: first + uint16(i), take: i > 0 && random.IntN(4) == 0, want: next}
			if !p.take {
				next++
			}
			stream = append(stream, p)
		}
		for i := 5; i+1 < len(stream); i += 7 { // neighbours change places, but for those that are taken out
			if !stream[i].take && !stream[i+1].take {
				stream[i], stream[i+1] = stream[i+1], stream[i]
			}
		}
		for i, p := range stream {
			if got := p.number - g.note(p.number, p.take); !p.take && got != p.want {
				t.Fatalf("packet %d, number %d: %d, want %d", i, p.number, got, p.want)
			}
		}
	}
}

// Whatever a party sends, the listener neither fails nor tells more than there was.
func FuzzListener(f *testing.F) {
	f.Add([]byte("\x00\x00\x05\x0a\x00\xa0\x01\x00\x05\x8a\x01\x40"))
	f.Add([]byte("\x00\x01\x05\x8a\x00\xa0\x20\x09\x00\x8a\xff\xff\xff\x80\x00\x8a\xff\xff"))
	f.Fuzz(func(t *testing.T, script []byte) {
		told := 0
		l := newListener(func() time.Duration { return 0 }, new(plug), func(d Digit) {
			told++
			if d.Event > Flash {
				t.Errorf("told %+v", d)
			}
		})
		defer l.stop()
		l.describe([]eventFormat{{shown: 101, clock: 8000}}, []eventFormat{{number: 97, clock: 48000}})
		packet := make([]byte, 0, 64)
		n := 0
		for ; len(script) >= 6; script = script[6:] {
			n++
			packet = append(packet[:0], 0x80|script[0]&0x1f, 101, 0, byte(n), 0, 0, script[1], script[1]&0xf0, 0, 0, 0, script[0]>>5)
			packet = append(packet, script[2:6]...)
			l.hear(packet[:12+len(script)%5], 8000, time.Duration(n))
		}
		if told > n {
			t.Errorf("%d digits from %d packets", told, n)
		}
	})
}

// MED-06, MED-11: keys of both sides, packets of both kinds, on sockets.
func TestDigitsThroughSRTP(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		caller, callee := newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1")
		b := r.Bridge(loopback, loopback)
		defer b.Close()
		told := make(chan struct{}, 8)
		b.OnDigits(func() { told <- struct{}{} })
		b.Peer(Caller, Terms{DTMF: DTMFInfo})
		b.Peer(Callee, Terms{SRTP: SRTPSDES})
		offer, err := b.Offer(Caller, []byte(strings.ReplaceAll(string(caller.sdp()), " 101", "")), nil)
		if err != nil {
			t.Fatal(err)
		}
		keyIn := newKey(aes80)
		secure := strings.Replace(string(callee.sdp()), "RTP/AVP", "RTP/SAVP", 1) + string(appendCrypto(nil, cryptoLine{1, keyIn}))
		if _, err := b.Answer(Callee, []byte(secure), nil); err != nil {
			t.Fatal(err)
		}
		var section section
		section.lines = offer
		ours, ok := section.crypto(func(c cryptoLine) bool { return c.key.suite == aes80 })
		if !ok || !bytes.Contains(offer, []byte("telephone-event/8000")) {
			t.Fatalf("offered:\n%s", offer)
		}
		opener, sealer := newOpener(ours.key), newSealer(keyIn)
		if err := b.Play(Caller, Digit{5, 60 * time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		var got []*rtp.Packet
		for len(got) < 5 { // 60 ms and two more ends, made by the player since nobody talks
			buffer := make([]byte, 500)
			callee.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, _, err := callee.rtp.ReadFromUDPAddrPort(buffer)
			if err != nil {
				t.Fatal(err)
			}
			plain, ok := opener.open(buffer[:n], rtpPacket)
			if !ok {
				t.Fatalf("%x does not open", buffer[:n])
			}
			var p rtp.Packet
			if err := p.Unmarshal(plain); err != nil {
				t.Fatal(err)
			}
			got = append(got, &p)
		}
		if found := events(t, got); !slices.Equal(found, []digit{{5, 480, true}}) {
			t.Errorf("heard %+v", found)
		}
		packet := append(make([]byte, 0, 100), 0x80, 0x80|101, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 11, endBit|10, 3, 32)
		sealed, ok := sealer.seal(packet, rtpPacket)
		if !ok {
			t.Fatal("not sealed")
		}
		if _, err := callee.rtp.WriteToUDPAddrPort(sealed, target(t, loopback, offer)); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
		case <-time.After(5 * time.Second):
			t.Fatal("nothing was told")
		}
		b.Digits(func(from Side, d Digit) {
			if from != Callee || d != (Digit{11, 100 * time.Millisecond}) {
				t.Errorf("the %s played %+v", from, d)
			}
		})
	})
}

// Whatever the party does meanwhile, each digit is played once, in order and whole, and no number of its stream is missing.
func TestDigitsWhateverThePartyDoes(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			c := newDigitCall(t)
			defer c.relay.Close()
			defer c.bridge.Close()
			random := rand.New(rand.NewPCG(seed, 6))
			source, timestamp := uint32(7), uint32(1)
			say := func() {
				c.sequence[Caller]++
				timestamp += 160
				c.say(Caller, &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: c.sequence[Caller], Timestamp: timestamp, SSRC: source}, Payload: make([]byte, 160)})
			}
			var played []digit
			for range 120 {
				switch random.IntN(8) {
				case 0:
					d := Digit{byte(random.IntN(17)), time.Duration(2+random.IntN(10)) * 20 * time.Millisecond}
					if err := c.bridge.Play(Caller, d); err == nil {
						played = append(played, digit{d.Event, uint16(d.Duration / time.Millisecond * 8), true})
					} else if err != errManyDigits {
						t.Fatal(err)
					}
				case 1: // silence
					quiet := time.Duration(random.IntN(300)) * time.Millisecond
					time.Sleep(quiet)
					timestamp += uint32(quiet / time.Millisecond * 8)
				case 2: // what was delayed comes at once
					time.Sleep(60 * time.Millisecond)
					say()
					say()
					say()
				case 3:
					if random.IntN(6) == 0 { // another source takes over
						source++
						timestamp, c.sequence[Caller] = random.Uint32(), uint16(random.Uint32())
					}
				default:
					for range random.IntN(10) {
						say()
						time.Sleep(20 * time.Millisecond)
					}
				}
			}
			time.Sleep(20 * time.Second)
			got := events(t, c.left(Callee))
			if !slices.Equal(got, played) {
				t.Errorf("seed %d: heard %v\nplayed %v", seed, got, played)
			}
		})
	}
}
