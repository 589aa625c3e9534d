package media

import (
	"net/netip"
	"time"
)

// Discard is a reason why a packet was not relayed.
type Discard uint8

// The reasons, a closed set.
const (
	Malformed     Discard = iota // not RTP or RTCP version 2, cut short, or too long
	WrongSource                  // from an address that is not the party's
	NoDestination                // the other party's address is unknown or on hold
	SendFailed                   // the kernel refused it
	Unauthentic                  // SRTP that its key does not open, or a replay
	NoKey                        // the other party's SRTP has no key yet, or had too many sources
	discards
)

var discardLabels = [discards]string{"malformed", "wrong_source", "no_destination", "send_failed", "unauthentic", "no_key"}

// String returns the reason as a metric label.
func (d Discard) String() string { return discardLabels[d] }

// Flow is what came from one party on one stream.
type Flow struct {
	Packets, Bytes uint64           // RTP (or T.38) accepted from the party; UDP payload bytes
	Relayed        uint64           // of those packets, sent on to the other party
	Reports        uint64           // RTCP packets accepted
	Events         uint64           // of Packets, telephone-events (RFC 4733)
	Lost           uint64           // estimate from sequence numbers, RFC 3550 §A.3; never negative
	Jitter         time.Duration    // last interarrival jitter, RFC 3550 §A.8
	RoundTrip      time.Duration    // from us to the party and back, by its last RTCP report; 0 = it sent none
	Last           time.Time        // when the last RTP packet came; zero = none yet
	Discarded      [discards]uint64 // by Discard, RTP and RTCP together
	Source         netip.AddrPort   // the RTP source locked to; invalid = none yet
	Codec          string           // PCMU, PCMA, G722, G729, opus or other; the first one of the description
}

// StreamStats are the two directions of one m= line.
type StreamStats struct {
	Media string  // audio, video, image, text, application, message or other
	From  [2]Flow // by Side
}

// Stats are the streams of a bridge in the order of the m= lines, those that were ever carried.
type Stats struct {
	Streams []StreamStats
}

// Stats returns what has flowed so far. It may also be asked after Close.
func (b *Bridge) Stats() Stats {
	var stats Stats
	for _, s := range b.streams {
		from := s.past
		if s.path != nil {
			for side := range from {
				s.path.sides[side].flow(&from[side], b.relay.start)
			}
		} else if from[Caller].Codec == "" {
			continue // never carried
		}
		stats.Streams = append(stats.Streams, StreamStats{Media: s.media, From: from})
	}
	return stats
}

// flow adds the figures of one end.
func (e *end) flow(f *Flow, epoch time.Time) {
	r := e.rtp.route.Load()
	e.rtp.meter.flow(f, r.codec.clock, epoch)
	f.Source, f.Codec = r.source, r.codec.name.String()
	if e.rtcp != nil {
		e.rtcp.meter.flow(f, 0, epoch)
	}
}

// totals sum flows for the metrics.
type totals struct {
	received, sent [codecs]volume
	reports        uint64
	discarded      [discards]uint64
}

// volume is an amount of RTP.
type volume struct{ packets, bytes uint64 }

// add counts what a plug has received since it was last settled; nil is none. The relay's mutex is held.
func (t *totals) add(s *plug) {
	if s == nil {
		return
	}
	now, before := s.tally(), s.settled
	name := s.route.Load().codec.name
	t.received[name].packets += now.packets - before.packets
	t.received[name].bytes += now.bytes - before.bytes
	events, lostEvents := now.events-before.events, now.droppedEvents-before.droppedEvents
	t.received[name].packets -= events
	t.received[codecEvent].packets += events
	t.sent[name].packets += now.packets - now.dropped - (before.packets - before.dropped) - (events - lostEvents)
	t.sent[codecEvent].packets += events - lostEvents
	t.sent[name].bytes += now.bytes - now.droppedBytes - (before.bytes - before.droppedBytes)
	t.reports += now.reports - before.reports
	for i := range t.discarded {
		t.discarded[i] += now.discarded[i] - before.discarded[i]
	}
}

// tally is a meter's figures at one moment.
type tally struct {
	packets, bytes, dropped, droppedBytes, reports, events, droppedEvents uint64
	discarded                                                             [discards]uint64
}

// tally reads what is a part before what is the whole, so that a difference never goes below zero.
func (s *plug) tally() (t tally) {
	m := &s.meter
	t.droppedEvents, t.dropped, t.droppedBytes = m.droppedEvents.Load(), m.dropped.Load(), m.droppedBytes.Load()
	t.events = m.events.Load()
	t.packets, t.bytes, t.reports = m.packets.Load(), m.bytes.Load(), m.reports.Load()
	for i := range t.discarded {
		t.discarded[i] = m.discarded[i].Load()
	}
	return t
}

// settle books a plug's figures before its codec changes, since they are counted by codec.
func (r *Relay) settle(s *plug, change update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone.add(s)
	s.settled = s.tally()
	s.redescribe(change)
}

// totals sums everything that ever flowed.
func (r *Relay) totals() totals {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.gone
	inserted := r.inserted.Load()
	sum.sent[codecEvent].packets += inserted
	sum.sent[codecEvent].bytes += eventPacket * inserted
	for name := range r.replaced {
		replaced := r.replaced[name].Load() // before the packets it is a part of
		sum.sent[name].packets -= replaced
		sum.sent[codecEvent].packets += replaced
	}
	for p := r.paths; p != nil; p = p.next {
		for side := range p.sides {
			sum.add(p.sides[side].rtp)
			sum.add(p.sides[side].rtcp)
		}
	}
	return sum
}
