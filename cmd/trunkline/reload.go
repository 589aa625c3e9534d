package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"trunkline/config"
	"trunkline/trunks"
)

// reload reads the configuration again and applies what changed. Running calls keep what they started with. A configuration
// with mistakes changes nothing: each is logged, and a gauge says so.
func (d *daemon) reload(ctx context.Context) {
	next, err := loadConfig(d.file)
	if err != nil {
		d.refuseReload(err)
		return
	}
	hosts := resolve(ctx, trunks.Hosts(next))
	d.keepLastGood(hosts)
	snapshot, err := d.edge.Trunks().Rebuild(next, hosts)
	if err != nil {
		d.refuseReload(err)
		return
	}
	if err := d.network.ReloadTLS(); err != nil {
		d.refuseReload(err)
		return
	}
	changes := config.Diff(d.config, next)
	restart := config.Diff(d.started, next).Restart
	if err := d.edge.Reload(snapshot); err != nil {
		d.refuseReload(err)
		return
	}
	d.keeper.Apply(snapshot)
	d.hosts, d.config = hosts, next
	if d.level != nil {
		d.level.Set(next.Log.Level)
	}
	d.warnUnresolved(snapshot)
	d.metrics.Reloaded(time.Now(), true)
	d.log.Info("configuration reloaded",
		"trunks", summary(changes.Trunks), "agents", summary(changes.Agents), "numbers", summary(changes.Numbers), "keys", changes.Keys)
	if len(restart) > 0 {
		d.log.Warn("these changes take effect at the next start", "keys", restart)
	}
}

func (d *daemon) refuseReload(err error) {
	d.metrics.Reloaded(time.Now(), false)
	mistakes, ok := errors.AsType[config.Mistakes](err)
	if !ok {
		d.log.Error("configuration refused; the one in force stays", "error", err)
		return
	}
	for _, m := range mistakes {
		d.log.Error("configuration refused; the one in force stays", "mistake", m.String())
	}
}

// refreshNames looks the host names of the configuration up again, and swaps the snapshot if an address has changed.
func (d *daemon) refreshNames(ctx context.Context) {
	names := trunks.Hosts(d.config)
	if len(names) == 0 {
		return
	}
	hosts := resolve(ctx, names)
	d.keepLastGood(hosts)
	if maps.EqualFunc(hosts, d.hosts, slices.Equal) {
		return
	}
	snapshot, err := d.edge.Trunks().Rebuild(d.config, hosts)
	if err != nil {
		d.log.Error("new addresses of host names could not be applied", "error", err)
		return
	}
	if err := d.edge.Reload(snapshot); err != nil {
		d.log.Error("new addresses of host names could not be applied", "error", err)
		return
	}
	d.keeper.Apply(snapshot)
	d.hosts = hosts
	d.warnUnresolved(snapshot)
	d.log.Info("addresses of host names have changed")
}

// keepLastGood gives names that cannot be resolved now the addresses they had: a resolver that is down must not take trunks away.
func (d *daemon) keepLastGood(hosts map[string][]netip.Addr) {
	for name, addresses := range d.hosts {
		if _, ok := hosts[name]; !ok {
			hosts[name] = addresses
		}
	}
}

func (d *daemon) warnUnresolved(s *trunks.Snapshot) {
	if names := s.Unresolved(); len(names) > 0 {
		d.log.Warn("host names without an address; their trunks and destinations are skipped", "names", names)
	}
	for _, conflict := range s.Conflicts() {
		d.log.Warn("an address is claimed twice; calls from there are taken as the trunk's", "conflict", conflict)
	}
}

// summary is "1 added, 0 removed, 2 changed", or "unchanged".
func summary(e config.Entries) string {
	if e.Empty() {
		return "unchanged"
	}
	return fmt.Sprintf("%d added, %d removed, %d changed", len(e.Added), len(e.Removed), len(e.Changed))
}
