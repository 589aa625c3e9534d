package media

import "bytes"

// Inherit has the descriptions for a side of b carry on where those of another bridge for the same party end, so that its
// o= line stays what it is but for the version. Call it when a transfer puts the party on b. RFC 3264 §8.
func (b *Bridge) Inherit(side Side, old *Bridge, oldSide Side) {
	b.parties[side].origin = old.parties[oldSide].origin
}

// Protection is what the RTP of a party has: as the last answer agreed where SRTP ends at us, else what its terms say. It is for
// the terms of another bridge that the party is put on.
func (b *Bridge) Protection(side Side) SRTP {
	for _, s := range b.streams {
		if s.agreed && s.ends {
			return s.kept(side)
		}
	}
	return b.parties[side].terms.SRTP
}

// AppendResumed appends a description that a party was shown of the other one, so that it can be offered to somebody new: without
// what holds its streams (RFC 3264 §8.4), and protected as that other party's RTP is, where SRTP ends at us.
func (b *Bridge) AppendResumed(dst, sdp []byte, shown Side) []byte {
	var own *stream // whose lines these are; nil: of no stream whose SRTP ends at us
	section := -1
	for rest := sdp; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		if bytes.HasPrefix(line, []byte("m=")) {
			dst = own.appendKey(dst, shown.Other())
			own = nil
			if section++; section < len(b.streams) && b.streams[section].agreed && b.streams[section].ends {
				own = b.streams[section]
			}
			dst = append(own.appendHead(dst, line, shown.Other()), "\r\n"...)
			continue
		}
		if own != nil && bytes.HasPrefix(line, []byte("a=crypto:")) {
			continue
		}
		dst = appendUnheld(dst, line)
	}
	return own.appendKey(dst, shown.Other())
}

// AppendResumed is as [Bridge.AppendResumed] for a call whose media do not pass through us.
func AppendResumed(dst, sdp []byte) []byte {
	for rest := sdp; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		dst = appendUnheld(dst, line)
	}
	return dst
}

func appendUnheld(dst, line []byte) []byte {
	switch string(line) {
	case "a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv":
		return dst
	}
	return append(append(dst, line...), "\r\n"...)
}

// appendHead appends an m= line with the transport that a party has; s may be nil.
func (s *stream) appendHead(dst, line []byte, party Side) []byte {
	medium, rest := nextField(line)
	port, rest := nextField(rest)
	proto, formats := nextField(rest)
	if s == nil || len(proto) == 0 {
		return append(dst, line...)
	}
	dst = append(append(append(append(dst, medium...), ' '), port...), ' ')
	return append(append(append(dst, protoFor(proto, s.srtp[party])...), ' '), formats...)
}

// appendKey appends the a=crypto line with the key of what a party sends; s may be nil.
func (s *stream) appendKey(dst []byte, party Side) []byte {
	if s == nil || !s.srtp[party] || s.path == nil {
		return dst
	}
	if r := s.path.sides[party].rtp.route.Load(); r.unseal != nil && r.unseal.key.suite != noSuite {
		dst = appendCrypto(dst, cryptoLine{1, r.unseal.key})
	}
	return dst
}
