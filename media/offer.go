package media

import (
	"net/netip"
	"slices"
)

// Offer takes an offer of one party and appends to dst what to offer to the other one. A first offer takes ports on
// both sides and works at once, so that early media finds its way; a later one (re-INVITE, UPDATE) waits for its
// answer, and [Bridge.Withdraw] forgets it. The error is an *Error; then nothing changed and dst is returned as it was.
// Neither slice is kept. RFC 3264 §5 and §8.
func (b *Bridge) Offer(from Side, sdp, dst []byte) ([]byte, error) {
	var d description
	sum, refusal := b.read(sdp, &d)
	if refusal != nil {
		return dst, refusal
	}
	to := from.Other()
	show := disguise{address: b.relay.shown(b.parties[to].local), count: d.count}
	if !show.address.IsValid() {
		return dst, errNoLocal
	}
	if refusal := b.offerFormats(from, &d); refusal != nil {
		return dst, refusal
	}
	if refusal := b.openStreams(&d); refusal != nil {
		return dst, refusal
	}

	b.offerer, b.offered, b.offerSum, b.pending = from, d.count, sum, true
	for i := range d.sections[:d.count] {
		section, s, line := &d.sections[i], b.streams[i], &show.lines[i]
		s.propose(section, d.count > 1)
		line.disabled, line.formats, line.events = section.port == 0, section.show, section.events
		line.mux, line.rekeyed = section.mux || section.muxOnly, section.guard.bare
		if line.rtp, line.rtcp = s.ports(to, s.proposal.wanted); line.rtp != 0 && s.proposal.guard.ends {
			s.proposal.guard.offerCrypto(line, section, s.ring(to))
			if !b.answered {
				s.closeUntilKeyed(from)
			}
		}
	}
	for _, s := range b.streams[d.count:] {
		s.proposal = proposal{numbers: s.numbers}
	}
	if !b.answered {
		b.applyOffer()
	}
	return rewrite(dst, sdp, &d, &show, &b.parties[to].origin, b.relay.seed), nil
}

// offerFormats leaves each line the formats that both parties may use, by the numbers the other one knows them by. A line without
// any is refused, and so is an offer whose every wanted line is.
func (b *Bridge) offerFormats(from Side, d *description) *Error {
	refusal := errNothingUsed
	for i := range d.sections[:d.count] {
		section := &d.sections[i]
		if !section.relayed() || section.kind == kindOpaque {
			continue
		}
		to := b.parties[from.Other()].terms.SRTP
		var known numbering
		if i < len(b.streams) {
			s := b.streams[i]
			known = s.numbers
			if b.answered && s.ends && to == SRTPPass {
				to = s.kept(from.Other())
			}
		}
		var err *Error
		if section.guard, err = section.protect(b.parties[from].terms.SRTP, to, b.converts()); err != nil {
			section.kind, refusal = kindRefused, err
			continue
		}
		if !b.readFormats(section, from, known, b.spell(section, from, nil, false)) {
			section.kind, refusal = kindRefused, errNoCodec
		}
	}
	if !d.usable() {
		return refusal
	}
	return nil
}

// readFormats notes the formats of a line that the other party may be shown, and books them; it is false if there are none.
func (b *Bridge) readFormats(s *section, from Side, known numbering, how spelling) bool {
	var room [maxFormats]format
	list, whole := s.readFormats(room[:0])
	by, to := b.parties[from].terms.Codecs, b.parties[from.Other()].terms.Codecs
	if len(by)+len(to) > 0 && string(s.media) == "audio" {
		if list, whole = filter(list, by, to), true; len(list) == 0 {
			return false
		}
	}
	if how.drop {
		if list, whole = how.respell(list), true; len(list) == 0 {
			return false
		}
	}
	s.own, s.numbers = codecOf(list), known
	s.shown = s.own
	if !whole && !how.hide {
		return true // there is something strange about it: it crosses as it is
	}
	if !s.sealed() { // the header of SRTP is authenticated end to end
		s.numbers = known.book(from, list)
	}
	if event := find(list, s.own.event); event >= 0 {
		s.shown.event = list[event].shown
	}
	if how.add || how.hide {
		s.noteEvents(list, how)
	}
	if how.hide {
		if list = withoutEvents(list); len(list) == 0 {
			return false
		}
	}
	if how.add || !s.written(list) {
		s.show = slices.Clone(list)
	}
	return true
}

// usable is false for an offer whose every wanted line is of a kind we cannot carry. An offer with no lines at all,
// or with disabled ones only, is fine. RFC 3264 §5.
func (d *description) usable() bool {
	wanted := false
	for i := range d.sections[:d.count] {
		if d.sections[i].relayed() {
			return true
		}
		wanted = wanted || d.sections[i].port != 0
	}
	return !wanted
}

// openStreams makes room for each line and opens the paths that are missing. On failure it closes those it opened.
func (b *Bridge) openStreams(d *description) *Error {
	for len(b.streams) < d.count {
		if b.streams == nil {
			b.streams = append(b.only[:0], &b.first)
		} else {
			b.streams = append(b.streams, new(stream))
		}
	}
	var fresh [maxStreams]bool
	for i := range d.sections[:d.count] {
		section, s := &d.sections[i], b.streams[i]
		if s.path != nil || !section.relayed() {
			continue
		}
		caller, callee := &b.parties[Caller], &b.parties[Callee]
		begin := [2]*route{caller.route(section.kind, section.own), callee.route(section.kind, section.shown)}
		opened, refusal := b.relay.openPath([2]netip.Addr{caller.local, callee.local}, begin, section.kind != kindOpaque && !section.muxOnly)
		if refusal != nil {
			for j := range fresh {
				if fresh[j] {
					b.dropPath(b.streams[j])
				}
			}
			return refusal
		}
		s.path, fresh[i] = opened, true
	}
	return nil
}

// propose notes a line of an offer until it is answered. heads says that the line may have to be written without help
// from the answer, which can only be one of several.
func (s *stream) propose(section *section, heads bool) {
	s.proposal = proposal{
		rtp: section.rtp(), rtcp: section.rtcp(), kind: section.kind, codec: section.shown, numbers: section.numbers, guard: section.guard, way: section.direction,
		wanted: section.relayed(), mux: section.mux || section.muxOnly, media: mediaName(section.media),
	}
	s.proposeDigits(section.events)
	if heads {
		first, _ := nextField(section.formats)
		s.proposal.head = string(section.media) + " 0 " + string(section.proto) + " " + string(first)
	}
	if s.media == "" {
		s.media = s.proposal.media
	}
}

// closeUntilKeyed is about the first offer, before whose answer a party may send what only the keys of the answer open.
func (s *stream) closeUntilKeyed(offerer Side) {
	if s.proposal.guard.in.tag != 0 {
		s.path.sides[offerer].closeUntilKeyed()
	}
	if s.proposal.guard.out {
		s.path.sides[offerer.Other()].closeUntilKeyed()
	}
}

// ports are ours that face the side; 0, 0 if the line is not to be carried.
func (s *stream) ports(side Side, carried bool) (rtp, rtcp uint16) {
	if s.path == nil || !carried {
		return 0, 0
	}
	e := &s.path.sides[side]
	if e.rtcp != nil {
		rtcp = e.pair.port + 1
	}
	return e.pair.port, rtcp
}

// applyOffer makes the offerer's addresses count.
func (b *Bridge) applyOffer() {
	p := &b.parties[b.offerer]
	changed := p.heard != 0 && p.heard != b.offerSum
	p.heard = b.offerSum
	for i, s := range b.streams {
		o := &s.proposal
		s.ways[b.offerer], s.numbers = o.way, o.numbers
		if i < b.offered {
			s.media = o.media
		}
		b.redescribe(s, b.offerer, o.wanted, changed, o)
		s.describeDigits(b.offerer, s.digits.offered())
		b.convert(s)
	}
}

// redescribe tells the plugs of one side what its party said about the stream.
func (b *Bridge) redescribe(s *stream, side Side, wanted, changed bool, o *proposal) {
	if s.path == nil {
		return
	}
	e := &s.path.sides[side]
	now := e.rtp.route.Load()
	u := update{said: o.rtp, changed: changed, held: b.unreachable(o.rtp, wanted), kind: o.kind, codec: now.codec, types: now.types}
	s.held[side] = u.held
	e.rtp.redescribe(u)
	if e.rtcp != nil {
		u.said, u.held = o.rtcp, b.unreachable(o.rtcp, wanted)
		e.rtcp.redescribe(u)
	}
	if wanted { // The payload types a party sends are those the other one described. RFC 3264 §5.1.
		b.tune(s, side.Other(), o.kind, o.codec)
	}
}

// tune tells the plug of one side what its party sends.
func (b *Bridge) tune(s *stream, side Side, k kind, c codec) {
	p := s.path.sides[side].rtp
	types := s.numbers.from(side)
	if now := p.route.Load(); now.codec != c || now.kind != k || !types.equal(now.types) {
		b.relay.settle(p, update{kind: k, codec: c, types: types, keep: true})
	}
}

// mediaName returns the medium of a line as one of a closed set.
func mediaName(media []byte) string {
	switch string(media) {
	case "audio":
		return "audio"
	case "video":
		return "video"
	case "image":
		return "image"
	case "text":
		return "text"
	case "application":
		return "application"
	case "message":
		return "message"
	}
	return "other"
}
