package main

import (
	"context"
	"errors"
	"fmt"
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
	d.applying.Lock()
	defer d.applying.Unlock()
	joined, _ := d.inventory.Join(next)
	found := lookUp(ctx, d.resolver, trunks.Hosts(joined))
	d.keepLastGood(found.names)
	if err := d.network.ReloadTLS(); err != nil {
		d.refuseReload(err)
		return
	}
	changes := config.Diff(d.config, next)
	restart := config.Diff(d.started, next).Restart
	d.warned = "" // say again what is wrong
	if err := d.apply(next, d.inventory, found.names); err != nil {
		d.refuseReload(err)
		return
	}
	d.namesUntil = found.until
	if d.level != nil {
		d.level.Set(next.Log.Level)
	}
	d.metrics.Reloaded(time.Now(), true)
	d.log.Info("configuration reloaded",
		"trunks", summary(changes.Trunks), "organizations", summary(changes.Organizations), "agents", summary(changes.Agents), "numbers", summary(changes.Numbers), "keys", changes.Keys)
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
