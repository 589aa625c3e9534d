package sip

import (
	"bytes"
	"net/netip"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// floods limits the requests outside calls that one address of a trunk or agent sends. It belongs to one goroutine.
type floods struct{ shares map[sender]*share }

// sender is one address of a trunk or agent: agents known by digest may share one, behind a NAT.
type sender struct {
	address [16]byte
	party   int32 // Index of the trunk, or the complement of the agent's
}

func senderOf(source netip.Addr, from trunks.Principal) sender {
	if from.Trunk != nil {
		return sender{source.As16(), int32(from.Trunk.Index)}
	}
	return sender{source.As16(), ^int32(from.Agent.Index)}
}

// share is what one address has sent.
type share struct {
	taken   limiter
	refused limiter // as many 503 are sent as requests are taken; the rest meets silence
}

// of returns the share of a sender at the rate of its trunk or agent now. A stranger who claims to be another address each time
// within a network that is listed makes others forgotten, which lets them have a little more.
func (f *floods) of(from sender, rate float64, now time.Time) *share {
	one := f.shares[from]
	if one == nil {
		if f.shares == nil {
			f.shares = map[sender]*share{}
		}
		if len(f.shares) >= maxSourcesKept {
			f.forget(now)
		}
		one = new(share)
		f.shares[from] = one
	}
	one.taken.rate, one.refused.rate = rate, rate
	return one
}

// forget makes room: whoever has been quiet for a second, or else anybody.
func (f *floods) forget(now time.Time) {
	makeRoom(f.shares, func(one *share) bool { return now.Sub(one.taken.last) >= time.Second })
}

// flooding reports whether the request at hand is one too many of its address, which is then answered with 503, before it has any
// effect. Requests inside calls, CANCEL and ACK are never limited, nor is a call for help. SEC-05.
func (s *shard) flooding(now time.Time, p transport.Packet, from trunks.Principal) bool {
	rate := from.SourceRate() / float64(len(s.edge.shards))
	if rate == 0 || s.env.Method == wire.ACK || s.env.Method == wire.CANCEL || s.ofCall() {
		return false
	}
	source := s.floods.of(senderOf(p.Flow.Remote.Addr(), from), rate, now)
	if source.taken.allow(now) {
		return false
	}
	parsed := s.in.Parse(p.Bytes) == nil
	if parsed && s.in.Method == wire.INVITE {
		if called, _ := admit.Numbers(&s.in, true); s.edge.isEmergency(called) {
			return false
		}
	}
	s.count.reject(trunks.Flood.String())
	from.Flooded(now)
	s.logFlood(now, p.Flow, from)
	if parsed && source.refused.allow(now) {
		s.replyStateless(now, p.Flow, s.overloaded(trunks.Flood.String()))
	}
	return true
}

// ofCall reports whether the request at hand carries the tag of a live call.
func (s *shard) ofCall() bool {
	_, slot, ok := readTag(s.env.ToTag)
	if !ok {
		return false
	}
	c := s.session(slot)
	return c != nil && (bytes.Equal(s.env.ToTag, c.caller.dialog.LocalTag) || bytes.Equal(s.env.ToTag, c.callee.dialog.LocalTag))
}

func (s *shard) logFlood(now time.Time, f transport.Flow, from trunks.Principal) {
	if s.complaint.allow(now) {
		s.log.Warn("an address sends more than its source_rate", "from", from.String(), "source", f.Remote.Addr(), "per_second", from.SourceRate())
	}
}
