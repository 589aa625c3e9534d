package sip

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"trunkline/trunks"
)

var flooder = trunks.Principal{Trunk: &trunks.Trunk{}}

// A network may be listed, and its addresses are what a packet says: memory stays bounded, and one who is forgotten begins anew.
func TestFloodsBoundedMemory_SEC05(t *testing.T) {
	var f floods
	now := time.Unix(1_000_000, 0)
	var b [4]byte
	for i := range 200_000 {
		binary.BigEndian.PutUint32(b[:], uint32(10)<<24|uint32(i))
		f.of(senderOf(netip.AddrFrom4(b), flooder), 100, now.Add(time.Duration(i)*10*time.Microsecond)).taken.allow(now)
		if len(f.shares) > maxSourcesKept {
			t.Fatalf("%d sources are kept", len(f.shares))
		}
	}
}

// Each address has the rate by itself, in either way of writing it, and a reload changes it at once.
func TestFloodsEachAddressByItself_SEC05(t *testing.T) {
	var f floods
	now := time.Unix(1_000_000, 0)
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	from := flooder
	take := func(source netip.Addr, rate float64) (taken int) {
		for range 1000 {
			if f.of(senderOf(source, from), rate, now).taken.allow(now) {
				taken++
			}
		}
		return taken
	}
	if n := take(one, 100); n != 100 {
		t.Errorf("%d of the first second's 100", n)
	}
	if n := take(netip.MustParseAddr("::ffff:192.0.2.1"), 100); n != 0 {
		t.Errorf("%d more, being written in another way", n)
	}
	if n := take(two, 100); n != 100 {
		t.Errorf("another address: %d of 100", n)
	}
	from = trunks.Principal{Agent: &trunks.Agent{}}
	if n := take(one, 50); n != 50 {
		t.Errorf("an agent behind the same address: %d of 50", n)
	}
	from = flooder
	now = now.Add(time.Second)
	if n := take(one, 10); n != 10 {
		t.Errorf("after a reload to 10: %d", n)
	}
}

func BenchmarkFloods(b *testing.B) {
	var f floods
	now := time.Unix(1_000_000, 0)
	for i := range 1000 {
		f.of(senderOf(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), flooder), 5000, now)
	}
	source := netip.MustParseAddr("10.0.1.7")
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		if !f.of(senderOf(source, flooder), 5000, now).taken.allow(now) {
			b.Fatal("refused")
		}
	}
}
