package sip

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
)

// A tag that we mint says where its call lives: shard, slot in the shard's
// table, and eight random bytes that make it unguessable (RFC 3261 §19.3 asks
// for at least 32 bits). It serves as From or To tag and, followed by the host,
// as Call-ID.
const (
	tagBytes = 12
	tagSize  = 20 // characters
)

var tagText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// maxShards and maxSlots are what the tag has room for.
const (
	maxShards = 1 << 8
	maxSlots  = 1 << 24
)

// appendTag appends a new tag for the call in slot of shard.
func appendTag(b []byte, random *rand.ChaCha8, shard int, slot uint32) []byte {
	var raw [tagBytes]byte
	binary.BigEndian.PutUint32(raw[:4], uint32(shard)<<24|slot)
	binary.BigEndian.PutUint64(raw[4:], random.Uint64())
	return tagText.AppendEncode(b, raw[:])
}

// readTag returns the shard and slot inside a tag; ok is false for a tag that
// cannot be ours. Whether the call still exists and has this tag is for the
// caller to check.
func readTag(tag []byte) (shard int, slot uint32, ok bool) {
	if len(tag) != tagSize {
		return 0, 0, false
	}
	var raw [tagBytes + 1]byte
	if _, err := tagText.Decode(raw[:], tag); err != nil {
		return 0, 0, false
	}
	where := binary.BigEndian.Uint32(raw[:4])
	return int(where >> 24), where & (maxSlots - 1), true
}

// appendCallID appends a new Call-ID: random, and without a host, so that it says
// nothing of our inside.
func (s *shard) appendCallID(b []byte) []byte {
	b = appendTag(b, s.random, s.index, maxSlots-1)
	return appendTag(b, s.random, s.index, maxSlots-1)
}
