package notice

import (
	"encoding/json"
	"strings"
	"time"

	"trunkline/trunks"
	"trunkline/trunks/account"
)

// Types of events.
const (
	RegistrationChanged = "trunk.registration_changed"
	HealthChanged       = "trunk.health_changed"
	CheckChanged        = "trunk.check_changed"
	Throttled           = "cps.throttled"
	CallEnded           = "call.ended"
)

// tellPaceEvery is how often at most one key is told of while calls wait for it.
const tellPaceEvery = time.Minute

// memory is what the last look saw.
type memory struct {
	registrations, health map[string]string // state by trunk
	paces                 map[string]pace
}

// pace is a key as it was when it was last told of.
type pace struct {
	delayed, refused uint64
	told             time.Time // zero: never
}

// compare returns an event for each thing that is another than at the last look. The first look at a trunk or key is none.
func (m *memory) compare(now time.Time, l Look, owners Owners) []account.Event {
	var events []account.Event
	events = append(events, conditions(&m.registrations, RegistrationChanged, now, l.Registrations, owners)...)
	events = append(events, conditions(&m.health, HealthChanged, now, l.Health, owners)...)
	return append(events, m.throttled(now, l.Paces, owners)...)
}

// conditions compares states with those of before and remembers them. Trunks that are gone are forgotten.
func conditions(before *map[string]string, what string, now time.Time, seen []Condition, owners Owners) (events []account.Event) {
	states := make(map[string]string, len(seen))
	for _, c := range seen {
		org := owners.Trunks[c.Trunk]
		if org == "" {
			continue
		}
		states[c.Trunk] = c.State
		was, known := (*before)[c.Trunk]
		if !known || was == c.State {
			continue
		}
		events = append(events, event(org, what, subject(c.Trunk), now, map[string]any{"trunk": c.Trunk, "from": was, "to": c.State, "cause": orNull(c.Cause)}))
	}
	*before = states
	return events
}

func (m *memory) throttled(now time.Time, seen []Pace, owners Owners) (events []account.Event) {
	paces := make(map[string]pace, len(seen))
	for _, p := range seen {
		org := ""
		for _, trunk := range p.Trunks { // a key's trunks are of one organization
			if org = owners.Trunks[trunk]; org != "" {
				break
			}
		}
		if org == "" {
			continue
		}
		was, known := m.paces[p.Key]
		delayed, refused := p.Delayed-was.delayed, p.Refused-was.refused
		switch {
		case !known || p.Delayed < was.delayed || p.Refused < was.refused: // new, or counted from zero again
			was = pace{delayed: p.Delayed, refused: p.Refused}
		case delayed+refused > 0 && now.Sub(was.told) >= tellPaceEvery:
			shown := p.Key
			if _, own, shared := strings.Cut(p.Key, "/"); shared { // "<organization>/<key>"
				shown = own
			}
			events = append(events, event(org, Throttled, "cps-key/"+shown, now, map[string]any{
				"key": shown, "limit": p.Limit, "delayed": delayed, "refused": refused, "trunks": p.Trunks}))
			was = pace{p.Delayed, p.Refused, now}
		}
		paces[p.Key] = was
	}
	m.paces = paces
	return events
}

// checkChanged is the event of a check that came to another verdict for good.
func checkChanged(org string, d Drift, at time.Time) account.Event {
	return event(org, CheckChanged, subject(d.Trunk), at, map[string]any{"trunk": d.Trunk, "number": orNull(d.Number), "check": d.Check, "from": d.Was, "to": d.Now,
		"code": orNull(d.Code), "message": orNull(d.Message), "fix": orNull(d.Fix)})
}

// callEnded is the event of a call's end.
func callEnded(org string, r *trunks.CallRecord) account.Event {
	data := map[string]any{
		"call_id": r.ID, "direction": r.Direction.String(), "trunk": orNull(r.Trunk), "agent": orNull(r.Agent), "from_number": r.Caller, "to_number": r.Called,
		"outcome": r.Outcome, "ended_by": r.EndedBy, "code": r.Code, "reason": orNull(r.Reason), "refusal": nil,
		"start_time": stamp(r.Started), "answer_time": nil, "end_time": stamp(r.Ended), "duration_seconds": 0.0,
	}
	if r.Refusal != trunks.NoReason {
		data["refusal"] = r.Refusal.String()
	}
	if !r.Answered.IsZero() {
		data["answer_time"] = stamp(r.Answered)
		data["duration_seconds"] = r.Ended.Sub(r.Answered).Round(time.Millisecond).Seconds()
	}
	return event(org, CallEnded, "call/"+r.ID, r.Ended, data)
}

func event(org, what, about string, at time.Time, data map[string]any) account.Event {
	text, err := json.Marshal(data)
	if err != nil {
		text = []byte("{}") // only strings and numbers go in
	}
	return account.Event{Org: org, Type: what, Subject: about, At: at.UTC().Truncate(time.Millisecond), Data: text}
}

// subject of a trunk: its name in the engine is "connection:5" or "credential:<id>".
func subject(trunk string) string {
	kind, id, _ := strings.Cut(trunk, ":")
	if kind == "credential" {
		kind = "sip_credential"
	}
	return kind + "/" + id
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
