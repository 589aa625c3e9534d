package media

import "net/netip"

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
	if !d.usable() {
		return dst, errNothingUsed
	}
	if refusal := b.openStreams(&d); refusal != nil {
		return dst, refusal
	}

	b.offerer, b.offered, b.offerSum, b.pending = from, d.count, sum, true
	for i := range d.sections[:d.count] {
		section, s, line := &d.sections[i], b.streams[i], &show.lines[i]
		s.propose(section, d.count > 1)
		line.disabled = section.port == 0
		line.mux = section.mux || section.muxOnly
		line.rtp, line.rtcp = s.ports(to, s.proposal.wanted)
	}
	for _, s := range b.streams[d.count:] {
		s.proposal = proposal{}
	}
	if !b.answered {
		b.applyOffer()
	}
	return rewrite(dst, sdp, &d, &show, &b.parties[to].origin, b.relay.seed), nil
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
		begin := [2]*route{caller.route(section.kind, section.codec), callee.route(section.kind, section.codec)}
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
		rtp: section.rtp(), rtcp: section.rtcp(), kind: section.kind, codec: section.codec, way: section.direction,
		wanted: section.relayed(), mux: section.mux || section.muxOnly, media: mediaName(section.media),
	}
	if heads {
		first, _ := nextField(section.formats)
		s.proposal.head = string(section.media) + " 0 " + string(section.proto) + " " + string(first)
	}
	if s.media == "" {
		s.media = s.proposal.media
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
		s.ways[b.offerer] = o.way
		if i < b.offered {
			s.media = o.media
		}
		b.redescribe(s, b.offerer, o.wanted, changed, o)
	}
}

// redescribe tells the plugs of one side what its party said about the stream.
func (b *Bridge) redescribe(s *stream, side Side, wanted, changed bool, o *proposal) {
	if s.path == nil {
		return
	}
	e := &s.path.sides[side]
	u := update{said: o.rtp, changed: changed, held: b.unreachable(o.rtp, wanted), kind: o.kind}
	u.codec = e.rtp.route.Load().codec
	s.held[side] = u.held
	e.rtp.redescribe(u)
	if e.rtcp != nil {
		u.said, u.held = o.rtcp, b.unreachable(o.rtcp, wanted)
		e.rtcp.redescribe(u)
	}
	// The payload types a party sends are those the other one described. RFC 3264 §5.1.
	opposite := s.path.sides[side.Other()].rtp
	if now := opposite.route.Load(); wanted && (now.codec != o.codec || now.kind != o.kind) {
		b.relay.settle(opposite, update{kind: o.kind, codec: o.codec, keep: true})
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
