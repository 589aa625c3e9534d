package digest

import "bytes"

// challenge is one Digest challenge, or one set of credentials: both are a
// scheme and parameters. Values are without their quotes and otherwise as they
// came: escapes stay, both for the hash (RFC 7616 §3.3, "unq") and for the echo.
type challenge struct {
	realm, nonce, opaque             []byte
	username, uri, response          []byte
	cnonce, nc, qop, nextNonce       []byte
	algorithm                        []byte
	stale                            bool
	hasRealm, hasOpaque, hasNonce    bool
	hasQop, hasUsername, hasResponse bool
}

// maxParameter bounds each parameter: a challenge is kept, and sent back in every request.
const maxParameter = 1024

// challenges yields the Digest challenges of one header value. Several may share
// it (RFC 7235 §4.1); other schemes are passed over. A challenge whose syntax is
// broken is left out, with all behind it.
func challenges(value []byte) func(yield func(challenge) bool) {
	return func(yield func(challenge) bool) {
		var c challenge
		open := false // c is a Digest challenge being read
		for {
			value = skipSeparators(value)
			if len(value) == 0 {
				break
			}
			name, rest := cutToken(value)
			if len(name) == 0 {
				return
			}
			rest = bytes.TrimLeft(rest, " \t")
			if len(rest) == 0 || rest[0] != '=' { // not a parameter: a scheme
				if open && !yield(c) {
					return
				}
				c, open = challenge{}, equalFold(name, "digest")
				value = rest
				continue
			}
			v, rest, ok := cutValue(bytes.TrimLeft(rest[1:], " \t"))
			if !ok || len(v) > maxParameter {
				return
			}
			value = rest
			if open {
				c.set(name, v)
			}
		}
		if open {
			yield(c)
		}
	}
}

// set takes one parameter; of two with the same name the first counts.
func (c *challenge) set(name, value []byte) {
	once := func(field *[]byte, has *bool) {
		if !*has {
			*field, *has = value, true
		}
	}
	some := func(field *[]byte) {
		if *field == nil {
			*field = value
		}
	}
	switch {
	case equalFold(name, "realm"):
		once(&c.realm, &c.hasRealm)
	case equalFold(name, "nonce"):
		once(&c.nonce, &c.hasNonce)
	case equalFold(name, "opaque"):
		once(&c.opaque, &c.hasOpaque)
	case equalFold(name, "qop"):
		once(&c.qop, &c.hasQop)
	case equalFold(name, "username"):
		once(&c.username, &c.hasUsername)
	case equalFold(name, "response"):
		once(&c.response, &c.hasResponse)
	case equalFold(name, "algorithm"):
		some(&c.algorithm)
	case equalFold(name, "uri"):
		some(&c.uri)
	case equalFold(name, "cnonce"):
		some(&c.cnonce)
	case equalFold(name, "nc"):
		some(&c.nc)
	case equalFold(name, "nextnonce"):
		some(&c.nextNonce)
	case equalFold(name, "stale"):
		c.stale = equalFold(value, "true")
	}
}

// offersAuth reports whether the qop list has auth. ok is false when there is a
// list and auth is not in it.
func (c *challenge) offersAuth() (auth, ok bool) {
	if !c.hasQop || len(bytes.Trim(c.qop, " \t,")) == 0 {
		return false, true // RFC 2069
	}
	for q := range bytes.SplitSeq(c.qop, []byte{','}) {
		if equalFold(bytes.Trim(q, " \t"), "auth") {
			return true, true
		}
	}
	return false, false
}

func skipSeparators(b []byte) []byte { return bytes.TrimLeft(b, " \t,") }

// cutToken cuts off what stands before a space, comma, equals sign or quote.
func cutToken(b []byte) (token, rest []byte) {
	n := bytes.IndexAny(b, " \t,=\"")
	if n < 0 {
		n = len(b)
	}
	return b[:n], b[n:]
}

// cutValue cuts off a quoted string, or anything up to the next space or comma:
// peers leave out quotes where they are due. Without quotes there may be nothing
// in it that would end or escape one when we put it between them.
func cutValue(b []byte) (value, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		n := bytes.IndexAny(b, " \t,")
		if n < 0 {
			n = len(b)
		}
		return b[:n], b[n:], !bytes.ContainsAny(b[:n], `"\`)
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// equalFold compares a token with a name in lower case.
func equalFold(token []byte, lower string) bool {
	if len(token) != len(lower) {
		return false
	}
	for i, c := range token {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
