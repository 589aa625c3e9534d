package media

// Inherit has the descriptions for a side of b carry on where those of another bridge for the same party end, so that its
// o= line stays what it is but for the version. Call it when a transfer puts the party on b. RFC 3264 §8.
func (b *Bridge) Inherit(side Side, old *Bridge, oldSide Side) {
	b.parties[side].origin = old.parties[oldSide].origin
}

// AppendResumed appends a description without what holds its streams, so that it can be offered to somebody new.
// RFC 3264 §8.4.
func AppendResumed(dst, sdp []byte) []byte {
	for rest := sdp; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		switch string(line) {
		case "a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv":
			continue
		}
		dst = append(append(dst, line...), "\r\n"...)
	}
	return dst
}
