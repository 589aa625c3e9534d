package resolve

import (
	"cmp"
	"slices"
)

// Order puts targets into the order in which to try them this time: priorities strictly from low to high; among the servers
// of one priority those left are drawn in proportion to their weights, weight 0 after the others (RFC 2782); the addresses of
// one server as they stand. random returns a number from 0 to n-1. targets is changed in place.
//
// The draw of RFC 2782 runs from 0 to the sum of weights, both included, which gives the first of two servers with weight 1 two
// thirds of the calls. Ours leaves the 0 out, so shares are what the weights say.
func Order(targets []Target, random func(n uint64) uint64) {
	slices.SortStableFunc(targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.Server, b.Server))
	})
	for len(targets) > 0 {
		n := 1
		for n < len(targets) && targets[n].Priority == targets[0].Priority {
			n++
		}
		for equals := targets[:n]; len(equals) > 0; {
			equals = equals[draw(equals, random):]
		}
		targets = targets[n:]
	}
}

// draw moves the targets of one server to the front and returns how many they are.
func draw(targets []Target, random func(n uint64) uint64) int {
	sum, servers := uint64(0), uint64(0)
	for first, after := 0, 0; first < len(targets); first = after {
		after = endOfServer(targets, first)
		sum += uint64(targets[first].Weight)
		servers++
	}
	equal := sum == 0
	if equal {
		sum = servers
	}
	share := random(sum)
	for first, after := 0, 0; first < len(targets); first = after {
		after = endOfServer(targets, first)
		weight := uint64(targets[first].Weight)
		if equal {
			weight = 1
		}
		if share >= weight {
			share -= weight
			continue
		}
		slices.Reverse(targets[:first])
		slices.Reverse(targets[first:after])
		slices.Reverse(targets[:after])
		return after - first
	}
	return len(targets)
}

// endOfServer is the index after the last of the targets that share the server of targets[first].
func endOfServer(targets []Target, first int) int {
	after := first + 1
	for after < len(targets) && targets[after].Server == targets[first].Server {
		after++
	}
	return after
}
