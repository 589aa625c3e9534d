package media

import "net/netip"

// Answer takes the answer of one party to the other's last offer and appends to dst what to answer to the offerer.
// It may come again, repeated or changed (a 183, then the 200; another fork): the last one wins. The answer sent on
// has as many lines as the offer, in its order. Error and slices as in Offer. RFC 3264 §6, RFC 6337 §3.
func (b *Bridge) Answer(from Side, sdp, dst []byte) ([]byte, error) {
	var d description
	sum, refusal := b.read(sdp, &d)
	if refusal != nil {
		return dst, refusal
	}
	to := from.Other()
	if b.offerSum == 0 || b.offerer != to {
		return dst, errNoOffer
	}
	show := disguise{address: b.relay.shown(b.parties[to].local), count: b.offered}
	if !show.address.IsValid() {
		return dst, errNoLocal
	}
	if refusal := b.match(&d, to, &show); refusal != nil {
		return dst, refusal
	}

	if b.pending && b.answered {
		b.applyOffer()
	}
	b.pending, b.answered, b.settled = false, true, false
	p := &b.parties[from]
	changed := p.heard != 0 && p.heard != sum
	p.heard = sum
	for i, s := range b.streams {
		var given proposal
		s.agreed = i < b.offered && show.lines[i].rtp != 0
		if s.agreed {
			section := &d.sections[i]
			given = proposal{rtp: section.rtp(), rtcp: section.rtcp(), kind: section.kind, codec: section.shown}
			s.numbers, s.ways[from] = section.numbers, section.direction
			s.mux = show.lines[i].mux
		}
		b.redescribe(s, from, s.agreed, changed, &given)
		if s.agreed && s.path != nil {
			s.key(from, d.sections[i].guard.in.key)
			// What the answerer itself sends was a guess until now, the offer's first format; the formats of an answer are those
			// both will use, the preferred one first. RFC 3264 §6.1.
			b.tune(s, from, given.kind, d.sections[i].own)
			s.describeDigits(from, d.sections[i].events.list())
			b.convert(s)
		}
	}
	return rewrite(dst, sdp, &d, &show, &b.parties[to].origin, b.relay.seed), nil
}

// key gives both sides of a stream the keys that offer and answer agreed on.
func (s *stream) key(answerer Side, theirs masterKey) {
	guard, offerer := &s.proposal.guard, answerer.Other()
	s.ends, s.srtp[answerer], s.srtp[offerer] = guard.ends, guard.out, guard.in.tag != 0
	if !guard.ends {
		for side := range s.path.sides {
			s.path.sides[side].secure(masterKey{}, masterKey{})
		}
		return
	}
	s.path.sides[answerer].secure(theirs, s.ring(answerer)[theirs.suite])
	s.path.sides[offerer].secure(guard.in.key, s.ring(offerer)[guard.in.key.suite])
}

// match decides what becomes of each offered line: carried if the answer takes it as what it was offered, else
// refused. It refuses an answer that is none to this offer: no line of it fits although some should.
func (b *Bridge) match(d *description, to Side, show *disguise) *Error {
	fitting, wanting, refusal := 0, 0, errNoAnswer
	for i, s := range b.streams[:b.offered] {
		line := &show.lines[i]
		line.head = s.proposal.head
		if i >= d.count {
			wanting++
			continue
		}
		section := &d.sections[i]
		if section.port == 0 {
			line.disabled = true
			s.proposal.guard.refuse(line, section)
			fitting++
			continue
		}
		wanting++
		if !s.proposal.wanted || !section.relayed() || s.path == nil || mediaName(section.media) != s.proposal.media {
			continue
		}
		theirs, ok := s.proposal.guard.answerCrypto(line, section, s, to)
		if !ok {
			refusal = errNoSRTP
			continue
		}
		section.guard.ends, section.guard.in.key = s.proposal.guard.ends, theirs
		if section.kind != kindOpaque && !b.readFormats(section, to.Other(), s.proposal.numbers, b.spell(section, to.Other(), s.digits.offered(), true)) {
			refusal = errNoCodec
			continue
		}
		fitting++
		line.formats, line.events = section.show, section.events
		line.rtp, line.rtcp = s.ports(to, true)
		line.mux = s.proposal.mux && (section.mux || section.muxOnly)
		if line.mux {
			line.rtcp = 0
		}
	}
	if fitting == 0 && wanting > 0 {
		return refusal
	}
	return nil
}

// unreachable tells whether packets to the address make no sense: the line is refused, on hold, or points at the
// bridge itself, where a packet would circle for ever.
func (b *Bridge) unreachable(a netip.AddrPort, wanted bool) bool {
	if !wanted || !a.Addr().IsValid() || a.Addr().IsUnspecified() || a.Port() == 0 {
		return true
	}
	for _, s := range b.streams {
		if s.path == nil {
			continue
		}
		for side := range s.path.sides {
			e, local := &s.path.sides[side], b.parties[side].local
			if a.Port()&^1 == e.pair.port && (a.Addr() == local || a.Addr() == b.relay.shown(local)) {
				return true
			}
		}
	}
	return false
}
