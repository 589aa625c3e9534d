package trunks

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"trunkline/config"
)

func agentWith(destinations ...config.Destination) *Agent {
	a := &Agent{}
	for _, d := range destinations {
		a.Destinations = append(a.Destinations, Destination{Destination: d, Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:5060")}})
		a.ranks = append(a.ranks, rank{d.Priority, d.Weight})
	}
	return a
}

func TestChooseGoesByPriority(t *testing.T) {
	a := agentWith(
		config.Destination{Priority: 20, Weight: 100},
		config.Destination{Priority: 10, Weight: 1},
		config.Destination{Priority: 30, Weight: 1},
	)
	var order []int
	tried := uint64(0)
	for {
		i := a.Choose(tried, rand.Uint64())
		if i < 0 {
			break
		}
		order = append(order, i)
		tried |= 1 << i
	}
	if len(order) != 3 || order[0] != 1 || order[1] != 0 || order[2] != 2 {
		t.Errorf("order %v, want [1 0 2]", order)
	}
	if i := agentWith().Choose(0, 7); i != -1 {
		t.Errorf("no destination, but %d", i)
	}
}

func TestChooseSharesByWeight(t *testing.T) {
	a := agentWith(
		config.Destination{Priority: 1, Weight: 6},
		config.Destination{Priority: 1, Weight: 0},
		config.Destination{Priority: 1, Weight: 3},
		config.Destination{Priority: 1, Weight: 1},
		config.Destination{Priority: 2, Weight: 1000},
	)
	share := func(tried uint64) (n [5]int) {
		for random := range uint64(1000) { // every remainder equally often
			n[a.Choose(tried, random)]++
		}
		return n
	}
	for tried, want := range map[uint64][5]int{
		0b00000: {600, 0, 300, 100, 0},
		0b00001: {0, 0, 750, 250, 0},
		0b01101: {0, 1000, 0, 0, 0}, // weight 0 is better than a later priority
		0b01111: {0, 0, 0, 0, 1000},
	} {
		if got := share(tried); got != want {
			t.Errorf("tried %05b: %v, want %v", tried, got, want)
		}
	}
}

func TestChooseSharesEvenlyWithoutWeights(t *testing.T) {
	a := agentWith(config.Destination{}, config.Destination{}, config.Destination{}, config.Destination{})
	var n [4]int
	for random := range uint64(400) {
		n[a.Choose(0, random)]++
	}
	if n != [4]int{100, 100, 100, 100} {
		t.Errorf("shares %v", n)
	}
}

func TestChooseLeavesOutWhatHasNoAddress(t *testing.T) {
	a := agentWith(config.Destination{Priority: 1, Weight: 1}, config.Destination{Priority: 2, Weight: 1})
	a.Destinations[0].Addrs = nil
	if i := a.Choose(0, 0); i != 1 {
		t.Errorf("chose %d", i)
	}
	a.Destinations[1].Addrs = nil
	if i := a.Choose(0, 0); i != -1 {
		t.Errorf("chose %d", i)
	}
}

func TestRoutesAreChosenAsDestinationsAre(t *testing.T) {
	s := build(t, `
trunks: [{name: a, server: 192.0.2.1}, {name: b, server: 192.0.2.2}, {name: c, server: 192.0.2.3}]
numbers:
  - {number: "+15550001", trunk: a, routes: [{trunk: c, priority: 2}, {trunk: a, weight: 3}, {trunk: b}]}
  - {number: "+15550002", trunk: b}
`, nil)
	n := s.Number([]byte("+15550001"))
	share := map[string]int{}
	for random := range uint64(400) {
		share[n.Routes[n.Choose(0, 0, random)].Name]++
	}
	if share["a"] != 300 || share["b"] != 100 || share["c"] != 0 {
		t.Errorf("shares %v", share)
	}
	for _, test := range []struct {
		name         string
		tried, tired uint64
		want         string
	}{
		{"a tired one comes after a later priority", 0b010, 0b100, "c"},
		{"but before none at all", 0b011, 0b100, "b"},
		{"all tired go by priority", 0b010, 0b101, "b"},
	} {
		if i := n.Choose(test.tried, test.tired, 0); i < 0 || n.Routes[i].Name != test.want {
			t.Errorf("%s: chose %d, want %s", test.name, i, test.want)
		}
	}
	if i := n.Choose(0b111, 0, 0); i != -1 {
		t.Errorf("none is left, but %d", i)
	}
	if only := s.Number([]byte("+15550002")); len(only.Routes) != 1 || only.Routes[0] != s.Trunk("b") || only.Choose(0, 1, 9) != 0 {
		t.Errorf("without routes a number has %v", only.Routes)
	}
}
