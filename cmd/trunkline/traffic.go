package main

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"trunkline/api"
	"trunkline/sip"
	"trunkline/store"
	"trunkline/trunks"
)

// traffic is what the API may ask about calls and pace: records from the store, the rest from the edge. Before the edge is up
// there are no calls.
type traffic struct{ calls }

// liveLimit bounds the calls in progress that are collected on one shard for one request.
const liveLimit = 1000

func (t traffic) Ended(ctx context.Context, s api.Scope, limit int, before int64) ([]store.Stored, error) {
	return t.d.records.RecentOf(ctx, slices.Collect(maps.Keys(s.Trunks)), slices.Collect(maps.Keys(s.Agents)), limit, before)
}

func (t traffic) Call(ctx context.Context, id string) (store.Stored, error) {
	return t.d.records.ByID(ctx, id)
}

func (t traffic) Live(ctx context.Context, s api.Scope) ([]sip.LiveCall, error) {
	if !t.d.ready.Load() {
		return nil, nil
	}
	return t.d.edge.Live(ctx, liveLimit, s.Covers)
}

func (t traffic) HangUp(ctx context.Context, id string) (bool, error) {
	if !t.d.ready.Load() {
		return false, nil
	}
	return t.d.edge.HangUp(ctx, id)
}

func (t traffic) Originate(ctx context.Context, o sip.Origination) (string, error) {
	if !t.d.ready.Load() {
		return "", &trunks.Refusal{Reason: trunks.Overload}
	}
	return t.d.edge.Originate(ctx, o)
}

func (t traffic) Paces(s api.Scope) []api.Pace {
	if !t.d.ready.Load() {
		return nil
	}
	members := map[string][]string{} // trunks by key
	for _, trunk := range t.d.edge.Trunks().Trunks {
		if !s.Trunks[trunk.Name] {
			continue
		}
		key := trunk.CPSKey
		if key == "" {
			key = trunk.Name
		}
		members[key] = append(members[key], trunk.Name)
	}
	var states []api.Pace
	keys, now := t.d.edge.PaceKeys(), time.Now()
	for _, name := range slices.Sorted(maps.Keys(members)) {
		key := keys[name]
		if key == nil {
			continue // no limit
		}
		shown := name
		if _, own, shared := strings.Cut(name, "/"); shared { // "<organization>/<key>": a key is its organization's
			shown = own
		}
		k := key.Stats(now)
		states = append(states, api.Pace{Key: shown, Trunks: members[name], Limit: k.Limit.Rate, Rate: k.Rate, Used: k.Used, Peak: k.Peak,
			Waiting: k.Counts.Waiting, Delayed: k.Counts.Delayed, Refused: k.Counts.Rejected, RefusedByCarrier: k.Counts.Refused})
	}
	return states
}

func (t traffic) Explain(_ context.Context, s api.Scope, transport string, from netip.AddrPort, invite []byte) (api.Explanation, error) {
	if !t.d.ready.Load() {
		return api.Explanation{Gates: []api.Gate{{Gate: "source", Why: "the edge is not taking calls"}}}, nil
	}
	own, err := t.d.edge.Trunks().Only(func(name string) bool { return s.Trunks[name] }, func(name string) bool { return s.Agents[name] })
	if err != nil {
		return api.Explanation{}, err
	}
	gates, taken := t.d.edge.Explain(own, transport, from, invite)
	e := api.Explanation{Taken: taken, Gates: make([]api.Gate, len(gates))}
	for i, g := range gates {
		e.Gates[i] = api.Gate{Gate: g.Name, Passed: g.Passed, Why: g.Why}
	}
	return e, nil
}

var _ api.Traffic = traffic{}
