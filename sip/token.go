package sip

import "trunkline/sip/transaction"

// A token is how a transaction names its user: the slot and generation of a
// session, and what the transaction is to it. It holds no pointer, so a
// transaction that lingers for late copies keeps nothing alive.
//
// 24 bits of slot, 24 of generation, 16 of purpose.
const (
	purposeInvite  = 0x8000 // an INVITE to the callee; the low bits are the attempt
	purposeOutside = 0x7fff // a request outside any call; generation and slot name it
	purposeOrigin  = 0x7ffd // the INVITE to the agent of a call that we make
	// Other client purposes are serial numbers of pending requests.

	purposeCaller   = 0x8000 // server: the caller's first INVITE
	purposeReinvite = 0x4000 // server: a re-INVITE; bit 0 set for the callee's
)

func (c *session) token(purpose uint16) uint64 {
	return uint64(c.slot)<<40 | uint64(c.generation&0xffffff)<<16 | uint64(purpose)
}

// owner returns the session a token names, or nil when it is gone, and the
// purpose.
func (s *shard) owner(token uint64) (*session, uint16) {
	c := s.session(uint32(token >> 40))
	if c == nil || uint64(c.generation&0xffffff) != token>>16&0xffffff {
		return nil, uint16(token)
	}
	return c, uint16(token)
}

// clientUser and serverUser are the two faces that the shard shows to its
// transaction layer.
type (
	clientUser struct{ *shard }
	serverUser struct{ *shard }
)

var (
	_ transaction.User       = clientUser{}
	_ transaction.ServerUser = serverUser{}
)
