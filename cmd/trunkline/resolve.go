package main

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"trunkline/config"
	"trunkline/sip/resolve"
	"trunkline/trunks"
)

// resolveLimit bounds the look-up of all names together: a silent resolver must not hold up the start or a reload.
const resolveLimit = 5 * time.Second

// Names are looked up again when the first answer runs out, but neither all the time nor hardly ever.
const (
	earliestRefresh = 5 * time.Second
	latestRefresh   = time.Hour
)

// lookedUp is what names stood for.
type lookedUp struct {
	hosts []trunks.Host // what was asked for
	names trunks.Names  // of those that were found
	until time.Time     // when to look again
}

// newResolver asks the configured resolvers, else those of the system.
func newResolver(c config.Config) *resolve.Resolver {
	servers := make([]netip.AddrPort, len(c.SIP.Resolvers))
	for i, r := range c.SIP.Resolvers {
		servers[i] = r.AddrPort()
	}
	return resolve.New(resolve.Options{Servers: servers})
}

// lookUp resolves hosts, all at once, within resolveLimit.
func lookUp(ctx context.Context, r *resolve.Resolver, hosts []trunks.Host) lookedUp {
	ctx, cancel := context.WithTimeout(ctx, resolveLimit)
	defer cancel()
	var (
		mu    sync.Mutex
		found = lookedUp{hosts: hosts, names: make(trunks.Names, len(hosts)), until: time.Now().Add(latestRefresh)}
		all   sync.WaitGroup
		slots = make(chan struct{}, 64) // hosts being looked up
	)
	for _, host := range hosts {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			answer, err := r.Resolve(ctx, queryOf(host))
			mu.Lock()
			defer mu.Unlock()
			if answer.Until.Before(found.until) {
				found.until = answer.Until
			}
			if err == nil {
				found.names[host] = serversOf(answer.Targets)
			}
		})
	}
	all.Wait()
	if soon := time.Now().Add(earliestRefresh); found.until.Before(soon) {
		found.until = soon
	}
	return found
}

// queryOf asks for addresses alone, or by SRV for those of a transport.
func queryOf(h trunks.Host) resolve.Query {
	if h.Transport == "" {
		return resolve.Query{Host: h.Name, Port: 5060} // the port is not looked at: it only means that there is one
	}
	return resolve.Query{Host: h.Name, Transport: h.Transport}
}

func serversOf(targets []resolve.Target) []trunks.Server {
	servers := make([]trunks.Server, len(targets))
	for i, t := range targets {
		servers[i] = trunks.Server{Addr: t.Addr, Priority: t.Priority, Weight: t.Weight, Record: t.Server}
	}
	return servers
}

// buildFor looks names up and builds a snapshot, for commands that need one once.
func buildFor(ctx context.Context, c config.Config) (*trunks.Snapshot, error) {
	r := newResolver(c)
	defer r.Close()
	return trunks.Build(c, lookUp(ctx, r, trunks.Hosts(c)).names)
}

// refreshIn is how long the names in force are good for.
func (d *daemon) refreshIn() time.Duration {
	d.applying.Lock()
	defer d.applying.Unlock()
	return time.Until(d.namesUntil)
}

// keepLastGood gives names that cannot be resolved now the servers they had: a resolver that is down must not take trunks away.
func (d *daemon) keepLastGood(names trunks.Names) {
	for host, servers := range d.names {
		if _, ok := names[host]; !ok {
			names[host] = servers
		}
	}
}

// applyNames swaps the snapshot if a name stands for something else now. Names that came up since the look-up began stay as they are.
func (d *daemon) applyNames(found lookedUp) {
	d.applying.Lock()
	defer d.applying.Unlock()
	wanted := trunks.Hosts(d.joined)
	names := make(trunks.Names, len(wanted))
	for _, host := range wanted {
		if servers, ok := found.names[host]; ok {
			names[host] = servers
		} else if servers, ok := d.names[host]; ok {
			names[host] = servers // the last good ones
		}
	}
	d.namesUntil = found.until
	if maps.EqualFunc(names, d.names, slices.Equal) {
		return
	}
	if err := d.apply(d.config, d.inventory, names); err != nil {
		d.log.Error("new addresses of host names could not be applied", "error", err)
		return
	}
	d.log.Info("addresses of host names have changed")
}

// hosts are the names to look up again.
func (d *daemon) hosts() []trunks.Host {
	d.applying.Lock()
	defer d.applying.Unlock()
	return trunks.Hosts(d.joined)
}
