package media

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"
)

// player plays digits to a party as telephone-events (RFC 4733), in the stream that the opposite party sends it. While packets
// of that one come, events take their place, number for number, so that nothing is added and nothing missing. When none come, for
// the party is on hold, muted or silent, the player makes packets by itself and counts the later ones of the party up.
//
// Time is counted in slots: each packet, the party's or our own, is one, as long as the party's packets are apart.
type player struct {
	relay   *Relay
	plug    *plug              // of the party that says digits in its signalling
	dropped func(unplayed int) // told of digits that will not be played
	mu      sync.Mutex         // of what follows, and of what seals the packets of plug
	stopped bool
	formats []eventFormat        // of the party that hears; empty: it takes no events
	queue   [waitingDigits]Digit // to be played; the first count
	count   int
	timer   *time.Timer // set while there is something to play

	known     bool          // a packet has passed, so that these hold:
	ssrc      uint32        // of the stream
	sequence  uint16        // of the last packet
	timestamp uint32        // of the last slot
	at        time.Duration // when it was
	own       bool          // it was ours
	added     uint16        // packets of ours among those of the party
	apart     uint32        // the last two packets of the party, in timestamp units
	step      uint32        // as all are apart; 0: not known
	after     uint32        // the timestamp that the next event has at least
	played    bool          // there is such a one
	clock     uint32        // of the party's codec

	playing bool
	digit   Digit
	format  eventFormat
	start   uint32 // timestamp of the event
	slots   uint32 // so far
	units   uint32 // of each
	ends    int    // end packets sent
	rest    time.Duration
	packet  [eventPacket + sealRoom]byte
}

const (
	eventPacket = 16 // bytes of an RTP packet with one event
	endPackets  = 3  // RFC 4733 §2.5.1.4
	volume10    = 10 // −10 dBm0
	endBit      = 0x80
	slot        = 20 * time.Millisecond
	lull        = 60 * time.Millisecond // without a packet of the party, and we make our own
	pause       = 50 * time.Millisecond // between two digits
)

func newPlayer(r *Relay, p *plug, dropped func(int)) *player {
	return &player{relay: r, plug: p, dropped: dropped}
}

// describe says what the hearing party takes.
func (pl *player) describe(formats []eventFormat) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if pl.formats = formats; len(formats) == 0 {
		pl.abandon()
	}
}

// play puts a digit behind those that wait.
func (pl *player) play(d Digit) error {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	switch {
	case pl.stopped || len(pl.formats) == 0:
		return errNoDigits
	case d.Event > Flash || d.Event == Flash && !pl.anyFlash():
		return errNoSuchDigit
	case pl.count == len(pl.queue):
		return errManyDigits
	}
	pl.queue[pl.count] = d
	pl.count++
	if !pl.playing && pl.count == 1 {
		pl.wake(0)
	}
	return nil
}

func (pl *player) anyFlash() bool {
	for _, f := range pl.formats {
		if f.flash {
			return true
		}
	}
	return false
}

func (pl *player) stop() {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	pl.stopped = true
	pl.abandon()
}

// abandon forgets what is played and what waits.
func (pl *player) abandon() {
	unplayed := pl.count
	if pl.playing && pl.ends == 0 {
		unplayed++
	}
	pl.count, pl.playing = 0, false
	if pl.timer != nil {
		pl.timer.Stop()
	}
	if unplayed > 0 {
		pl.dropped(unplayed)
	}
}

// busy tells whether there is something to play.
func (pl *player) busy() bool { return pl.playing || pl.count > 0 }

// wake has tick called.
func (pl *player) wake(after time.Duration) {
	if pl.timer == nil {
		pl.timer = time.AfterFunc(after, pl.tick)
		return
	}
	pl.timer.Reset(after)
}

// convert implements converter.
func (pl *player) convert(p *plug, r *route, packet []byte, what packetClass, now time.Duration) (*route, []byte) {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if what != rtpPacket {
		return p.pass(r.types, packet, what)
	}
	ssrc, timestamp := binary.BigEndian.Uint32(packet[8:]), binary.BigEndian.Uint32(packet[4:])
	if pl.known && ssrc != pl.ssrc && pl.playing { // the event belongs to the stream it began in
		p.leaveOut(packet)
		return nil, nil
	}
	pl.clock = r.codec.clock
	if !pl.known || ssrc != pl.ssrc {
		pl.known, pl.ssrc, pl.added, pl.own = true, ssrc, 0, true // the distance to the packet before says nothing
		pl.played = false
		pl.sequence = binary.BigEndian.Uint16(packet[2:]) - 1
	}
	sequence := binary.BigEndian.Uint16(packet[2:]) + pl.added
	binary.BigEndian.PutUint16(packet[2:], sequence)
	ahead := int16(sequence - pl.sequence)
	if ahead <= 0 && ahead > -maxMisorder { // late
		if pl.playing {
			p.leaveOut(packet)
			return nil, nil
		}
		return p.pass(r.types, packet, what)
	}
	pl.measure(timestamp-pl.timestamp, ahead == 1 && !pl.own)
	pl.sequence, pl.timestamp, pl.at, pl.own = sequence, timestamp, now, false
	if !pl.playing && (pl.count == 0 || now < pl.rest) {
		return p.pass(r.types, packet, what)
	}
	if !pl.playing {
		pl.begin()
	}
	packet = pl.write(packet[:eventPacket], now)
	pl.relay.replaced[r.codec.name].Add(1)
	if pl.busy() {
		pl.wake(lull)
	}
	return p.pass(nil, packet, what)
}

// measure follows how far the party's packets are apart, by two that are alike: silence between two says nothing.
func (pl *player) measure(apart uint32, neighbours bool) {
	if neighbours && apart == pl.apart && apart >= pl.clock/200 && apart <= pl.clock/8 {
		pl.step = apart
	}
	pl.apart = apart
}

// begin takes the first digit that waits.
func (pl *player) begin() {
	pl.digit = pl.queue[0]
	copy(pl.queue[:], pl.queue[1:pl.count])
	pl.count--
	pl.playing, pl.start, pl.slots, pl.ends, pl.units = true, pl.timestamp, 0, 0, pl.stepUnits()
	if pl.played && int32(pl.start-pl.after) < 0 { // the party's packets are late: two events must not look like one
		pl.start = pl.after
	}
	pl.after, pl.played = pl.start+1, true
	pl.format = pl.formats[0]
	for _, f := range pl.formats {
		usable := pl.digit.Event != Flash || f.flash
		if usable && (f.clock == pl.clock || pl.digit.Event == Flash && !pl.format.flash) {
			pl.format = f
		}
	}
}

// write makes a packet of the event out of one whose buffer and number it has, and counts a slot. RFC 4733 §2.5.
func (pl *player) write(packet []byte, now time.Duration) []byte {
	pl.slots++
	length := uint64(pl.digit.Duration) * uint64(pl.format.clock) / uint64(time.Second)
	length = min(length, 0xffff)
	so := uint64(pl.slots) * uint64(pl.units) * uint64(pl.format.clock) / uint64(pl.clock)
	flags := byte(volume10)
	if so >= length {
		so = length
		flags |= endBit
		pl.ends++
	}
	packet[0], packet[1] = 0x80, pl.format.number
	if pl.slots == 1 {
		packet[1] |= 0x80 // the marker bit: an event begins
	}
	binary.BigEndian.PutUint16(packet[2:], pl.sequence)
	binary.BigEndian.PutUint32(packet[4:], pl.start)
	binary.BigEndian.PutUint32(packet[8:], pl.ssrc)
	packet[12], packet[13] = pl.digit.Event, flags
	binary.BigEndian.PutUint16(packet[14:], uint16(so))
	if pl.ends == endPackets {
		pl.playing = false
		pl.rest = now + pause
		pl.after = pl.start + pl.slots*pl.units
	}
	return packet
}

// stepUnits is the length of a slot in units of the party's clock.
func (pl *player) stepUnits() uint32 {
	if pl.step == 0 {
		return uint32(uint64(pl.clock) * uint64(slot) / uint64(time.Second))
	}
	return pl.step
}

// tick looks whether packets of the party come to be replaced, and makes one if not.
func (pl *player) tick() {
	pl.mu.Lock()
	defer pl.mu.Unlock()
	if pl.stopped || !pl.busy() {
		return
	}
	now := pl.relay.clock()
	if quiet := now - pl.at; pl.known && !pl.own && quiet < lull {
		pl.wake(lull - quiet)
		return
	}
	if !pl.playing && now < pl.rest {
		pl.wake(pl.rest - now)
		return
	}
	other := pl.plug.other.Load()
	out := other.route.Load()
	if !out.open { // it was put on hold
		pl.abandon()
		return
	}
	if pl.clock == 0 { // no packet of the party has shown one
		pl.clock = pl.formats[0].clock
	}
	if !pl.known {
		pl.known, pl.ssrc, pl.sequence, pl.timestamp = true, rand.Uint32(), uint16(rand.Uint32()), rand.Uint32()
	} else if !pl.playing {
		pl.timestamp += max(pl.stepUnits(), uint32(uint64(now-pl.at)*uint64(pl.clock)/uint64(time.Second)))
	}
	if !pl.playing {
		pl.begin()
	}
	pl.sequence++
	pl.added++
	packet := pl.write(pl.packet[:eventPacket], now)
	pl.timestamp, pl.at, pl.own = pl.start+pl.slots*pl.units, now, true
	if pl.send(other, out, packet) {
		pl.relay.inserted.Add(1)
	}
	if pl.busy() {
		pl.wake(time.Duration(uint64(pl.stepUnits()) * uint64(time.Second) / uint64(pl.clock)))
	}
}

// send sends a packet of ours to the hearing party.
func (pl *player) send(other *plug, out *route, packet []byte) bool {
	if out.seal != nil {
		sealed, ok := out.seal.seal(packet, rtpPacket)
		if !ok {
			return false
		}
		packet = sealed
	}
	return other.jack.user.Load() == other && pl.relay.engine.write(other.jack, out, packet)
}
