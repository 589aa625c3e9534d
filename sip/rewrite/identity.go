package rewrite

import (
	"bytes"

	"trunkline/sip/wire"
)

// anonymous is the host of a caller who withholds identity (RFC 3323 §4.1).
var anonymous = []byte("anonymous.invalid")

// AppendFrom appends the From value for the other leg, without a tag: the
// caller's display name and user part byte for byte, at our side's host.
// An anonymous caller stays anonymous.
func AppendFrom(b []byte, from wire.Address, user []byte, host string) []byte {
	if len(from.Display) > 0 {
		b = append(b, '"')
		b = append(b, from.Display...)
		b = append(b, "\" "...)
	}
	b = append(b, "<sip:"...)
	uri, err := wire.ParseURI(from.URI)
	if err == nil && bytes.EqualFold(uri.Host, anonymous) {
		b = append(b, "anonymous@"...)
		b = append(b, anonymous...)
		return append(b, '>')
	}
	if len(user) > 0 {
		b = append(b, user...)
		b = append(b, '@')
	}
	b = append(b, host...)
	return append(b, '>')
}

// AppendTo appends the To value for the other leg: the called number at host.
func AppendTo(b, user []byte, host string) []byte {
	b = append(b, "<sip:"...)
	if len(user) > 0 {
		b = append(b, user...)
		b = append(b, '@')
	}
	b = append(b, host...)
	return append(b, '>')
}
