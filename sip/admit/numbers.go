package admit

import (
	"bytes"

	"trunkline/sip/wire"
)

// Numbers returns the raw user parts of who is called and who calls in an INVITE:
// the Request-URI's user, or all of it if it calls for help, else the To's user; and, where the sender may say who calls
// (asserted), that of the asserted or preferred identity (RFC 3325), else of From.
// They point into the message.
func Numbers(m *wire.Message, asserted bool) (called, caller []byte) {
	if IsSOS(m.URI) {
		called = m.URI
	} else if called = User(m.URI); len(called) == 0 {
		called = User(m.To.URI)
	}
	if !asserted {
		return called, User(m.From.URI)
	}
	for _, id := range [...]wire.ID{wire.HPAssertedIdentity, wire.HPPreferredIdentity} {
		for v := range m.Values(id) {
			if a, err := wire.ParseAddress(v); err == nil && len(User(a.URI)) > 0 {
				return called, User(a.URI)
			}
		}
	}
	return called, User(m.From.URI)
}

// Dialled returns the raw user parts of what the caller may have dialled where the
// Request-URI names our registration in its place, likeliest first: who a proxy
// says was called before it put our Contact there (RFC 7315 §4.2), then To.
func Dialled(m *wire.Message) (users [2][]byte) {
	for v := range m.Values(wire.HPCalledPartyID) {
		if a, err := wire.ParseAddress(v); err == nil {
			users[0] = User(a.URI)
			break
		}
	}
	users[1] = User(m.To.URI)
	return users
}

var sos = []byte("urn:service:sos")

// IsSOS reports whether a URI is the service URN for emergencies or one of its
// kinds, as urn:service:sos.fire (RFC 5031 §4.2).
func IsSOS(uri []byte) bool {
	return len(uri) >= len(sos) && bytes.EqualFold(uri[:len(sos)], sos) && (len(uri) == len(sos) || uri[len(sos)] == '.')
}

// User returns the user part of a URI as it is written, nil if there is none. That
// of a tel URI has its parameters: they stand in the user part of the SIP URI that
// says the same (RFC 3261 §19.1.6).
func User(uri []byte) []byte {
	u, err := wire.ParseURI(uri)
	if err != nil {
		return nil
	}
	if len(u.Params) > 0 && !u.IsSIP() {
		return uri[len(u.Scheme)+1:]
	}
	return u.User
}
