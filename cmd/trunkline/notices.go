package main

import (
	"context"
	"maps"
	"slices"
	"time"

	"trunkline/sip/probe"
	"trunkline/store"
	"trunkline/trunks"
	"trunkline/trunks/account"
	"trunkline/trunks/notice"
	"trunkline/trunks/webhook"
)

// callEventsKept bounds what ended calls leave in the configuration database; their records are kept elsewhere and longer.
const callEventsKept = 500_000

// openNotices makes what tells organizations of what happens: a board that turns it into events, and webhooks that deliver them.
func (d *daemon) openNotices() error {
	lost, err := notice.NewMetrics(d.metrics.Registerer())
	if err != nil {
		return err
	}
	d.board, err = notice.New(notice.Options{Write: d.note, Look: d.look, Metrics: lost, Log: d.log})
	if err != nil {
		return err
	}
	delivered, err := webhook.NewMetrics(d.metrics.Registerer())
	if err != nil {
		return err
	}
	d.webhooks, err = webhook.New(webhook.Options{Store: d.db, Changed: d.accounts.EventsChanged, AllowPrivate: d.config.Probe.AllowPrivateTargets, Metrics: delivered, Log: d.log})
	return err
}

// note writes events of the board.
func (d *daemon) note(ctx context.Context, events []account.Event) error {
	return d.accounts.Note(ctx, events, map[string]int64{notice.CallEnded: callEventsKept})
}

// owners of the trunks and agents of an inventory.
func owners(v account.Inventory) notice.Owners {
	o := notice.Owners{Trunks: make(map[string]string, len(v.Trunks)), Agents: make(map[string]string, len(v.Agents))}
	for _, t := range v.Trunks {
		o.Trunks[t.Trunk] = t.Org
	}
	for _, a := range v.Agents {
		o.Agents[a.EngineName] = a.Org
	}
	return o
}

// look is what the board compares from second to second.
func (d *daemon) look() (l notice.Look) {
	if !d.ready.Load() {
		return l
	}
	for _, s := range d.keeper.Status() {
		l.Registrations = append(l.Registrations, notice.Condition{Trunk: s.Trunk, State: string(s.State), Cause: s.Cause})
	}
	members := map[string][]string{} // trunks by key
	for _, t := range d.edge.Trunks().Trunks {
		if t.Health.Interval != 0 {
			state := "up"
			if t.Down() {
				state = "down"
			}
			l.Health = append(l.Health, notice.Condition{Trunk: t.Name, State: state})
		}
		key := t.CPSKey
		if key == "" {
			key = t.Name
		}
		members[key] = append(members[key], t.Name)
	}
	keys, now := d.edge.PaceKeys(), time.Now()
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		s := keys[name].Stats(now)
		l.Paces = append(l.Paces, notice.Pace{Key: name, Trunks: members[name], Limit: s.Limit.Rate, Delayed: s.Counts.Delayed, Refused: s.Counts.Rejected})
	}
	return l
}

// drifted hears of checks whose verdict changed.
func (d *daemon) drifted(x probe.Drift) {
	d.board.Drifted(notice.Drift{Trunk: x.Trunk, Number: x.Number, Check: string(x.Now.Check), Was: string(x.Was), Now: string(x.Now.Verdict),
		Code: string(x.Now.Code), Message: x.Now.Message, Fix: x.Now.Fix})
}

// recorder lets the edge write to the store and to the board without knowing them.
type recorder struct {
	*store.Records
	board *notice.Board
}

func (r recorder) Record(c trunks.CallRecord) {
	r.Write(c)
	r.board.CallEnded(&c)
}
