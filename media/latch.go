package media

import "net/netip"

// trust ranks a packet source. A source is believed if it ranks above the one locked to, so the lock can only
// improve: whoever sprays our ports while a call rings loses it to the party's first packet, and once the described
// address itself has been heard nothing moves the lock but a new description. RFC 7362 §5.
type trust uint8

const (
	stranger  trust = iota // not believed
	anyone                 // first come, where the policy allows it
	sameHost               // the host of the party's media or SIP address, another port: a NAT or a sender that is not symmetric
	described              // exactly the address its description names
)

// route is where packets of one party's stream component come from and go to. It is immutable: the call's goroutine
// and the packet reader publish new ones in its place (latch.go and bridge.go make them), and each packet sees one whole route.
type route struct {
	// These are read for every packet and stand together, so that they share a cache line.
	source    netip.AddrPort // whom we listen to; invalid = nobody yet
	codec     codec          // of what the party sends
	types     *renumber      // what becomes of the payload types it sends; nil = nothing
	kind      kind
	trust     trust     // why we listen to the source
	open      bool      // dest is valid
	unseal    *sealer   // opens what the party sends; nil = it is plain, or not ours to open
	seal      *sealer   // protects what the party is sent; nil = it stays as it is
	converter converter // of what the party sends; nil = it passes

	dest   netip.AddrPort // where packets to the party go; invalid = nowhere
	wire   sockaddr       // dest as the kernel wants it, if the engine is raw
	said   netip.AddrPort // where its description wants packets; invalid = not known yet
	former netip.AddrPort // whom we listened to before the last description; its last packets may still come in
	stayed bool           // that description named the same address: former is the party, unless it has fallen silent
	parted bool           // it named another one, that of a party which had been where it said: former is where it no longer is
	host   netip.Addr     // where its SIP comes from; invalid = not known
	policy Latch
}

// judge ranks the source of a packet by what is known of the party. It is pure.
func (r *route) judge(source netip.AddrPort) trust {
	switch {
	case source == r.said:
		return described
	case source.Addr() == r.said.Addr(), source.Addr() == r.host:
		return sameHost
	case r.policy == LatchAny, r.policy == LatchAuto && r.maybeNAT():
		return anyone
	}
	return stranger
}

// maybeNAT tells whether the described address cannot be taken at its word: none is known yet, or it is one that
// means nothing outside the party's own network and its SIP comes from elsewhere.
func (r *route) maybeNAT() bool {
	if !r.said.IsValid() {
		return true
	}
	return r.said.Addr() != r.host && Inside(r.said.Addr())
}

// Inside tells whether an address means nothing outside the network that it is used in. RFC 1918, RFC 3927, RFC 4193, RFC 6598.
func Inside(a netip.Addr) bool {
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsUnspecified() || carrierGrade.Contains(a)
}

// carrierGrade is the address space between a subscriber's NAT and the carrier's. RFC 6598.
var carrierGrade = netip.MustParsePrefix("100.64.0.0/10")

// learn returns the route locked to the source, or nil if the source is not to be believed. From then on packets to
// the party go there too (symmetric RTP, RFC 4961), unless it is on hold.
func (r *route) learn(source netip.AddrPort) *route {
	rank := r.judge(source)
	moved := !r.stayed && rank == r.trust && r.source == r.former && source != r.former
	if rank == stranger || rank <= r.trust && !moved {
		return nil
	}
	return r.lock(source, rank)
}

// regain returns the route locked to who was listened to before, in place of one that got in between because the lock was opened
// for a description with the same address; nil if it is no such source. That it still sends shows that no NAT has moved it: the
// caller sees to it that these are no last packets of before.
func (r *route) regain(source netip.AddrPort) *route {
	if !r.stayed || source != r.former || r.judge(source) < max(r.trust, anyone) {
		return nil
	}
	return r.lock(source, r.judge(source))
}

// final tells whether nobody can take the lock from the source before the next description: it is the described address, or one of the
// host where a NAT hides that address from us.
func (r *route) final() bool {
	return !r.stayed && (r.trust == described || r.trust == sameHost && r.maybeNAT() && r.source.Addr() != r.said.Addr())
}

// regains is how many packets of the former source show that it still sends.
const regains = 5

func (r *route) lock(source netip.AddrPort, rank trust) *route {
	locked := *r
	locked.source, locked.trust = source, rank
	if r.stayed && source == r.former {
		locked.former, locked.stayed = netip.AddrPort{}, false
	}
	if (!r.said.IsValid() || r.open) && r.leads(source) {
		locked.send(source)
	}
	return &locked
}

// leads tells whether packets to the party follow a source that is believed: not back to the place that it has left, from where its
// last packets come.
func (r *route) leads(source netip.AddrPort) bool { return !r.parted || source != r.former }

// send sets where packets to the party go.
func (r *route) send(dest netip.AddrPort) {
	r.dest, r.open = dest, dest.IsValid()
	r.wire = sockaddrOf(dest)
}

// update is what a description says of one component of a stream.
type update struct {
	said    netip.AddrPort // where the party wants its packets
	held    bool           // it wants none: hold, or the stream is refused
	changed bool           // the description is not the one it sent before
	kind    kind           // kindRefused = as before
	codec   codec
	types   *renumber
	keep    bool // only kind, codec and types are new
}

// redescribed returns the route after a description of the party. An address that did not change keeps its source and
// destination, so nothing is lost; but if the description changed, the source is learned anew, since the NAT in
// between may have forgotten it. A changed address counts at once. RFC 7362 §4.
func (r *route) redescribed(u update) *route {
	next := *r
	if u.kind != kindRefused {
		next.kind, next.codec, next.types = u.kind, u.codec, u.types
	}
	if u.keep {
		return &next
	}
	if u.held {
		next.send(netip.AddrPort{})
		return &next
	}
	switch {
	case u.said != r.said:
		next.said = u.said
		next.source, next.trust, next.former, next.stayed = netip.AddrPort{}, stranger, r.source, false
		next.parted = r.trust == described && !next.maybeNAT()
		next.send(u.said)
		if rank := next.judge(r.source); !r.said.IsValid() && r.source.IsValid() && rank != stranger {
			// Early packets came before the description and agree with it: stay with their source.
			next.source, next.trust, next.former = r.source, rank, netip.AddrPort{}
			next.send(r.source)
		}
	case r.source.IsValid() && r.leads(r.source):
		next.send(r.source)
		if u.changed {
			next.source, next.trust, next.former = netip.AddrPort{}, stranger, r.source
			next.stayed, next.parted = true, false
		}
	case !r.open:
		next.send(u.said)
	}
	return &next
}
