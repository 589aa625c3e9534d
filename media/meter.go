package media

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// meter counts what one plug receives. The reader of its jack is its only writer; anybody may read it. The
// fields without atomics are the reader's own.
type meter struct {
	packets, bytes atomic.Uint64 // RTP accepted
	last           atomic.Int64  // when the last RTP packet came, nanoseconds since the relay's start; 0 = never
	quality        atomic.Uint64 // packets expected << 32 | jitter in timestamp units
	sequence       sequence

	events, droppedEvents atomic.Uint64 // telephone-events among packets and dropped
	dropped, droppedBytes atomic.Uint64 // of packets and bytes, not sent on
	reports               atomic.Uint64 // RTCP accepted
	report                atomic.Uint64 // the party's last sender report: middle of its NTP time << 32 | when it passed, see shortTime
	roundTrip             atomic.Int64  // to the party and back, nanoseconds; 0 = not known
	discarded             [discards]atomic.Uint64
}

// bump adds to a counter that has one writer.
func bump(counter *atomic.Uint64, n uint64) { counter.Store(counter.Load() + n) }

// rtp counts one RTP packet, whose header the caller has validated.
func (m *meter) rtp(packet []byte, clock uint32, event bool, now time.Duration) {
	bump(&m.packets, 1)
	bump(&m.bytes, uint64(len(packet)))
	m.last.Store(int64(now))
	if event {
		bump(&m.events, 1)
	}
	m.sequence.packet(binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[4:]),
		binary.BigEndian.Uint32(packet[8:]), now, clock, event)
	m.quality.Store(uint64(m.sequence.expected())<<32 | uint64(m.sequence.jitter>>4))
}

// opaque counts a datagram of a stream that is not RTP.
func (m *meter) opaque(packet []byte, now time.Duration) {
	bump(&m.packets, 1)
	bump(&m.bytes, uint64(len(packet)))
	m.last.Store(int64(now))
}

// sequence follows the sequence numbers and timestamps of one party, whatever it does with them: a new SSRC or a leap
// starts a new count and is no loss. RFC 3550 §A.1, §A.3, §A.8.
type sequence struct {
	running bool
	ssrc    uint32
	base    uint32 // extended number of the first packet of this run
	highest uint32 // extended
	before  uint32 // expected in earlier runs
	transit uint32 // arrival − timestamp of the last packet, in timestamp units
	jitter  uint32 // in 1/16 timestamp units
}

const (
	maxDropout  = 3000 // a larger step forward is a restart, not loss
	maxMisorder = 100  // a larger step back is a restart
)

// held says that the timestamp is that of the packet before, as the packets of one telephone-event have it (RFC 4733 §2.5.1.2):
// such a packet says nothing about jitter.
func (s *sequence) packet(number uint16, timestamp, ssrc uint32, now time.Duration, clock uint32, held bool) {
	arrival := uint32(uint64(now/time.Microsecond) * uint64(clock) / 1e6)
	transit := arrival - timestamp
	step := number - uint16(s.highest)
	switch {
	case !s.running || ssrc != s.ssrc, step >= maxDropout && step <= 65535-maxMisorder:
		s.before = s.expected()
		s.running, s.ssrc = true, ssrc
		s.base, s.highest = 1<<16|uint32(number), 1<<16|uint32(number)
		s.transit = transit
		return
	case step < maxDropout:
		s.highest += uint32(step)
	}
	if held {
		return
	}
	d := int32(transit - s.transit)
	s.transit = transit
	if d < 0 {
		d = -d
	}
	if uint32(d) > clock { // more than a second is a leap of the timestamp, not jitter
		return
	}
	s.jitter += uint32(d) - (s.jitter+8)>>4
}

// expected is how many packets the sequence numbers say were sent.
func (s *sequence) expected() uint32 {
	if !s.running {
		return s.before
	}
	return s.before + s.highest - s.base + 1
}

// flow makes the public figures. epoch is the relay's start.
func (m *meter) flow(f *Flow, clock uint32, epoch time.Time) {
	f.Packets += m.packets.Load()
	f.Bytes += m.bytes.Load()
	f.Relayed += m.packets.Load() - m.dropped.Load()
	f.Reports += m.reports.Load()
	f.Events += m.events.Load()
	for i := range f.Discarded {
		f.Discarded[i] += m.discarded[i].Load()
	}
	quality := m.quality.Load()
	if expected, got := quality>>32, m.packets.Load(); expected > got {
		f.Lost += expected - got
	}
	if clock > 0 {
		f.Jitter = time.Duration(quality&0xffffffff) * time.Second / time.Duration(clock)
	}
	if took := m.roundTrip.Load(); took != 0 {
		f.RoundTrip = time.Duration(took)
	}
	if last := m.last.Load(); last != 0 {
		if at := epoch.Add(time.Duration(last)); at.After(f.Last) {
			f.Last = at
		}
	}
}
