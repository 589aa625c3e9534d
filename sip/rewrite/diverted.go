package rewrite

import (
	"bytes"

	"trunkline/sip/wire"
)

// appendDiverted appends a Diversion (RFC 5806) or History-Info line (RFC 7044)
// with host in place of the hosts in its addresses, since those name the inside
// of a network. Who diverted the call, why and in what order stays. An address
// that cannot be read, or is no telephone number or SIP URI, is left out.
func appendDiverted(b []byte, name string, value []byte, host string) []byte {
	start := len(b)
	b = append(append(b, name...), ": "...)
	first := len(b)
	for v := range wire.SplitList(value) {
		before := len(b)
		if before > first {
			b = append(b, ", "...)
		}
		var ok bool
		if b, ok = appendRehosted(b, v, host); !ok {
			b = b[:before]
		}
	}
	if len(b) == first {
		return b[:start]
	}
	return append(b, "\r\n"...)
}

// AppendRedirection appends the Contacts of a 3xx for the other leg (RFC 3261
// §8.1.3.4): the numbers they name at host, where that leg can call them. What
// names no number is left out.
func AppendRedirection(b []byte, m *wire.Message, host string) []byte {
	for v := range m.Values(wire.HContact) {
		a, err := wire.ParseAddress(v)
		if err != nil {
			continue
		}
		if u, err := wire.ParseURI(a.URI); err != nil || len(u.User) == 0 {
			continue
		}
		start := len(b)
		b = append(b, "Contact: "...)
		var ok bool
		if b, ok = appendRehosted(b, v, host); !ok {
			b = b[:start]
			continue
		}
		b = append(b, "\r\n"...)
	}
	return b
}

func appendRehosted(b, value []byte, host string) ([]byte, bool) {
	a, err := wire.ParseAddress(value)
	if err != nil {
		return b, false
	}
	u, err := wire.ParseURI(a.URI)
	if err != nil {
		return b, false
	}
	if len(a.Display) > 0 {
		b = append(append(append(b, '"'), a.Display...), `" `...)
	}
	b = append(b, '<')
	switch string(bytes.ToLower(u.Scheme)) {
	case "tel":
		b = append(b, a.URI...)
	case "sip", "sips":
		b = appendRehostedURI(b, u, host)
	default:
		return b, false
	}
	return append(append(b, '>'), a.Params...), true
}

func appendRehostedURI(b []byte, u wire.URI, host string) []byte {
	b = append(append(b, u.Scheme...), ':')
	if len(u.User) > 0 {
		b = append(append(b, u.User...), '@')
	}
	b = append(b, host...)
	for _, name := range [...]string{"user", "cause"} { // RFC 3261 §19.1.1, RFC 4458 §2
		if v, ok := u.Param(name); ok {
			b = append(append(append(append(b, ';'), name...), '='), v...)
		}
	}
	mark := byte('?')
	for header := range bytes.SplitSeq(bytes.TrimPrefix(u.Headers, []byte("?")), []byte("&")) {
		name, _, _ := bytes.Cut(header, []byte("="))
		if bytes.EqualFold(name, []byte("Reason")) || bytes.EqualFold(name, []byte("Privacy")) { // RFC 7044 §5
			b = append(append(b, mark), header...)
			mark = '&'
		}
	}
	return b
}
