package register

import (
	"bytes"
	"strconv"
	"time"

	"trunkline/sip/wire"
)

// granted is how long our binding lasts by a 200: what stands at our own Contact
// goes before the Expires header (RFC 3261 §10.2.4), and without either it is what
// we asked for. A registrar may list bindings of others, or of ours before a
// restart, and may show ours as the NAT made it; what carries our user is ours
// then. Of several that may be ours the shortest counts, since a refresh too early
// costs a message and one too late costs calls.
func granted(m *wire.Message, contact string, asked time.Duration) time.Duration {
	own := contactURI([]byte(contact))
	header, ok := m.Number(wire.HExpires)
	if !ok {
		header = uint64(asked / time.Second)
	}
	shortest := [2]time.Duration{-1, -1} // of those with our user, of all
	for v := range m.Values(wire.HContact) {
		a, err := wire.ParseAddress(v)
		if err != nil {
			continue
		}
		seconds := header
		if text, ok := a.Param("expires"); ok {
			if n, err := strconv.ParseUint(string(text), 10, 32); err == nil {
				seconds = n
			}
		}
		expires := time.Duration(seconds) * time.Second
		same, user := sameContact(a.URI, own)
		if same {
			return expires
		}
		for i := range shortest {
			if (i == 1 || user) && (shortest[i] < 0 || expires < shortest[i]) {
				shortest[i] = expires
			}
		}
	}
	for _, d := range shortest {
		if d >= 0 {
			return d
		}
	}
	return time.Duration(header) * time.Second
}

func contactURI(contact []byte) []byte {
	a, err := wire.ParseAddress(contact)
	if err != nil {
		return nil
	}
	return a.URI
}

// sameContact compares user, host and port (RFC 3261 §19.1.4), and the user alone;
// registrars rewrite the rest.
func sameContact(a, b []byte) (same, user bool) {
	x, err := wire.ParseURI(a)
	y, bad := wire.ParseURI(b)
	if err != nil || bad != nil {
		return false, false
	}
	user = len(x.User) > 0 && bytes.Equal(x.User, y.User)
	return user && bytes.EqualFold(x.Host, y.Host) && portOf(x) == portOf(y), user
}

// portOf: registrars leave the usual port out.
func portOf(u wire.URI) int {
	transport, _ := u.Param("transport")
	switch {
	case u.Port != 0:
		return u.Port
	case bytes.EqualFold(u.Scheme, []byte("sips")), bytes.EqualFold(transport, []byte("tls")):
		return 5061
	}
	return 5060
}
