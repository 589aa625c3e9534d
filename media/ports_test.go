package media

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// MED-10: ports are even, each is handed out once, a freed one comes last.
func TestPortsRotate(t *testing.T) {
	pools := portPools{low: 20001, high: 20010, quarantine: 3 * time.Second, least: 200 * time.Millisecond, lanes: 1, shuffle: rand.Shuffle}
	pool := pools.share()[0]
	seen := map[uint16]bool{}
	var last uint16
	for range 4 { // 20002, 20004, 20006, 20008: 20010 has no odd port above it in the range
		p := pool.take(0)
		if p == nil || p.port&1 == 1 || seen[p.port] || p.port < 20002 || p.port > 20008 {
			t.Fatalf("took %+v after %v", p, seen)
		}
		seen[p.port], last = true, p.port
	}
	if p := pool.take(0); p != nil {
		t.Fatalf("took %d of an empty pool", p.port)
	}
	first := &pair{port: 20004}
	pool.give(first, 0)
	pool.give(&pair{port: last}, time.Millisecond)
	if p := pool.take(199 * time.Millisecond); p != nil {
		t.Errorf("%d was used again at once", p.port)
	}
	if p := pool.take(200 * time.Millisecond); p == nil || p.port != first.port {
		t.Errorf("took %+v, want the one that rested longest, %d", p, first.port)
	}
}

// A warm pair goes first once it has rested; a short pool takes it earlier; an unwanted one is closed.
func TestWarmPortsAreUsedAgain(t *testing.T) {
	pools := portPools{low: 20000, high: 20003, quarantine: 3 * time.Second, least: 200 * time.Millisecond, lanes: 1}
	pool := pools.share()[0]
	warm := pool.take(0)
	warm.open = true
	pool.give(warm, 0)
	second := pool.take(time.Second)
	if second.port == warm.port || second.open {
		t.Fatalf("took %+v although a cold port was free", second)
	}
	if p := pool.take(time.Second); p != warm {
		t.Fatalf("a short pool gave %+v, want the warm pair", p)
	}
	pool.give(warm, time.Second)
	pool.give(second, time.Second)
	if p := pool.take(4 * time.Second); p != warm {
		t.Fatalf("took %+v, want the rested warm pair", p)
	}
	pool.give(warm, 4*time.Second)
	if p := pool.trim(20*time.Second, 30*time.Second); p != nil {
		t.Errorf("trimmed %+v too early", p)
	}
	if p := pool.trim(34*time.Second, 30*time.Second); p != warm {
		t.Errorf("trimmed %+v, want the warm pair", p)
	}
}

// What a busier moment has opened is closed although every pair is in use now and then; what is needed stays.
func TestPortsOfABusierMomentAreClosed(t *testing.T) {
	pools := portPools{low: 20000, high: 22001, quarantine: 3 * time.Second, least: 200 * time.Millisecond, lanes: 1}
	pool := pools.share()[0]
	const keep, callEvery, burst = 30 * time.Second, 100 * time.Millisecond, 500
	now := time.Duration(0)
	open := func() int { return pool.warm.count }
	call := func() {
		p := pool.take(now)
		p.open = true
		pool.give(p, now)
	}
	var up []*pair
	for range burst {
		p := pool.take(now)
		p.open = true
		up = append(up, p)
	}
	for _, p := range up {
		pool.give(p, now)
	}
	for ; now < 10*time.Minute; now += callEvery {
		if now%time.Second == 0 {
			for p := pool.trim(now, keep); p != nil; p = pool.trim(now, keep) {
				pool.give(&pair{port: p.port}, now)
			}
		}
		call()
	}
	// Ten calls a second whose ports rest for three seconds need 30.
	if n := open(); n < 30 || n > 60 {
		t.Errorf("%d pairs are open after %d calls at once and ten a second since, want about 30", n, burst)
	}
	before := open()
	for end := now + 5*time.Minute; now < end; now += callEvery {
		if now%time.Second == 0 {
			for p := pool.trim(now, keep); p != nil; p = pool.trim(now, keep) {
				pool.give(&pair{port: p.port}, now)
			}
		}
		call()
	}
	if n := open(); n > before {
		t.Errorf("an even load has opened %d pairs, %d before", n, before)
	}
}

// MED-10: an exhausted pool gives 503, and what was taken on the way is given back.
func TestExhaustedPortsAre503(t *testing.T) {
	r := newRelay(t, Options{Engine: EngineNone, PortLow: 20000, PortHigh: 20009}) // five pairs: two calls and a half
	offer := body("m=audio 4000 RTP/AVP 0\n")
	var bridges []*Bridge
	for range 2 {
		b := r.Bridge(loopback, loopback)
		mustOffer(t, b, Caller, offer)
		bridges = append(bridges, b)
	}
	b := r.Bridge(loopback, loopback)
	_, err := b.Offer(Caller, offer, nil)
	if refusal, ok := errors.AsType[*Error](err); !ok || refusal.Status != 503 || refusal.Cause != "ports_exhausted" {
		t.Errorf("error is %v, want 503", err)
	}
	if inUse, limit := r.Ports(); inUse != 8 || limit != 10 {
		t.Errorf("%d of %d ports in use, want 8 of 10", inUse, limit)
	}
	if _, err := r.Bridge(loopback, loopback).Offer(Caller, body("m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\n"), nil); err != errExhausted {
		t.Errorf("two lines: %v", err)
	}
	for _, b := range append(bridges, b) {
		b.Close()
		b.Close() // again is no harm
	}
	if inUse, _ := r.Ports(); inUse != 0 {
		t.Errorf("%d ports left", inUse)
	}
	if _, err := b.Offer(Caller, offer, nil); err != errClosed {
		t.Errorf("offer on a closed bridge: %v", err)
	}
}

// With several lanes both sides are on one, and every port can be reached.
func TestLanesShareThePorts(t *testing.T) {
	if !haveRaw {
		t.Skip("only the raw engine has lanes")
	}
	low, high := freeRange(t, 256)
	r := newRelay(t, Options{Engine: EngineRaw, Threads: 4, PortLow: low, PortHigh: high})
	if r.Threads() != 4 {
		t.Fatalf("%d threads for 128 pairs", r.Threads())
	}
	lanes := map[int]int{}
	for i := range 64 {
		b := r.Bridge(loopback, loopback)
		defer b.Close()
		if _, err := b.Offer(Caller, body("m=audio 4000 RTP/AVP 0\n"), nil); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		lanes[b.streams[0].path.lane]++
	}
	for lane := range 4 {
		if lanes[lane] != 16 {
			t.Errorf("lane %d has %d calls of 64", lane, lanes[lane])
		}
	}
	if _, err := r.Bridge(loopback, loopback).Offer(Caller, body("m=audio 4000 RTP/AVP 0\n"), nil); err != errExhausted {
		t.Errorf("one call more: %v", err)
	}
}

// A relay without sockets works in a bubble, where time is made up: ports rest their time there too.
func TestRelayInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRelay(t, Options{Engine: EngineNone, PortLow: 20000, PortHigh: 20003})
		for range 3 {
			b := r.Bridge(loopback, loopback)
			mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n"))
			if _, err := r.Bridge(loopback, loopback).Offer(Caller, body("m=audio 4000 RTP/AVP 0\n"), nil); err != errExhausted {
				t.Fatalf("error is %v", err)
			}
			b.Close()
			time.Sleep(200 * time.Millisecond)
		}
	})
}

func TestRing(t *testing.T) {
	var r ring[int]
	next, want := 0, 0
	for round := range 50 {
		for range round % 7 {
			r.push(next)
			next++
		}
		for range round % 5 {
			if r.count == 0 {
				break
			}
			if got := r.pop(); got != want {
				t.Fatalf("popped %d, want %d", got, want)
			}
			want++
		}
	}
	if r.count != next-want || r.peek() != want {
		t.Errorf("%d left, first %d; want %d, %d", r.count, r.peek(), next-want, want)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	for _, o := range []Options{
		{PortLow: 80, PortHigh: 90}, {PortLow: 20000, PortHigh: 70000}, {PortLow: 20001, PortHigh: 20002}, {PortLow: 30000, PortHigh: 20000},
		{Threads: -1}, {Threads: 1000}, {Engine: 9},
	} {
		if r, err := New(o); err == nil {
			r.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
	r := newRelay(t, Options{PortLow: 20001, PortHigh: 20003, Engine: EngineNone})
	mustOffer(t, r.Bridge(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")), Caller, body("m=audio 4000 RTP/AVP 0\n"))
}

// A re-INVITE with a further line takes ports, and gives them back when it is refused.
func TestPortsOfARefusedReinvite(t *testing.T) {
	r := countedRelay(t)
	b := r.Bridge(loopback, loopback)
	mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\n"))
	mustAnswer(t, b, Callee, body("m=audio 4000 RTP/AVP 0\n"))
	b.Settle()
	before, _ := r.Ports()
	mustOffer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 31\n"))
	if during, _ := r.Ports(); during <= before {
		t.Errorf("%d ports before, %d during", before, during)
	}
	b.Withdraw()
	if after, _ := r.Ports(); after != before {
		t.Errorf("%d ports before, %d after", before, after)
	}
	mustOffer(t, b, Callee, body("m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 31\n")) // and it may be tried again
	mustAnswer(t, b, Caller, body("m=audio 4000 RTP/AVP 0\nm=video 4002 RTP/AVP 31\n"))
}
