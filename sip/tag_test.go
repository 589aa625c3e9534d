package sip

import (
	"encoding/base32"
	"math/rand/v2"
	"testing"
)

func TestTag(t *testing.T) {
	random := rand.NewChaCha8([32]byte{1})
	seen := map[string]bool{}
	for _, where := range []struct {
		shard int
		slot  uint32
	}{{0, 0}, {0, 1}, {255, maxSlots - 1}, {7, 123456}} {
		for range 100 {
			tag := appendTag(nil, random, where.shard, where.slot)
			if len(tag) != tagSize || seen[string(tag)] {
				t.Fatalf("tag %q: wrong size, or seen before", tag)
			}
			seen[string(tag)] = true
			shard, slot, ok := readTag(tag)
			if raw, err := base32.NewEncoding(tagDigits).WithPadding(base32.NoPadding).DecodeString(string(tag)); err != nil || len(raw) != 12 {
				t.Fatalf("tag %q is not 12 bytes in base32: %v", tag, err)
			}
			if !ok || shard != where.shard || slot != where.slot {
				t.Fatalf("readTag(%q) = %d, %d, %v; want %v", tag, shard, slot, ok, where)
			}
		}
	}
	for _, foreign := range []string{"", "abc", "!!!!!!!!!!!!!!!!!!!!", "as7d6f87as6df87as6dfuuuu"} {
		if _, _, ok := readTag([]byte(foreign)); ok {
			t.Errorf("%q passes for a tag of ours", foreign)
		}
	}
}

func FuzzReadTag(f *testing.F) {
	f.Add([]byte("0123456789abcdefghjk"))
	f.Fuzz(func(t *testing.T, tag []byte) { readTag(tag) })
}
