package transaction

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"trunkline/sip/transport"
)

// TestTableAgainstMap sets, moves and removes at random, with keys that crowd the
// same few places, and compares with a map.
func TestTableAgainstMap(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		var table table
		want := map[uint64]uint32{}
		var keys []uint64
		for i := range 20000 {
			key := random.Uint64()
			if seed%2 == 0 {
				key &= 3<<62 | 0xff // few parts, many collisions
			}
			if len(keys) > 0 && random.IntN(2) == 0 {
				key = keys[random.IntN(len(keys))]
			}
			grow := i < 10000
			switch random.IntN(6) {
			case 0, 1:
				value := random.Uint32() &^ 1
				if !grow && random.IntN(4) > 0 {
					break
				}
				table.set(key, value)
				want[key] = value
				keys = append(keys, key)
			case 2:
				table.remove(key, want[key]+1) // another value: stays
			case 3, 4:
				if value, ok := want[key]; ok {
					table.remove(key, value)
					delete(want, key)
				}
			}
			got, ok := table.get(key)
			if value, there := want[key]; ok != there || got != value {
				t.Fatalf("seed %d: %x is %d %v, want %d %v", seed, key, got, ok, value, there)
			}
			if table.length != len(want) {
				t.Fatalf("length %d, want %d", table.length, len(want))
			}
		}
		for key, value := range want {
			if got, ok := table.get(key); !ok || got != value {
				t.Fatalf("lost %x", key)
			}
			table.remove(key, value)
		}
		for _, p := range table.parts {
			if p.used != 0 || len(p.entries) > tablePartMin {
				t.Fatalf("%d used, %d places in an empty part", p.used, len(p.entries))
			}
		}
	}
}

func TestPastForgetsInOrderAndReusesItsMemory(t *testing.T) {
	var p past[int]
	random := rand.New(rand.NewPCG(1, 1))
	lives := []time.Duration{32 * time.Second, 5 * time.Second, 64 * time.Second, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 6 * time.Second, 7 * time.Second, 100 * time.Second}
	type kept struct {
		value   uint32
		text    []byte
		expires time.Duration
	}
	all := map[uint64]kept{}
	key := uint64(0)
	forgotten := func(now time.Duration) func(uint32, *pastRecord[int]) {
		return func(value uint32, r *pastRecord[int]) {
			k := all[r.key]
			if k.value != value || r.is != int(r.key) || r.expires > now {
				t.Fatalf("forgot %d as %x at %v: %+v", r.key, value, now, k)
			}
			delete(all, r.key)
		}
	}
	now := time.Duration(0)
	for range 200000 {
		now += time.Duration(random.IntN(20)) * time.Millisecond
		key++
		text := bytes.Repeat([]byte{byte(key)}, random.IntN(40))
		life := lives[random.IntN(len(lives))]
		value, is := p.add(key, now, life, text[:len(text)/2], text[len(text)/2:])
		*is = int(key)
		all[key] = kept{value, text, now + life}
		if key%50 == 0 {
			p.expire(now, forgotten(now))
			for k, v := range all {
				r, stored := p.get(v.value)
				if r.key != k || !bytes.Equal(stored, v.text) {
					t.Fatalf("record %d is %+v %q", k, r, stored)
				}
				break
			}
			if len(all) != p.count {
				t.Fatalf("%d records, want %d", p.count, len(all))
			}
		}
	}
	if len(p.queues) != maxQueues {
		t.Errorf("%d queues", len(p.queues))
	}
	at, ok := p.next()
	if !ok || at < now-time.Second || at > now+time.Second {
		t.Errorf("next %v at %v", at, now)
	}
	p.expire(now+200*time.Second, forgotten(now+200*time.Second))
	if p.count != 0 || p.stored != 0 || len(all) != 0 || len(p.spare) > pastSpares {
		t.Errorf("left: %d records, %d bytes, %d spare chunks", p.count, p.stored, len(p.spare))
	}
}

func TestPastWithOddLives(t *testing.T) {
	var p past[int]
	for i := 1; i <= maxQueues; i++ {
		p.add(1, 0, time.Duration(i)*time.Second)
	}
	for _, test := range []struct{ want, life time.Duration }{
		{3 * time.Second, 2500 * time.Millisecond},
		{8 * time.Second, time.Minute},
		{time.Second, time.Millisecond},
		{8 * time.Second, 7001 * time.Millisecond},
	} {
		if got := p.queues[p.queueFor(test.life)].life; got != test.want {
			t.Errorf("%v lingers %v, want %v", test.life, got, test.want)
		}
	}
}

func TestPastEvictsWhatExpiresFirst(t *testing.T) {
	var p past[int]
	p.add(1, 0, 32*time.Second)
	p.add(2, time.Second, 5*time.Second)
	p.add(3, 28*time.Second, 5*time.Second)
	var order []uint64
	for p.count > 0 {
		p.evict(func(_ uint32, r *pastRecord[int]) { order = append(order, r.key) })
	}
	if order[0] != 2 || order[1] != 1 || order[2] != 3 {
		t.Errorf("forgotten in order %v", order)
	}
}

func TestFlowKeptAsBytes(t *testing.T) {
	for _, f := range []transport.Flow{
		overUDP,
		{Proto: transport.UDP, Socket: 513, Remote: netip.MustParseAddrPort("[2001:db8::1]:5060")},
		{Proto: transport.UDP, Local: netip.MustParseAddrPort("[fe80::1%eth0]:5060"), Remote: netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")},
	} {
		got, rest := cutFlow(append(appendFlow(nil, f), "rest"...))
		if got != f || string(rest) != "rest" {
			t.Errorf("%v came back as %v %q", f, got, rest)
		}
	}
}

func TestBuffers(t *testing.T) {
	var p buffers
	var lent [][]byte
	for _, n := range []int{0, 1, 512, 513, 1024, 1025, 65535, 65536, 65537, 200000} {
		b := p.copyOf(make([]byte, n), 0)
		if len(b) != n {
			t.Errorf("%d bytes became %d", n, len(b))
		}
		lent = append(lent, b)
	}
	lent[1] = p.extend(lent[1], bytes.Repeat([]byte("x"), 5000))
	if len(lent[1]) != 5001 || lent[1][5000] != 'x' {
		t.Error("extend lost bytes")
	}
	lent[2] = p.replace(lent[2], []byte("short"))
	lent[3] = p.replace(lent[3], make([]byte, 3000))
	if string(lent[2]) != "short" || len(lent[3]) != 3000 {
		t.Error("replace lost bytes")
	}
	for _, b := range lent {
		p.giveBack(b)
	}
	p.giveBack(nil)
	if p.lent != [bufferSizes]int{} {
		t.Errorf("still lent: %v", p.lent)
	}
	if again := p.copyOf([]byte("again"), 0); string(again) != "again" {
		t.Errorf("reused buffer holds %q", again)
	}
}

func TestBranch(t *testing.T) {
	seen := map[string]bool{}
	for _, shard := range []int{0, 1, 31, 32, 1023} {
		l := NewLayer(nil, Options{Shard: shard})
		for range 1000 {
			b := string(l.MintBranch(nil))
			if seen[b] || len(b) != branchSize || !strings.HasPrefix(b, cookie) {
				t.Fatalf("minted %q", b)
			}
			seen[b] = true
			for _, text := range []string{b, strings.ToUpper(b), strings.ToLower(b)} {
				if got, ours := BranchShard([]byte(text)); !ours || got != shard {
					t.Fatalf("%q is of shard %d %v, want %d", text, got, ours, shard)
				}
			}
		}
	}
	for _, b := range []string{"", "z9hG4bK", "z9hG4bK00zzzzzzzzzzzzz", "z9hG4bK00000000000000o", "z9hG4bKu0000000000000 0", "x9hG4bK000000000000000", "z9hG4bK0000000000000000", "z9hG4bK\x00\x00\xff00000000000"} {
		if _, ours := BranchShard([]byte(b)); ours {
			t.Errorf("%q taken for ours", b)
		}
	}
}

func TestLabels(t *testing.T) {
	for f, want := range map[Failure]string{0: "none", Timeout: "timeout", TransportError: "transport_error", RingTimeout: "ring_timeout", CancelTimeout: "cancel_timeout"} {
		if f.String() != want {
			t.Errorf("Failure %d is %q", f, f)
		}
	}
	for v, want := range map[Verdict]string{Absorbed: "absorbed", New: "new", AckFor2xx: "ack", Cancelled: "cancelled", Unmatched: "unmatched", Merged: "merged", Full: "full"} {
		if v.String() != want {
			t.Errorf("Verdict %d is %q", v, v)
		}
	}
}
