package media

import (
	"encoding/binary"
	"sync"
	"time"
)

// converter takes the packets of a plug out of the usual way, because digits are made of them or put among them. A plug
// without one, which is nearly every plug, pays for it with one comparison a packet.
type converter interface {
	// convert is what becomes of a packet of the plug, as plug.take returns it. It is called by the reader of the plug's jack.
	convert(p *plug, r *route, packet []byte, what packetClass, now time.Duration) (*route, []byte)
	// stop ends what the converter does by itself. No packet of its own leaves after that.
	stop()
}

// Play has a digit of one party, which it said in its signalling, played to the other one. It comes after those that are still
// being played. The error is an *Error: the other party does not take digits now, or too many wait.
func (b *Bridge) Play(from Side, d Digit) error {
	for _, s := range b.streams {
		if b.plays(s, from) {
			return s.digits.player.play(d.Clamped())
		}
	}
	return errNoDigits
}

// Plays tells whether what a party says of digits in its signalling is for [Bridge.Play]: it speaks by INFO, and the other party,
// which does not, has agreed on telephone-event.
func (b *Bridge) Plays(from Side) bool {
	for _, s := range b.streams {
		if b.agreedOnEvents(s, from) {
			return true
		}
	}
	return false
}

// plays tells whether a digit of a party can be played on the stream now.
func (b *Bridge) plays(s *stream, from Side) bool {
	to := from.Other()
	way := s.ways[to]
	return b.agreedOnEvents(s, from) && !s.held[to] && (way == sendrecv || way == recvonly)
}

// agreedOnEvents tells whether digits that a party says in its signalling go to the other one's stream.
func (b *Bridge) agreedOnEvents(s *stream, from Side) bool {
	c := s.digits
	return c != nil && c.player != nil && s.agreed && b.speaksByInfo(from) && len(c.events[from.Other()]) > 0
}

// speaksByInfo tells whether the edge stands between a party that speaks by INFO, which is this one, and one that does not.
func (b *Bridge) speaksByInfo(side Side) bool {
	return b.inbox != nil && b.converts() && b.parties[side].terms.DTMF == DTMFInfo
}

// OnDigits says what to do when the first digit waits for [Bridge.Digits]. waits is called by any goroutine and must not block.
// Call it before the first offer of a bridge one of whose parties speaks by INFO; without it no digits are converted. The first
// call counts.
func (b *Bridge) OnDigits(waits func()) {
	if b.inbox == nil {
		b.inbox = &inbox{waits: waits}
	}
}

// Digits takes the digits that were heard, in order, of the party that does not speak by INFO.
func (b *Bridge) Digits(take func(from Side, d Digit)) {
	if b.inbox == nil {
		return
	}
	heard, n := b.inbox.empty()
	for i := range n {
		take(heard[i].from, heard[i].digit)
	}
}

// LostDigits is how many digits were dropped: heard when too many waited, and not played since their stream ended.
func (b *Bridge) LostDigits() (heard, unplayed uint64) {
	if b.inbox == nil {
		return 0, 0
	}
	b.inbox.mu.Lock()
	defer b.inbox.mu.Unlock()
	return b.inbox.lost, b.inbox.unplayed
}

// inbox is where readers put digits for the goroutine of the call.
type inbox struct {
	waits func()

	mu             sync.Mutex
	digits         [waitingDigits]heardDigit
	count          int
	lost, unplayed uint64
}

// waitingDigits bounds the digits that wait to be played, or to be taken.
const waitingDigits = 32

type heardDigit struct {
	from  Side
	digit Digit
}

func (i *inbox) put(from Side, d Digit) {
	i.mu.Lock()
	first := i.count == 0
	if i.count == len(i.digits) {
		i.lost++
	} else {
		i.digits[i.count] = heardDigit{from, d.Clamped()}
		i.count++
	}
	i.mu.Unlock()
	if first {
		i.waits()
	}
}

func (i *inbox) empty() (digits [waitingDigits]heardDigit, count int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	digits, count = i.digits, i.count
	i.count = 0
	return digits, count
}

func (i *inbox) abandoned(digits int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.unplayed += uint64(digits)
}

// conversion is what becomes of digits on a stream one of whose parties speaks by INFO.
type conversion struct {
	proposed []eventFormat    // by the last offer
	events   [2][]eventFormat // that each party has described, or we in its name
	player   *player          // from the one that speaks by INFO
	listener *listener        // to it
}

// proposeDigits notes telephone-event in an offer until it is answered.
func (s *stream) proposeDigits(e *shownEvents) {
	if s.digits == nil && e != nil {
		s.digits = new(conversion)
	}
	if s.digits != nil {
		s.digits.proposed = e.list()
	}
}

// offered is what the last offer has.
func (c *conversion) offered() []eventFormat {
	if c == nil {
		return nil
	}
	return c.proposed
}

// describeDigits notes telephone-event in a description that counts.
func (s *stream) describeDigits(from Side, formats []eventFormat) {
	if s.digits == nil && len(formats) > 0 {
		s.digits = new(conversion)
	}
	if s.digits != nil {
		s.digits.events[from] = formats
	}
}

// convert sets what becomes of digits on a stream by what its parties have described. A converter stays once it is there, since
// the packets that have passed it are numbered by it.
func (b *Bridge) convert(s *stream) {
	c := s.digits
	if c == nil || s.path == nil {
		return
	}
	for _, from := range [...]Side{Caller, Callee} {
		if b.speaksByInfo(from) && len(c.events[from]) > 0 {
			b.putBetween(s, from)
			return
		}
	}
	if c.player != nil {
		c.player.describe(nil)
	}
	if c.listener != nil {
		c.listener.describe(nil, nil)
	}
}

// putBetween puts converters between a party that speaks by INFO and the other one.
func (b *Bridge) putBetween(s *stream, info Side) {
	c := s.digits
	speaker, other := s.path.sides[info].rtp, s.path.sides[info.Other()].rtp
	c.leave(other, speaker)
	if c.player == nil {
		c.player = newPlayer(b.relay, speaker, b.inbox.abandoned)
	}
	if c.listener == nil {
		c.listener = newListener(b.relay.clock, other, func(d Digit) { b.inbox.put(info.Other(), d) })
	}
	c.player.describe(c.events[info.Other()])
	c.listener.describe(c.events[info], c.events[info.Other()])
	speaker.setConverter(c.player)
	other.setConverter(c.listener)
}

// leave takes the player from one plug and the listener from another, if they are there: the parties' roles have changed.
func (c *conversion) leave(player, listener *plug) {
	if c.player != nil && c.player.plug == player {
		player.setConverter(nil)
		c.player.stop()
		c.player = nil
	}
	if c.listener != nil && c.listener.plug == listener {
		listener.setConverter(nil)
		c.listener.stop()
		c.listener = nil
	}
}

// forget forgets a party, whose plug is about to be pulled. nil conversions know none.
func (c *conversion) forget(side Side, p *plug) {
	if c != nil {
		c.events[side] = nil
		c.leave(p, p)
	}
}

// stop ends what converts. nil conversions have none.
func (c *conversion) stop() {
	if c == nil {
		return
	}
	if c.player != nil {
		c.player.stop()
	}
	if c.listener != nil {
		c.listener.stop()
	}
}

// setConverter publishes a route with the converter; nil is none.
func (p *plug) setConverter(c converter) {
	for {
		r := p.route.Load()
		if r.converter == c {
			return
		}
		next := *r
		next.converter = c
		if p.route.CompareAndSwap(r, &next) {
			return
		}
	}
}

// eventPayload returns the payload of an RTP packet behind contributing sources and extension; nil if it is not whole. RFC 3550 §5.1.
func eventPayload(packet []byte) []byte {
	at := 12 + 4*int(packet[0]&15)
	if packet[0]&0x10 != 0 {
		if len(packet) < at+4 {
			return nil
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(packet[at+2:]))
	}
	if len(packet) < at+4 {
		return nil
	}
	return packet[at:]
}
