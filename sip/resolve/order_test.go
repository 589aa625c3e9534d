package resolve

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestOrderFollowsWeights(t *testing.T) {
	at := func(last byte, priority uint32, weight, server uint16) Target {
		return Target{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 5060), Priority: priority, Weight: weight, Server: server}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, test := range []struct {
		name    string
		targets []Target
		want    map[byte]int // of 1,000 first tries, by last octet
	}{
		{"equal weights", []Target{at(1, 0, 1, 0), at(2, 0, 1, 1)}, map[byte]int{1: 500, 2: 500}},
		{"weights 60, 30 and 10", []Target{at(3, 7, 10, 2), at(1, 7, 60, 0), at(2, 7, 30, 1)}, map[byte]int{1: 600, 2: 300, 3: 100}},
		{"no weights at all", []Target{at(1, 0, 0, 0), at(2, 0, 0, 1)}, map[byte]int{1: 500, 2: 500}},
		{"weight 0 after the others", []Target{at(1, 0, 0, 0), at(2, 0, 1, 1)}, map[byte]int{2: 1000}},
		{"priority goes before weight", []Target{at(1, 20, 65535, 0), at(2, 10, 1, 1)}, map[byte]int{2: 1000}},
		{"a server with two addresses counts once", []Target{at(1, 0, 1, 0), at(9, 0, 1, 0), at(2, 0, 1, 1)}, map[byte]int{1: 500, 2: 500}},
		{"the largest weights", []Target{at(1, 0, 65535, 0), at(2, 0, 65535, 1)}, map[byte]int{1: 500, 2: 500}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := map[byte]int{}
			for range 1000 {
				Order(test.targets, random.Uint64N)
				got[test.targets[0].Addr.Addr().As4()[3]]++
				checkOrdered(t, test.targets)
			}
			for last, want := range test.want {
				if off := got[last] - want; off < -50 || off > 50 {
					t.Errorf("192.0.2.%d is first %d times, want %d", last, got[last], want)
				}
				delete(got, last)
			}
			if len(got) > 0 {
				t.Errorf("also first: %v", got)
			}
		})
	}
}

// checkOrdered: priorities rise, and the addresses of a server stand together.
func checkOrdered(t *testing.T, targets []Target) {
	t.Helper()
	type server struct {
		priority uint32
		server   uint16
	}
	closed := map[server]bool{}
	for i, target := range targets {
		if i > 0 && target.Priority < targets[i-1].Priority {
			t.Fatalf("priority %d after %d", target.Priority, targets[i-1].Priority)
		}
		this := server{target.Priority, target.Server}
		if closed[this] {
			t.Fatalf("server %v stands in two places", this)
		}
		if i > 0 {
			if before := (server{targets[i-1].Priority, targets[i-1].Server}); before != this {
				closed[before] = true
			}
		}
	}
}
