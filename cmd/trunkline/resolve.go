package main

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// resolveLimit bounds the look-up of all names together: a silent resolver must not hold up the start or a reload.
const resolveLimit = 5 * time.Second

// resolve looks up host names, all at once, and returns the addresses of those that have any, sorted so that two look-ups
// can be compared.
func resolve(ctx context.Context, hosts []string) map[string][]netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	var (
		mu    sync.Mutex
		found = make(map[string][]netip.Addr, len(hosts))
		all   sync.WaitGroup
		slots = make(chan struct{}, 64) // look-ups in flight
	)
	for _, host := range hosts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
			if err != nil || len(addresses) == 0 {
				return
			}
			for i, a := range addresses {
				addresses[i] = a.Unmap()
			}
			slices.SortFunc(addresses, netip.Addr.Compare)
			mu.Lock()
			defer mu.Unlock()
			found[host] = slices.Compact(addresses)
		})
	}
	all.Wait()
	return found
}
