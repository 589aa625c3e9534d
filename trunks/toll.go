package trunks

import (
	"fmt"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/trunks/provider"
)

// Organization is whose agents share one toll: each call must keep within its agent's own and within this.
type Organization struct {
	Name string
	Toll config.Toll

	spending *spending
}

// Barred says why an agent may not call a number, nil if it may: its country, or what it costs. called is the raw user part
// dialled. What is no number in E.164 form, a service code or a name, is barred only where countries are listed; but digits beyond
// those of any number, which networks pass over, hide no cost. It does not allocate unless it refuses.
func (r Route) Barred(called []byte) *Refusal {
	own, shared := &r.Agent.Toll, (*config.Toll)(nil)
	if r.Agent.Organization != nil {
		shared = &r.Agent.Organization.Toll
	}
	if open(own) && open(shared) {
		return nil
	}
	var buf, begins [64]byte
	plan := r.Number.Trunk.Plan
	e164 := plan.Normalize(called, buf[:0])
	start := e164
	if len(e164) == 0 || e164[0] != '+' || len(e164) > 1+longest {
		start = plan.lead(called, begins[:0])
	}
	why, whose := bar(own, e164, start), &r.Agent.usage.spending
	if why == "" && shared != nil {
		if why = bar(shared, e164, start); why != "" {
			why, whose = "for organization "+r.Agent.Organization.Name+", "+why, r.Agent.Organization.spending
		}
	}
	if why == "" {
		return nil
	}
	return &Refusal{Reason: TollBarred, Agent: r.Agent, Number: r.Number, User: string(called), E164: string(e164), why: why, toll: whose}
}

// open tells whether a toll lets every number through; nil does.
func open(t *config.Toll) bool { return t == nil || t.Premium && len(t.Countries) == 0 }

// bar says why a toll does not let a number through; empty: it does. start is what the number begins with, in E.164 form.
func bar(t *config.Toll, e164, start []byte) string {
	if !reaches(t.Countries, e164) {
		return "its first digits are not among " + strings.Join(t.Countries, ", ")
	}
	if !t.Premium && len(start) > 1 && start[0] == '+' {
		if kind, yes := provider.CostlyDigits(start[1:]); yes {
			return "it is " + kind
		}
	}
	return ""
}

// reaches tells whether the number begins as one of countries; none are any.
func reaches(countries []string, e164 []byte) bool {
	if len(countries) == 0 {
		return true
	}
	for _, code := range countries {
		if len(e164) > len(code) && e164[0] == '+' && string(e164[1:1+len(code)]) == code {
			return true
		}
	}
	return false
}

// payer is one of those whose toll a call must keep within. Its zero value bounds nothing.
type payer struct {
	toll     *config.Toll
	spending *spending
	name     string // of an organization; empty: the agent itself
}

// payers are the agent itself and its organization.
func (a *Agent) payers() [2]payer {
	both := [2]payer{{toll: &a.Toll, spending: &a.usage.spending}}
	if o := a.Organization; o != nil {
		both[1] = payer{toll: &o.Toll, spending: o.spending, name: o.Name}
	}
	return both
}

// lock holds what the payers have spent, always in the same order, and forgets those without a limit.
func lock(both *[2]payer) {
	for i := range both {
		if t := both[i].toll; t == nil || t.CallsPerMinute == 0 && t.MinutesPerDay == 0 {
			both[i] = payer{}
			continue
		}
		both[i].spending.mu.Lock()
	}
}

func unlock(both *[2]payer) {
	for i := range both {
		if both[i].spending != nil {
			both[i].spending.mu.Unlock()
		}
	}
}

// Spend books an outbound call that begins, with the agent and its organization, and returns nil; or says that it may not, and
// books nothing. Emergency calls are not asked.
func (a *Agent) Spend(now time.Time) *Refusal { return a.spend(now, true) }

// MaySpend is Spend that books nothing.
func (a *Agent) MaySpend(now time.Time) *Refusal { return a.spend(now, false) }

func (a *Agent) spend(now time.Time, book bool) *Refusal {
	both := a.payers()
	lock(&both)
	defer unlock(&both)
	for i := range both {
		p := &both[i]
		if p.toll == nil {
			continue
		}
		if why := p.spentUp(now); why != "" {
			return &Refusal{Reason: TollSpent, Agent: a, why: why, toll: p.spending}
		}
	}
	if book {
		for _, p := range both {
			if p.toll != nil && p.toll.CallsPerMinute > 0 {
				p.spending.begin(now, p.toll.CallsPerMinute)
			}
		}
	}
	return nil
}

// spentUp says which limit of the payer is reached and when it opens again; empty: none.
func (p *payer) spentUp(now time.Time) string {
	limit := time.Duration(p.toll.MinutesPerDay) * time.Minute
	if limit > 0 && p.spending.used(now) >= limit {
		return fmt.Sprintf("%s %d minutes of today are used up; new ones come at 00:00 UTC, in %s", p.whose(), p.toll.MinutesPerDay, nextDay(now).Sub(now).Round(time.Second))
	}
	if n := p.toll.CallsPerMinute; n > 0 {
		if wait := p.spending.turnOf(now, n); wait > 0 {
			return fmt.Sprintf("%s %d calls a minute have begun; the next may in %s", p.whose(), n, max(wait.Round(time.Second), time.Second))
		}
	}
	return ""
}

func (p *payer) whose() string {
	if p.name == "" {
		return "its"
	}
	return "organization " + p.name + "'s"
}

// TollNow is what the agent and its organization have used of their limits, in words; empty: neither has any.
func (a *Agent) TollNow(now time.Time) string {
	both := a.payers()
	lock(&both)
	defer unlock(&both)
	var clauses []string
	for _, p := range both {
		if p.toll == nil {
			continue
		}
		who := "the agent"
		if p.name != "" {
			who = "organization " + p.name
		}
		if p.toll.MinutesPerDay > 0 {
			clauses = append(clauses, fmt.Sprintf("%s has used %.1f of %d minutes today", who, p.spending.used(now).Minutes(), p.toll.MinutesPerDay))
		}
		if n := p.toll.CallsPerMinute; n > 0 {
			clauses = append(clauses, fmt.Sprintf("%s has begun %d of %d calls in the last minute", who, p.spending.begunWithin(now), n))
		}
	}
	return strings.Join(clauses, "; ")
}

// Count counts a refusal that somebody has heard with whose toll it was; others are not counted here.
func (r *Refusal) Count() {
	if r.toll != nil {
		r.toll.refused.Add(1)
	}
}

// Answered books that an outbound call was answered at now. It must be followed by one Ended.
func (a *Agent) Answered(now time.Time) {
	for _, p := range a.payers() {
		if p.spending != nil {
			p.spending.answered(now)
		}
	}
}

// Ended books the end of an outbound call that was answered at that time.
func (a *Agent) Ended(answered, now time.Time) {
	for _, p := range a.payers() {
		if p.spending != nil {
			p.spending.ended(answered, now)
		}
	}
}

// Left is how long calls in progress may go on by tolls that end them: no limit can be reached before that unless more calls
// are answered. It is 0 when one is reached, and false where no toll ends calls.
func (a *Agent) Left(now time.Time) (left time.Duration, ends bool) {
	for _, p := range a.payers() {
		if p.toll == nil || p.toll.WhenSpent != config.SpentEnd || p.toll.MinutesPerDay == 0 {
			continue
		}
		l := p.spending.left(now, time.Duration(p.toll.MinutesPerDay)*time.Minute)
		if !ends || l < left {
			left = l
		}
		ends = true
	}
	return left, ends
}
