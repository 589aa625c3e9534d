package trunks

// maxDestinations of one agent, so that the ones tried fit into 64 bits.
const maxDestinations = 64

// Choose returns the index of the destination to try next, -1 when none is left. tried has bit i set for each
// destination already tried; random is any number, evenly spread. The lowest priority number wins; among equals the
// chance follows the weight, and weight 0 comes only after the others (RFC 2782).
// Destinations without an address are left out.
func (a *Agent) Choose(tried, random uint64) int {
	best, weights, count := -1, uint64(0), uint64(0)
	for i := range a.Destinations {
		d := &a.Destinations[i]
		if tried&(1<<i) != 0 || len(d.Addrs) == 0 {
			continue
		}
		if best < 0 || d.Priority < a.Destinations[best].Priority {
			best, weights, count = i, 0, 0
		}
		if d.Priority == a.Destinations[best].Priority {
			weights += uint64(d.Weight)
			count++
		}
	}
	if count <= 1 {
		return best
	}
	priority, equal := a.Destinations[best].Priority, weights == 0
	if equal {
		weights = count
	}
	share := random % weights
	for i := range a.Destinations {
		d := &a.Destinations[i]
		if tried&(1<<i) != 0 || len(d.Addrs) == 0 || d.Priority != priority {
			continue
		}
		weight := uint64(d.Weight)
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
