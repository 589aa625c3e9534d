package sip

import (
	"time"

	"trunkline/sip/call"
	"trunkline/sip/digest"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// account is the credential cache of a trunk in one shard, with what it was made
// from: after a reload with other credentials a new one is made.
type account struct {
	credentials digest.Credentials
	cache       *digest.Cache
}

// nonceAge is how long a nonce is used without a new challenge.
const nonceAge = time.Hour

// cacheOf returns the credential cache of a side, nil for sides we have no
// credentials for: agents, and trunks without a user name. Only a trunk's own
// cache is ever asked, so a callee that challenges gets no other's digest.
func (s *shard) cacheOf(t *trunks.Trunk) *digest.Cache {
	if t == nil || t.AuthUser == "" {
		return nil
	}
	c := digest.Credentials{Username: t.AuthUser, Password: t.AuthPassword.Reveal(), Realm: t.Realm}
	found, ok := s.accounts[t.Name]
	if !ok || found.credentials != c {
		found = account{c, digest.NewCache(c, nonceAge)}
		s.accounts[t.Name] = found
	}
	return found.cache
}

// appendCredentials appends the credential lines of an INVITE to a side and
// keeps them for its ACK (RFC 3261 §22.1).
func (c *session) appendCredentials(now time.Time, b []byte, l *leg, method string, uri []byte) []byte {
	start := len(b)
	b = c.appendRequestCredentials(now, b, l.trunk, method, uri, &l.digest)
	l.auth = append(l.auth[:0], b[start:]...)
	return b
}

// appendRequestCredentials appends the credential lines of any other request.
func (c *session) appendRequestCredentials(now time.Time, b []byte, t *trunks.Trunk, method string, uri []byte, a *digest.Attempt) []byte {
	if cache := c.shard.cacheOf(t); cache != nil {
		return cache.Authorize(b, now, method, uri, a)
	}
	return b
}

// challenged answers a 401 or 407 to an INVITE of ours by sending it again, with
// the same Call-ID and tag and the next CSeq (RFC 3261 §22.2). It reports false
// when there is nothing to answer with, or the answer was refused.
func (c *session) challenged(now time.Time, m *wire.Message, attempt uint8) bool {
	if m.Status != 401 && m.Status != 407 || c.invite == nil || !c.latest(attempt) {
		return false
	}
	cache := c.shard.cacheOf(c.callee.trunk)
	if cache == nil || cache.Challenged(now, m, &c.callee.digest) != nil {
		return false
	}
	if c.machine.State() == call.Ending {
		return false // the caller has given up; nothing is to be sent again
	}
	c.inviteAgain(now, attempt)
	return true
}

// takeNext returns the event that a failed action outside a step left behind.
func (c *session) takeNext() call.Event {
	ev := c.next[0]
	c.next = append(c.next[:0], c.next[1:]...)
	return ev
}

// requestChallenged is challenged for a request inside the dialog.
func (c *session) requestChallenged(now time.Time, m *wire.Message, p *pending) bool {
	if m.Status != 401 && m.Status != 407 || p.tail == nil {
		return false
	}
	l := c.leg(p.side)
	cache := c.shard.cacheOf(c.seatOf(p.side, p.fork).trunk)
	a := &p.digest
	if p.method == call.INVITE {
		a = &l.digest
	}
	if cache == nil || cache.Challenged(now, m, a) != nil {
		return false
	}
	c.send(now, p, p.tail, maxForwards)
	return true
}

// acceptedInvite is acceptedCredentials for an INVITE to the callee, whose trunk
// the call may have left since.
func (c *session) acceptedInvite(now time.Time, m *wire.Message, attempt uint8) {
	if c.latest(attempt) {
		c.acceptedCredentials(now, m, call.Callee)
	}
}

// acceptedCredentials learns the next nonce from a response that did not
// challenge.
func (c *session) acceptedCredentials(now time.Time, m *wire.Message, side call.Side) {
	if !m.Has(wire.HAuthenticationInfo) {
		return
	}
	if cache := c.shard.cacheOf(c.leg(side).trunk); cache != nil {
		cache.Accepted(now, m)
	}
}
