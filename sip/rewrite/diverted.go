package rewrite

import (
	"bytes"

	"trunkline/sip/wire"
)

// Divert is the form in which a side wants to hear who diverted a call.
type Divert uint8

const (
	DivertAsIs    Divert = iota // as it comes
	DivertHistory               // as History-Info (RFC 7044)
	DivertPlain                 // as Diversion (RFC 5806)
	DivertHidden                // not at all
)

// appendDiverted appends what crosses of a Diversion or History-Info line: hosts in its addresses name the inside of a network
// and become p.Host, numbers take the side's form. Who diverted the call, why and in what order stays; one who asked to be left out is
// anonymous to sides that are not trusted. Where the side wants the other form, the first line is answered with all of it and
// the others with nothing; of both forms side by side the wanted one crosses (RFC 7544 §3).
func (p *Policy) appendDiverted(b []byte, m *wire.Message, h *wire.Header) []byte {
	switch {
	case p.Divert == DivertHidden:
		return b
	case p.Divert == DivertHistory && h.ID == wire.HDiversion:
		if m.Has(wire.HHistoryInfo) || !isFirst(m, h) {
			return b
		}
		return p.appendHistory(b, m)
	case p.Divert == DivertPlain && h.ID == wire.HHistoryInfo:
		if m.Has(wire.HDiversion) || !isFirst(m, h) {
			return b
		}
		return p.appendDiversions(b, m)
	}
	start := len(b)
	b = append(append(b, h.ID.String()...), ": "...)
	first := len(b)
	for v := range wire.SplitList(h.Value) {
		before := len(b)
		if before > first {
			b = append(b, ", "...)
		}
		var ok bool
		if b, ok = p.appendRehosted(b, v); !ok {
			b = b[:before]
		}
	}
	if len(b) == first {
		return b[:start]
	}
	return append(b, "\r\n"...)
}

// isFirst reports whether h is the first line of its header.
func isFirst(m *wire.Message, h *wire.Header) bool {
	value := m.Get(h.ID)
	return len(value) > 0 && len(h.Value) > 0 && &value[0] == &h.Value[0]
}

// AppendRedirection appends the Contacts of a 3xx for the other leg (RFC 3261
// §8.1.3.4): the numbers they name at host, where that leg can call them. What
// names no number is left out.
func AppendRedirection(b []byte, m *wire.Message, host string) []byte {
	p := Policy{Host: host}
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
		if b, ok = p.appendRehosted(b, v); !ok {
			b = b[:start]
			continue
		}
		b = append(b, "\r\n"...)
	}
	return b
}

func (p *Policy) appendRehosted(b, value []byte) ([]byte, bool) {
	a, err := wire.ParseAddress(value)
	if err != nil {
		return b, false
	}
	u, err := wire.ParseURI(a.URI)
	if err != nil {
		return b, false
	}
	if p.hides(a, u) {
		return append(append(b, "<sip:anonymous@anonymous.invalid>"...), a.Params...), true
	}
	b = append(appendDisplay(b, a.Display), '<')
	switch string(bytes.ToLower(u.Scheme)) {
	case "tel":
		b = append(b, a.URI...)
	case "sip", "sips":
		b = p.appendRehostedURI(b, u)
	default:
		return b, false
	}
	return append(append(b, '>'), a.Params...), true
}

// hides reports whether an entry's owner is not to be told to this side: privacy of a Diversion (RFC 5806 §4), Privacy in the
// URI of a History-Info (RFC 7044 §10.1).
func (p *Policy) hides(a wire.Address, u wire.URI) bool {
	return !p.Trusted && isPrivate(a, u)
}

func isPrivate(a wire.Address, u wire.URI) bool {
	if v, ok := a.Param("privacy"); ok && !bytes.EqualFold(v, []byte("off")) {
		return true
	}
	for header := range bytes.SplitSeq(bytes.TrimPrefix(u.Headers, []byte("?")), []byte("&")) {
		if name, value, _ := bytes.Cut(header, []byte("=")); bytes.EqualFold(name, []byte("Privacy")) && !bytes.EqualFold(value, []byte("none")) {
			return true
		}
	}
	return false
}

// appendUser appends a user part as the side writes numbers.
func (p *Policy) appendUser(b, user []byte) []byte {
	if p.Number == nil {
		return append(b, user...)
	}
	return p.Number(b, user)
}

func (p *Policy) appendRehostedURI(b []byte, u wire.URI) []byte {
	b = append(append(b, u.Scheme...), ':')
	if len(u.User) > 0 {
		b = append(p.appendUser(b, u.User), '@')
	}
	b = append(b, p.Host...)
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
