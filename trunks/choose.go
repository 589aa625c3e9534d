package trunks

// maxChoices of one agent or number, so that the ones tried fit into 64 bits.
const maxChoices = 64

// Choose returns the index of the destination to try next, -1 when none is left. tried has bit i set for each
// destination already tried; random is any number, evenly spread. The lowest priority number wins; among equals the
// chance follows the weight, and weight 0 comes only after the others (RFC 2782).
// Destinations without an address are left out.
func (a *Agent) Choose(tried, random uint64) int {
	for i := range a.Destinations {
		if len(a.Destinations[i].Addrs) == 0 {
			tried |= 1 << i
		}
	}
	return choose(a.ranks, tried, random)
}

// Choose returns the index in n.Routes of the one to take next, -1 when none is left, as Agent.Choose does. Routes that
// tired marks come after all others.
func (n *Number) Choose(tried, tired, random uint64) int {
	if i := choose(n.ranks, tried|tired, random); i >= 0 {
		return i
	}
	return choose(n.ranks, tried, random)
}

// Rank returns priority and weight of the ith route.
func (n *Number) Rank(i int) (priority, weight int) { return n.ranks[i].priority, n.ranks[i].weight }

// rank is the place of one choice among others.
type rank struct{ priority, weight int }

// choose returns the index of a rank of the lowest priority that is not tried, -1 for none.
func choose(ranks []rank, tried, random uint64) int {
	best, weights, count := -1, uint64(0), uint64(0)
	for i, r := range ranks {
		if tried&(1<<i) != 0 {
			continue
		}
		if best < 0 || r.priority < ranks[best].priority {
			best, weights, count = i, 0, 0
		}
		if r.priority == ranks[best].priority {
			weights += uint64(r.weight)
			count++
		}
	}
	if count <= 1 {
		return best
	}
	priority, equal := ranks[best].priority, weights == 0
	if equal {
		weights = count
	}
	share := random % weights
	for i, r := range ranks {
		if tried&(1<<i) != 0 || r.priority != priority {
			continue
		}
		weight := uint64(r.weight)
		if equal {
			weight = 1
		}
		if share < weight {
			return i
		}
		share -= weight
	}
	return best
}
