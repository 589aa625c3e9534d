package rewrite

import (
	"bytes"
	"slices"

	"trunkline/sip/wire"
)

// anonymous is the host of a caller who withholds identity (RFC 3323 §4.1).
var anonymous = []byte("anonymous.invalid")

const anonymousFrom = `"Anonymous" <sip:anonymous@anonymous.invalid>`

// Private reports whether the caller of m asks that their number be withheld: by Privacy (RFC 3323 §4.2, RFC 3325 §9.3) or by an
// anonymous From. "Privacy: none" asks for the opposite.
func Private(m *wire.Message) bool {
	for value := range m.All(wire.HPrivacy) {
		for word := range bytes.FieldsFuncSeq(value, func(r rune) bool { return r == ';' || r == ',' || r == ' ' || r == '\t' }) {
			switch string(bytes.ToLower(word)) {
			case "none":
				return false
			case "id", "user", "header":
				return true
			}
		}
	}
	uri, err := wire.ParseURI(m.From.URI)
	return err == nil && bytes.EqualFold(uri.Host, anonymous)
}

// Party is how one side writes a person: a number at a host.
type Party struct {
	User  []byte // as it stands in the URI
	Host  string
	Phone bool // URIs with a telephone number say user=phone (RFC 3261 §19.1.1)
}

// AppendURI appends the party's URI.
func (p Party) AppendURI(b []byte) []byte {
	b = append(b, "sip:"...)
	if len(p.User) > 0 {
		b = append(b, p.User...)
		b = append(b, '@')
	}
	b = append(b, p.Host...)
	if p.Phone && IsNumber(p.User) {
		b = append(b, ";user=phone"...)
	}
	return b
}

// IsNumber reports whether a user part is a telephone number, whatever its form.
func IsNumber(user []byte) bool {
	return len(user) > 0 && (user[0] == '+' && len(user) > 1 || user[0] >= '0' && user[0] <= '9' || user[0] == '*' || user[0] == '(')
}

// AppendFrom appends the From value for the other leg, without a tag: the
// caller's display name and the party. A caller who withholds their identity
// (private) is nobody, and an anonymous one stays so.
func AppendFrom(b []byte, from wire.Address, p Party, private bool) []byte {
	b = slices.Grow(b, len(anonymousFrom)+len(from.Display)+len(p.User)+len(p.Host))
	uri, err := wire.ParseURI(from.URI)
	hidden := err == nil && bytes.EqualFold(uri.Host, anonymous)
	if private && !hidden {
		return append(b, anonymousFrom...)
	}
	b = appendDisplay(b, from.Display)
	b = append(b, '<')
	if hidden {
		b = append(b, "sip:anonymous@"...)
		b = append(b, anonymous...)
	} else {
		b = p.AppendURI(b)
	}
	return append(b, '>')
}

func appendDisplay(b, display []byte) []byte {
	if len(display) > 0 {
		b = append(b, '"')
		b = append(b, display...)
		b = append(b, "\" "...)
	}
	return b
}

// AppendTo appends the To value for the other leg: the called party.
func AppendTo(b []byte, p Party) []byte {
	return append(p.AppendURI(append(b, '<')), '>')
}

// AppendAsserted appends a P-Asserted-Identity line that names the party (RFC 3325 §9.1), with the display name of
// who m says it is.
func AppendAsserted(b []byte, m *wire.Message, p Party) []byte {
	display := m.From.Display
	if uri, err := wire.ParseURI(m.From.URI); err == nil && bytes.EqualFold(uri.Host, anonymous) {
		display = nil
	}
	for _, id := range [...]wire.ID{wire.HPAssertedIdentity, wire.HPPreferredIdentity} {
		if a, err := wire.ParseAddress(first(m, id)); err == nil {
			display = a.Display
			break
		}
	}
	b = appendDisplay(append(b, "P-Asserted-Identity: "...), display)
	return append(AppendTo(b, p), "\r\n"...)
}

// CrossAsserted appends the P-Asserted-Identity lines of m, which came from a trusted side, for one that may see them: at a host of
// ours. number appends a number as that side writes it; nil: as it came.
func CrossAsserted(b []byte, m *wire.Message, host string, number func(dst, user []byte) []byte) []byte {
	p := Policy{Host: host, Number: number}
	for v := range m.Values(wire.HPAssertedIdentity) {
		start := len(b)
		b = append(b, "P-Asserted-Identity: "...)
		var ok bool
		if b, ok = p.appendRehosted(b, v); !ok {
			b = b[:start]
			continue
		}
		b = append(b, "\r\n"...)
	}
	return b
}

func first(m *wire.Message, id wire.ID) []byte {
	for v := range m.Values(id) {
		return v
	}
	return nil
}
