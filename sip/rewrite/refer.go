package rewrite

import (
	"bytes"

	"trunkline/sip/wire"
)

// AppendReferredBy appends the Referred-By line of a REFER (RFC 3892), with host in place of the one it names.
func AppendReferredBy(b []byte, m *wire.Message, host string) []byte {
	if v := m.Get(wire.HReferredBy); v != nil {
		p := Policy{Host: host}
		b = p.appendReferredBy(b, v)
	}
	return b
}

func (p *Policy) appendReferredBy(b, value []byte) []byte {
	start := len(b)
	b, ok := p.appendRehosted(append(b, "Referred-By: "...), value)
	if !ok {
		return b[:start]
	}
	return append(b, "\r\n"...)
}

// AppendReferTo appends the Refer-To line of a REFER that is passed on: the number it names at host, where the other leg
// can call it, and the dialog it is to replace as the target knows it; nil: none (RFC 3515 §2.1, RFC 5589 §7.3). What names
// no number is left out.
func AppendReferTo(b []byte, a wire.Address, host string, known *wire.Replaces) []byte {
	u, err := wire.ParseURI(a.URI)
	if err != nil || len(u.User) == 0 {
		return b
	}
	b = append(b, "Refer-To: <"...)
	if bytes.EqualFold(u.Scheme, []byte("tel")) {
		b = append(b, a.URI...)
		return append(b, ">\r\n"...)
	}
	u.Headers = nil
	p := Policy{Host: host}
	b = p.appendRehostedURI(b, u)
	if known != nil {
		b = appendEscaped(append(b, "?Replaces="...), known.CallID)
		b = appendEscaped(append(b, "%3Bto-tag%3D"...), known.ToTag)
		b = appendEscaped(append(b, "%3Bfrom-tag%3D"...), known.FromTag)
	}
	return append(b, ">\r\n"...)
}

// appendEscaped appends text as it may stand in the headers of a URI (RFC 3261 §25.1).
func appendEscaped(b, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', bytes.IndexByte([]byte("-_.!~*'()"), c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}
