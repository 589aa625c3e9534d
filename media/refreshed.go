package media

// Refreshed takes the answer of a party to an offer that repeated what it was sent last, to refresh its session (RFC 4028 §7.4): where
// it wants its packets from now on, and its key. The other party hears nothing of it, so nothing else of it counts. The error is an
// *Error; then the media goes on as it was.
func (b *Bridge) Refreshed(from Side, sdp []byte) error {
	var d description
	sum, refusal := b.read(sdp, &d)
	switch p := &b.parties[from]; {
	case refusal != nil:
		return refusal
	case !b.answered || b.pending:
		return errNoOffer
	case p.heard == sum:
		return nil
	default:
		p.heard = sum
	}
	for i, s := range b.streams[:min(d.count, len(b.streams))] {
		section := &d.sections[i]
		if s.path == nil || !s.agreed || !section.relayed() {
			continue
		}
		e := &s.path.sides[from]
		u := update{said: section.rtp(), changed: true, held: b.unreachable(section.rtp(), true)}
		s.held[from] = u.held
		e.rtp.redescribe(u)
		if e.rtcp != nil {
			u.said, u.held = section.rtcp(), b.unreachable(section.rtcp(), true)
			e.rtcp.redescribe(u)
		}
		if s.ends && s.srtp[from] {
			s.rekey(from, section)
		}
	}
	return nil
}

// rekey gives a side the key that its party names, of a suite that we have offered or taken.
func (s *stream) rekey(side Side, section *section) {
	ours := s.ring(side)
	if theirs, ok := section.crypto(func(c cryptoLine) bool { return ours[c.key.suite].suite != noSuite }); ok {
		s.path.sides[side].secure(theirs.key, ours[theirs.key.suite])
	}
}
