package media

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"time"
)

// listener hears the telephone-events of a party (RFC 4733) and takes them out of its stream, whose other packets are numbered
// down, so that nothing seems to be lost. Each event is told once, when its end came, or when nothing more came of it.
type listener struct {
	clock   func() time.Duration
	plug    *plug // of the party that plays events
	tell    func(Digit)
	mu      sync.Mutex
	stopped bool
	clocks  [128]uint32 // of telephone-event, by payload type; 0: it is none
	gaps    gaps
	ssrc    uint32
	timer   *time.Timer

	event struct {
		known     bool
		told      bool
		number    byte
		timestamp uint32
		clock     uint32
		before    uint32 // units of earlier segments
		units     uint32 // of this one
	}
	last time.Duration // when a packet of the event came
}

// silence is how long an event may send nothing before it counts as over, its end being lost. Senders repeat it every 50 ms
// or less (RFC 4733 §2.5.1.2).
const silence = 200 * time.Millisecond

func newListener(clock func() time.Duration, p *plug, tell func(Digit)) *listener {
	return &listener{clock: clock, plug: p, tell: tell}
}

// describe says under which payload types the party may play events: those it was shown, and its own, for many take one for the
// other.
func (l *listener) describe(shown, own []eventFormat) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clocks = [128]uint32{}
	for _, f := range own {
		l.clocks[f.number] = f.clock
	}
	for _, f := range shown {
		l.clocks[f.shown] = f.clock
	}
}

func (l *listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	if l.timer != nil {
		l.timer.Stop()
	}
}

// convert implements converter.
func (l *listener) convert(p *plug, r *route, packet []byte, what packetClass, now time.Duration) (*route, []byte) {
	if what != rtpPacket {
		return p.pass(r.types, packet, what)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ssrc := binary.BigEndian.Uint32(packet[8:]); ssrc != l.ssrc {
		l.ssrc, l.gaps = ssrc, gaps{}
		l.over() // of a stream that is gone
		l.event.known = false
	}
	clock := l.clocks[packet[1]&0x7f]
	sequence := binary.BigEndian.Uint16(packet[2:])
	missing := l.gaps.note(sequence, clock != 0)
	if clock != 0 {
		l.hear(packet, clock, now)
		p.leaveOut(packet)
		return nil, nil
	}
	binary.BigEndian.PutUint16(packet[2:], sequence-missing)
	return p.pass(r.types, packet, what)
}

// hear takes one packet of an event.
func (l *listener) hear(packet []byte, clock uint32, now time.Duration) {
	payload := eventPayload(packet)
	if payload == nil || l.stopped {
		return
	}
	number, units := payload[0], uint32(binary.BigEndian.Uint16(payload[2:]))
	timestamp := binary.BigEndian.Uint32(packet[4:])
	e := &l.event
	switch age := int32(timestamp - e.timestamp); {
	case e.known && age == 0:
		e.units = max(e.units, units)
	case e.known && age < 0 && uint32(-age) < 10*clock:
		return // late, of an event that was told
	case e.known && !e.told && number == e.number && packet[1]&0x80 == 0 && e.units > 0 && uint32(age) == e.units:
		e.before += e.units // a long event goes on in another segment, RFC 4733 §2.5.1.3
		e.timestamp, e.units = timestamp, units
	default:
		l.over()
		e.known, e.told, e.number, e.timestamp, e.clock, e.before, e.units = true, false, number, timestamp, clock, 0, units
	}
	l.last = now
	switch {
	case e.told:
	case payload[1]&endBit != 0:
		l.over()
	case l.timer == nil:
		l.timer = time.AfterFunc(silence, l.tick)
	default:
		l.timer.Reset(silence)
	}
}

// over tells the event at hand, if that was not done.
func (l *listener) over() {
	e := &l.event
	if !e.known || e.told {
		return
	}
	e.told = true
	if e.number <= Flash { // what else there is are tones of modems and lines, which are not offered
		l.tell(Digit{Event: e.number, Duration: time.Duration(uint64(e.before+e.units) * uint64(time.Second) / uint64(e.clock))})
	}
}

// tick ends an event that has fallen silent.
func (l *listener) tick() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || !l.event.known || l.event.told {
		return
	}
	if quiet := l.clock() - l.last; quiet < silence {
		l.timer.Reset(silence - quiet)
		return
	}
	l.over()
}

// gaps follows which packets of a stream were taken out of it.
type gaps struct {
	running bool
	highest uint16 // number seen
	taken   uint64 // of the last 64 numbers, those taken out; bit 0 is the highest
	total   uint16
}

// note returns by how much a packet is numbered down: how many were taken out before it. A packet that is taken out when those
// behind it have passed leaves a hole, as a lost one does.
func (g *gaps) note(number uint16, take bool) uint16 {
	if !g.running {
		g.running, g.highest = true, number
		if take {
			g.taken, g.total = 1, 1
		}
		return 0
	}
	ahead := int16(number - g.highest)
	if ahead > 0 {
		g.taken <<= min(uint(ahead), 64)
		g.highest = number
		if take {
			g.taken |= 1
			g.total++
		}
		return g.total
	}
	if ahead <= -maxMisorder { // the party counts anew
		g.highest, g.taken = number, 0
		return g.total
	}
	newer := g.taken
	if back := uint(-int(ahead)); back < 64 {
		newer &= 1<<back - 1
	}
	return g.total - uint16(bits.OnesCount64(newer))
}
