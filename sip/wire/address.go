package wire

import "bytes"

// Address is a name-addr or an addr-spec with its header parameters (RFC 3261 §20.10), as in From, To, Contact,
// Route, P-Asserted-Identity.
type Address struct {
	Display []byte // without quotes; escapes inside are left. Put between quotes it is a valid quoted-string again
	URI     []byte // without angle brackets, byte-exact; "*" in a Contact that unregisters
	Tag     []byte // nil without one
	Params  []byte // those behind the URI, with the leading ';'
}

// ParseAddress reads one address that fills b. It returns a *Error with CauseAddress if it is broken or its URI is.
func ParseAddress(b []byte) (Address, error) {
	var (
		a Address
		u URI
	)
	if end, ok := a.parse(b, 0, &u); !ok || end != len(b) {
		return Address{}, failures[failAddress].answer
	}
	return a, nil
}

// ParseRoute reads one Route or Record-Route value. RFC 3261 §20.34 asks for angle brackets; where a peer leaves
// them out, the parameters are taken as the URI's, since "lr" among them is what routing turns on.
// It returns a *Error with CauseRoute if the value is broken.
func ParseRoute(b []byte) (Address, error) {
	var (
		a Address
		u URI
	)
	if end, ok := a.parseRoute(b, 0, &u); !ok || end != len(b) {
		return Address{}, failures[failRoute].answer
	}
	return a, nil
}

// Param returns the value of a header parameter; its name is compared without case. Quotes are taken off
// the value, escapes inside are left. The value is nil if there is none.
func (a Address) Param(name string) (value []byte, ok bool) {
	return findParam(a.Params, name)
}

// parse reads the address at b[i:] up to the end or a comma, whose index it returns. u is scratch space that
// holds the URI taken apart afterwards.
func (a *Address) parse(b []byte, i int, u *URI) (end int, ok bool) {
	i, bracketed, ok := a.parseURI(b, skipBlank(b, i), u)
	if !ok {
		return i, false
	}
	start := i
	i = skipBlank(b, i)
	for i < len(b) && b[i] == ';' {
		name, value, next, ok := nextParam(b, i)
		if !ok {
			return next, false
		}
		if len(name) == 3 && equalFold(name, "tag") {
			if a.Tag != nil || !isTagValue(value) {
				return next, false // two tags, or one that is no token, would name no dialog
			}
			a.Tag = value
		}
		i = next
	}
	a.Params = trim(b[start:i])
	if !bracketed && bytes.IndexByte(a.Params, '@') >= 0 {
		// "sip:user;par=x@host" without brackets: the ';' was meant as part of the user (RFC 3261 §20.10).
		return i, false
	}
	return i, i == len(b) || b[i] == ','
}

func (a *Address) parseRoute(b []byte, i int, u *URI) (end int, ok bool) {
	start := skipBlank(b, i)
	end, ok = a.parse(b, i, u)
	if ok && len(a.Params) > 0 && start < len(b) && &b[start] == &a.URI[0] {
		a.URI = trimRight(b[start:end])
		a.Params = nil
		ok = u.parse(a.URI)
	}
	return end, ok
}

// parseURI reads the display name and the URI and returns the index behind it.
func (a *Address) parseURI(b []byte, i int, u *URI) (end int, bracketed, ok bool) {
	*a = Address{}
	if i == len(b) {
		return i, false, false
	}
	j := i
	if b[i] == '"' {
		j = quotedEnd(b, i)
		if j < 0 {
			return i, false, false
		}
		a.Display = b[i+1 : j-1]
		j = skipBlank(b, j)
		if j == len(b) || b[j] != '<' {
			return j, false, false
		}
	} else {
		for j < len(b) && charClass[b[j]]&displayStop == 0 {
			j++
		}
		if j == len(b) || b[j] != '<' {
			a.URI = trimRight(b[i:j])
			// With a '?' in it the URI must stand in brackets (RFC 3261 §20.10).
			return j, false, u.parse(a.URI) && u.Headers == nil
		}
		// A display name with characters that call for quotes is taken as if quoted (RFC 4475 §3.1.2.15);
		// not with a comma, which may as well separate two addresses.
		a.Display = trimRight(b[i:j])
	}
	j++
	n := bytes.IndexByte(b[j:], '>')
	if n < 0 {
		return j, true, false
	}
	a.URI = b[j : j+n : j+n]
	return j + n + 1, true, u.parse(a.URI)
}

func isTagValue(value []byte) bool {
	return len(value) > 0 && value[0] != '"'
}
