package trunks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
)

var tokenText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// tokenOf returns the user part of our Contact at a registrar: it tells nothing of our names, differs from any other
// trunk's, and is the same after a restart, so that the registrar replaces the binding there was and forks no call to it. It is no
// secret: who names it must also come from where the trunk's calls come from.
func tokenOf(t *Trunk) string {
	const size = 10 // bytes, 16 characters
	sum := sha256.Sum256([]byte(t.Name + "\x00" + t.AuthUser + "\x00" + t.Domain))
	return tokenText.EncodeToString(sum[:size])
}

// Registered returns the trunk whose registration a call was sent to: the one whose Token the Request-URI names, if calls
// of that trunk may come from where this one did. from is whose source that is. It returns nil when user is no such token.
func (s *Snapshot) Registered(from *Trunk, user []byte) *Trunk {
	if t := s.tokens[string(user)]; t != nil && t.group == from.group {
		return t
	}
	return nil
}

// InboundOn routes a call that came to the registration of t itself to the number called, a raw user part: the number
// must be one of t. A carrier that names the account in its place means the only number there is; called is that number then.
func (s *Snapshot) InboundOn(t *Trunk, user []byte) (route Route, called []byte, refusal *Refusal) {
	var buf [64]byte
	e164 := t.Plan.Normalize(user, buf[:0])
	n := s.numbers[string(e164)]
	if n == nil && t.only != nil && bytes.Equal(user, []byte(t.AuthUser)) {
		n, user = t.only, []byte(t.only.E164)
	}
	if n == nil || n.Trunk != t || n.Inbound == nil || !n.Inbound.Reachable() {
		return Route{}, user, s.refuse(NoRoute, Principal{Trunk: t}, n, user, e164)
	}
	return Route{Trunk: t, Agent: n.Inbound, Number: n}, user, nil
}
