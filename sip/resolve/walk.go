package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"trunkline/config"
)

// Resolve finds the targets of q (RFC 3263 §4). A numeric host needs no DNS; a port rules SRV out; a transport rules NAPTR
// out; a step that finds nothing, or that no resolver answers, gives way to the next. A host of the hosts file needs no DNS either.
//
// It waits no longer than ctx, and then returns what it has or ctx's error. It fails with ErrNotFound, ErrRefused, ErrUnavailable
// or ErrChain, each with the host's name before it.
func (r *Resolver) Resolve(ctx context.Context, q Query) (Answer, error) {
	host := strings.TrimSuffix(q.Host, ".")
	w := walk{r: r, ctx: ctx, query: q, name: host, until: time.Now().Add(longestTTL)}
	if a, err := netip.ParseAddr(q.Host); err == nil {
		return w.answer(w.fixed([]netip.Addr{a.Unmap()})), nil
	}
	if _, ok := dns.IsDomainName(host); !ok || host == "" {
		return Answer{}, fmt.Errorf("%q: %w", q.Host, ErrNotFound)
	}
	if addrs := r.system.listed(host); len(addrs) > 0 {
		w.lasts(time.Now().Add(longestNegative))
		return w.answer(w.fixed(addrs)), nil
	}
	err := ErrNotFound
	for _, name := range r.system.names(q.Host) {
		var targets []Target
		if targets, err = w.host(name); err == nil {
			return w.answer(targets), nil
		}
		if !errors.Is(err, ErrNotFound) {
			break
		}
	}
	return Answer{Until: w.until}, fmt.Errorf("%s: %w", host, err)
}

// walk is one Resolve in progress.
type walk struct {
	r     *Resolver
	ctx   context.Context
	query Query
	name  string // for the certificate

	mu    sync.Mutex
	until time.Time // the first of all answers to run out
	stale bool
}

// lasts notes that something runs out at until.
func (w *walk) lasts(until time.Time) {
	if until.Before(w.until) {
		w.until = until
	}
}

func (w *walk) answer(targets []Target) Answer {
	return Answer{Targets: targets[:min(len(targets), maxTargets)], Until: w.until, Stale: w.stale}
}

// look is lookup that notes how long the answer lasts.
func (w *walk) look(name string, kind uint16) (records, error) {
	f, err := w.r.lookup(w.ctx, question{name, kind})
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.lasts(time.Now().Add(failureRest))
		return records{}, err
	}
	w.lasts(f.until)
	w.stale = w.stale || f.stale
	return f.records, nil
}

// host goes through the steps for one name.
func (w *walk) host(name string) ([]Target, error) {
	q := w.query
	if q.Port != 0 {
		addrs, err := w.addresses(name)
		return w.fixed(addrs), err
	}
	if q.Transport == "" {
		naptrs, _ := w.look(name, dns.TypeNAPTR)
		if targets := w.naptrs(naptrs.naptrs); len(targets) > 0 {
			return targets, nil
		}
	}
	var services []service
	for _, s := range q.services() {
		services = append(services, service{s.prefix + name, s.transport})
	}
	targets, err := w.srvs(services)
	if len(targets) > 0 || errors.Is(err, ErrRefused) {
		return targets, err
	}
	addrs, err := w.addresses(name)
	return w.fixed(addrs), err
}

// fixed are the targets of a host that has no SRV records to go by, in the order given.
func (w *walk) fixed(addrs []netip.Addr) []Target {
	port, transport := w.query.Port, w.query.transport()
	if port == 0 {
		port = defaultPort(transport)
	}
	targets := make([]Target, len(addrs))
	for i, a := range addrs {
		targets[i] = Target{Addr: netip.AddrPortFrom(a, port), Transport: transport, Name: w.name}
	}
	return targets
}

// naptrs follows NAPTR records to SRV ones.
func (w *walk) naptrs(naptrs []naptr) []Target {
	var services []service
	for _, n := range naptrs {
		if (!w.query.Secure || n.transport == config.TLSTransport) && len(services) < maxServices {
			services = append(services, service{n.replacement, n.transport})
		}
	}
	targets, _ := w.srvs(services)
	return targets
}

// maxServices bounds the SRV names that one host's NAPTR records lead to.
const maxServices = 6

// srvs asks for the SRV records of all services at once and joins their targets, those of the first service first. The error
// is ErrRefused when the domain says that it has none of them, else the last look-up's, if there are no targets.
func (w *walk) srvs(services []service) ([]Target, error) {
	type outcome struct {
		targets []Target
		err     error
	}
	outcomes := make([]outcome, len(services))
	each(len(services), func(i int) {
		o := &outcomes[i]
		o.targets, o.err = w.srv(services[i], uint32(i))
	})
	var (
		all     []Target
		failure error
		refused int
	)
	for _, o := range outcomes {
		all = append(all, o.targets...)
		switch {
		case errors.Is(o.err, ErrRefused):
			refused++
		case o.err != nil:
			failure = o.err
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case refused > 0 && refused == len(services):
		return nil, ErrRefused
	}
	return nil, failure
}

// srv finds the targets of one service. rank puts them behind those of services before it.
func (w *walk) srv(s service, rank uint32) ([]Target, error) {
	found, err := w.look(s.prefix, dns.TypeSRV)
	if err != nil {
		return nil, err
	}
	if len(found.srvs) == 1 && found.srvs[0].target == "." {
		return nil, ErrRefused
	}
	addrs := make([][]netip.Addr, len(found.srvs))
	errs := make([]error, len(found.srvs))
	each(len(found.srvs), func(i int) {
		if found.srvs[i].target != "." {
			addrs[i], errs[i] = w.addresses(found.srvs[i].target)
		}
	})
	var targets []Target
	for i, record := range found.srvs {
		for _, a := range addrs[i] {
			targets = append(targets, Target{
				Addr: netip.AddrPortFrom(a, record.port), Transport: s.transport, Name: w.name,
				Priority: rank<<16 | uint32(record.priority), Weight: record.weight, Server: uint16(i),
			})
		}
	}
	if len(targets) == 0 {
		return nil, errors.Join(errs...)
	}
	return targets, nil
}

// addresses asks for both families at once (RFC 7984), IPv4 first in the answer. One family is enough; without any the error
// is ErrNotFound, or that of the look-up that failed.
func (w *walk) addresses(name string) ([]netip.Addr, error) {
	var (
		kinds = [...]uint16{dns.TypeA, dns.TypeAAAA}
		sets  [len(kinds)]records
		errs  [len(kinds)]error
	)
	each(len(kinds), func(i int) { sets[i], errs[i] = w.look(name, kinds[i]) })
	addrs := append(sets[0].addrs[:len(sets[0].addrs):len(sets[0].addrs)], sets[1].addrs...)
	if len(addrs) > 0 {
		return addrs, nil
	}
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return nil, ErrNotFound
}

// each calls f for 0 to n-1, all at once, and waits.
func each(n int, f func(i int)) {
	if n == 1 {
		f(0)
		return
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}
