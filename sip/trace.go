package sip

import (
	"encoding/binary"
	"time"

	"trunkline/sip/transport"
)

// trace is a shard's memory of SIP messages: one ring of bytes of fixed size in
// which the messages of a call are chained, newest first. Old messages are
// overwritten, so what tracing costs does not depend on the number of calls.
// It holds no pointers; the garbage collector never looks inside.
//
// Owned by the shard.
type trace struct {
	ring []byte
	end  uint64 // bytes ever written; the next entry starts at end modulo len(ring)
}

// Traced is one message as it was sent or received.
type Traced struct {
	At       time.Time
	Sent     bool
	Flow     transport.Flow
	Bytes    []byte
	Repeated bool // a retransmission that was absorbed or sent again
}

// entryHead: previous entry (8), time (8), size (4), flags (1), protocol (1),
// socket (2), local and remote address (2 × 18).
const (
	entryHead   = 24 + 2*18
	flagSent    = 1
	flagRepeat  = 2
	traceLimit  = 200 // messages returned for one call
	noTrace     = 0   // chain value of a call without messages
	minimumRing = 1 << 16
)

func newTrace(size int) *trace {
	if size <= 0 {
		return &trace{}
	}
	t := &trace{end: 1}
	t.ring = ringMemory(t, max(size, minimumRing))
	return t
}

// on reports whether messages are kept at all.
func (t *trace) on() bool { return len(t.ring) > 0 }

// add stores a message and returns the new chain of its call. previous is the
// chain before, noTrace at first.
func (t *trace) add(previous uint64, now time.Time, sent, repeated bool, f transport.Flow, b []byte) uint64 {
	size := entryHead + len(b)
	if size > len(t.ring) {
		return previous
	}
	// An entry never wraps: what is left at the end of the ring is skipped.
	if room := uint64(len(t.ring)) - t.end%uint64(len(t.ring)); room < uint64(size) {
		t.end += room
	}
	at := t.end
	e := t.ring[at%uint64(len(t.ring)):][:size]
	binary.LittleEndian.PutUint64(e, previous)
	binary.LittleEndian.PutUint64(e[8:], uint64(now.UnixNano()))
	binary.LittleEndian.PutUint32(e[16:], uint32(len(b)))
	e[20] = 0
	if sent {
		e[20] |= flagSent
	}
	if repeated {
		e[20] |= flagRepeat
	}
	e[21] = byte(f.Proto)
	binary.LittleEndian.PutUint16(e[22:], f.Socket)
	putAddrPort(e[24:], f.Local)
	putAddrPort(e[42:], f.Remote)
	copy(e[entryHead:], b)
	t.end += uint64(size)
	return at
}

// messages returns copies of a call's messages in time order, at most the
// newest traceLimit, as far as they have not been overwritten.
func (t *trace) messages(chain uint64) []Traced {
	var found []Traced
	for at := chain; at != noTrace && t.end-at <= uint64(len(t.ring)) && len(found) < traceLimit; {
		e := t.ring[at%uint64(len(t.ring)):]
		size := binary.LittleEndian.Uint32(e[16:])
		found = append(found, Traced{
			At:       time.Unix(0, int64(binary.LittleEndian.Uint64(e[8:]))),
			Sent:     e[20]&flagSent != 0,
			Repeated: e[20]&flagRepeat != 0,
			Flow: transport.Flow{
				Proto:  transport.Proto(e[21]),
				Socket: binary.LittleEndian.Uint16(e[22:]),
				Local:  getAddrPort(e[24:]),
				Remote: getAddrPort(e[42:]),
			},
			Bytes: append([]byte(nil), e[entryHead:entryHead+int(size)]...),
		})
		at = binary.LittleEndian.Uint64(e)
	}
	for i, j := 0, len(found)-1; i < j; i, j = i+1, j-1 {
		found[i], found[j] = found[j], found[i]
	}
	return found
}
