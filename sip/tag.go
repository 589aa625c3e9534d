package sip

import "math/rand/v2"

// A tag that we mint says where its call lives: shard, slot in the shard's
// table, and eight random bytes that make it unguessable (RFC 3261 §19.3 asks
// for at least 32 bits). It serves as From or To tag and, followed by the host,
// as Call-ID.
const tagSize = 20 // characters

// tagDigits are base32 with letters that no one misreads.
const tagDigits = "0123456789abcdefghjkmnpqrstvwxyz"

// tagValue is the inverse of tagDigits, notDigit elsewhere.
var tagValue = func() (value [256]uint8) {
	for i := range value {
		value[i] = notDigit
	}
	for i := range len(tagDigits) {
		value[tagDigits[i]] = uint8(i)
	}
	return value
}()

const notDigit = 0x80

// maxShards and maxSlots are what the tag has room for.
const (
	maxShards = 1 << 8
	maxSlots  = 1 << 24
)

// appendTag appends a new tag for the call in slot of shard: 96 bits in base32, so the seventh digit has bits of both halves, and
// the last one only one.
func appendTag(b []byte, random *rand.ChaCha8, shard int, slot uint32) []byte {
	where, nonce := uint32(shard)<<24|slot, random.Uint64()
	for shift := 27; shift >= 2; shift -= 5 {
		b = append(b, tagDigits[where>>shift&31])
	}
	b = append(b, tagDigits[where&3<<3|uint32(nonce>>61)])
	for shift := 56; shift >= 1; shift -= 5 {
		b = append(b, tagDigits[nonce>>shift&31])
	}
	return append(b, tagDigits[nonce&1<<4])
}

// readTag returns the shard and slot inside a tag; ok is false for a tag that
// cannot be ours. Whether the call still exists and has this tag is for the
// caller to check.
func readTag(tag []byte) (shard int, slot uint32, ok bool) {
	if len(tag) != tagSize {
		return 0, 0, false
	}
	bad, where := uint8(0), uint64(0)
	for _, c := range tag[:7] { // 35 bits, of which three belong to the nonce
		bad |= tagValue[c]
		where = where<<5 | uint64(tagValue[c]&31)
	}
	for _, c := range tag[7:] {
		bad |= tagValue[c]
	}
	if bad&notDigit != 0 {
		return 0, 0, false
	}
	where >>= 3
	return int(where >> 24), uint32(where & (maxSlots - 1)), true
}

// appendCallID appends a new Call-ID: random, and without a host, so that it says
// nothing of our inside.
func (s *shard) appendCallID(b []byte) []byte {
	b = appendTag(b, s.random, s.index, maxSlots-1)
	return appendTag(b, s.random, s.index, maxSlots-1)
}
