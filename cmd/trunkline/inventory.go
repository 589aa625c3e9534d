package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"trunkline/config"
	"trunkline/trunks"
	"trunkline/trunks/account"
)

// Between two readings of what organizations have lies at least so much rest, so that 10,000 changes in a row are some dozens of
// readings and the edge has the cores for its calls.
const (
	shortestRest = 20 * time.Millisecond
	longestRest  = 2 * time.Second
	restsPerWork = 5 // rest for each time it took
	afterTrouble = time.Second
)

// inventory brings what organizations have into force, beside what the file says. It is the account.Engine of the daemon.
type inventory struct {
	d    *daemon
	wake chan struct{} // has an element when there is something to read

	mu          sync.Mutex
	asked, done uint64        // changes heard of; those of them in force
	failure     error         // of the last reading
	turned      chan struct{} // closed when done grows
}

func newInventory(d *daemon) *inventory {
	return &inventory{d: d, wake: make(chan struct{}, 1), turned: make(chan struct{})}
}

// Changed says that there is something to read.
func (i *inventory) Changed() {
	i.mu.Lock()
	i.asked++
	i.mu.Unlock()
	i.rouse()
}

func (i *inventory) rouse() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Apply waits until every change heard of is in force.
func (i *inventory) Apply(ctx context.Context) error {
	if !i.d.ready.Load() {
		return errors.New("the edge is not taking calls")
	}
	i.mu.Lock()
	mine := i.asked
	i.mu.Unlock()
	for {
		i.mu.Lock()
		done, failure, turned := i.done, i.failure, i.turned
		i.mu.Unlock()
		if done >= mine {
			return failure
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("trunks, agents and numbers are not in force yet: %w", context.Cause(ctx))
		case <-turned:
		}
	}
}

// run reads whenever something has changed, until ctx ends.
func (i *inventory) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-i.wake:
		}
		i.mu.Lock()
		target := i.asked
		i.mu.Unlock()
		began := time.Now()
		err := i.d.applyInventory(ctx)
		rest := min(max(restsPerWork*time.Since(began), shortestRest), longestRest)
		if err != nil && ctx.Err() == nil {
			i.d.log.Error("what organizations have could not be brought into force; what was there stays", "error", err)
			rest = afterTrouble
			i.rouse()
		}
		i.mu.Lock()
		i.done, i.failure = target, err
		close(i.turned)
		i.turned = make(chan struct{})
		i.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// Registration of a trunk, as its keeper knows it.
func (i *inventory) Registration(trunk string) account.Registration {
	if !i.d.ready.Load() {
		return account.Registration{}
	}
	status, ok := i.d.keeper.Of(trunk)
	if !ok {
		return account.Registration{State: "none"}
	}
	return account.Registration{State: string(status.State), Cause: status.Cause, Since: status.Since}
}

// File is what the file manages.
func (i *inventory) File() config.Config { return *i.d.filed.Load() }

// readInventory reads what organizations have.
func (d *daemon) readInventory(ctx context.Context) (v account.Inventory, err error) {
	err = d.db.View(ctx, func(r account.Reader) error { v, err = r.Inventory(); return err })
	return v, err
}

// applyInventory reads what organizations have and brings it into force. Host names that are new are looked up; the others are as
// they were.
func (d *daemon) applyInventory(ctx context.Context) error {
	inventory, err := d.readInventory(ctx)
	if err != nil {
		return err
	}
	d.applying.Lock()
	defer d.applying.Unlock()
	joined, _ := inventory.Join(d.config)
	names := maps.Clone(d.names)
	if unknown := d.unknownHosts(joined); len(unknown) > 0 {
		found := lookUp(ctx, d.resolver, unknown)
		for _, host := range unknown {
			names[host] = found.names[host] // also one without an address: it is looked up again when the others are
		}
		d.namesUntil = earlier(d.namesUntil, found.until)
	}
	return d.apply(d.config, inventory, names)
}

// unknownHosts are those that nobody has looked up yet.
func (d *daemon) unknownHosts(c config.Config) []trunks.Host {
	return slices.DeleteFunc(trunks.Hosts(c), func(h trunks.Host) bool { _, ok := d.names[h]; return ok })
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// apply brings file and inventory into force with what names stand for. d.applying is held. On error nothing changes.
func (d *daemon) apply(file config.Config, inventory account.Inventory, names trunks.Names) error {
	joined, wrong := inventory.Join(file)
	d.screen(file, inventory, names)
	snapshot, err := d.edge.Trunks().Rebuild(joined, names)
	if err != nil {
		return err
	}
	if err := d.edge.Reload(snapshot); err != nil {
		return err
	}
	d.board.Belong(owners(inventory))
	d.keeper.Apply(snapshot)
	d.watcher.Apply(snapshot)
	d.verifier.Apply(snapshot)
	d.config, d.inventory, d.joined, d.names = file, inventory, joined, names
	d.filed.Store(&file)
	d.warn(snapshot, wrong)
	return nil
}

// screen takes addresses away that a trunk of an organization may not have: a name that stands for a private address is as good as the
// address itself.
func (d *daemon) screen(file config.Config, inventory account.Inventory, names trunks.Names) {
	if d.config.Probe.AllowPrivateTargets {
		return
	}
	theirs := inventory.OnlyOurs(file)
	for host, servers := range names {
		if theirs[host.Name] {
			names[host] = slices.DeleteFunc(slices.Clone(servers), func(s trunks.Server) bool { return !account.Public(s.Addr.Addr()) })
		}
	}
}

// warn logs what is wrong with a snapshot, once as long as it stays the same.
func (d *daemon) warn(s *trunks.Snapshot, wrong error) {
	warned := fmt.Sprint(s.Unresolved(), s.Conflicts(), wrong)
	if warned == d.warned {
		return
	}
	d.warned = warned
	d.warnUnresolved(s)
	if wrong != nil {
		d.log.Warn("some of what organizations have does not fit and is left out", "error", wrong)
	}
}
