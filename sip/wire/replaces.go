package wire

import "bytes"

// Replaces names the dialog that a new one is to replace (RFC 3891 §6.1), tags as seen from who gets it: ToTag is its own.
type Replaces struct {
	CallID, ToTag, FromTag []byte
	EarlyOnly              bool
}

// Replaces returns what an INVITE wants to replace; ok is false without the header, with two, or one that cannot be read.
func (m *Message) Replaces() (r Replaces, ok bool) {
	n := 0
	for value := range m.All(HReplaces) {
		r, ok = parseReplaces(value)
		n++
	}
	return r, ok && n == 1
}

// ReplacesInURI returns what the headers of a URI, as in Refer-To, say the INVITE to it is to replace.
func ReplacesInURI(u URI) (r Replaces, ok bool) {
	for header := range bytes.SplitSeq(bytes.TrimPrefix(u.Headers, []byte("?")), []byte("&")) {
		if name, value, _ := cutByte(header, '='); equalFoldAny(name, "Replaces") {
			return parseReplaces(unescape(value))
		}
	}
	return Replaces{}, false
}

func parseReplaces(value []byte) (r Replaces, ok bool) {
	id, _, _ := cutByte(value, ';')
	params := value[len(id):]
	r.CallID = trim(id)
	to, hasTo := findParam(params, "to-tag")
	from, hasFrom := findParam(params, "from-tag")
	r.ToTag, r.FromTag = to, from
	_, r.EarlyOnly = findParam(params, "early-only")
	return r, isCallID(r.CallID) && hasTo && hasFrom && isToken(to) && isToken(from)
}

// Append appends the value of a Replaces header.
func (r Replaces) Append(b []byte) []byte {
	b = append(append(b, r.CallID...), ";to-tag="...)
	b = append(append(b, r.ToTag...), ";from-tag="...)
	return append(b, r.FromTag...)
}

// unescape returns b with its %HH octets in clear; one that is cut short stays as it is.
func unescape(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			out = append(out, hexValue(b[i+1])<<4|hexValue(b[i+2]))
			i += 2
			continue
		}
		out = append(out, b[i])
	}
	return out
}

func hexValue(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
