package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/sip"
	"trunkline/store"
	"trunkline/trunks"
	"trunkline/trunks/account"
)

// Scope is what belongs to one organization, by the names the engine knows it by.
type Scope struct {
	Trunks map[string]bool
	Agents map[string]bool
}

// Covers reports whether a call with this trunk and agent is one of the scope's.
func (s Scope) Covers(trunk, agent string) bool { return s.Trunks[trunk] || s.Agents[agent] }

// Traffic is what the API asks of the running edge and its records. Its methods are called concurrently.
type Traffic interface {
	// Ended returns up to limit records of the scope, newest first: those before the record with Seq before, or the newest for 0.
	Ended(ctx context.Context, s Scope, limit int, before int64) ([]store.Stored, error)
	// Call returns the record of an ended call; store.ErrNotFound.
	Call(ctx context.Context, id string) (store.Stored, error)
	// Live returns calls of the scope that have not ended.
	Live(ctx context.Context, s Scope) ([]sip.LiveCall, error)
	// Ladder draws the SIP messages of a call by its id; empty when none is remembered.
	Ladder(ctx context.Context, id string) (string, error)
	// HangUp ends a call; false when there is none of that id.
	HangUp(ctx context.Context, id string) (bool, error)
	// Originate calls an agent and then, for it, a number; it returns the id of the call as soon as the agent is being called. The
	// error is a *trunks.Refusal where the call may not be made.
	Originate(ctx context.Context, o sip.Origination) (id string, err error)
	// Paces returns the state of the limits that trunks of the scope fall under.
	Paces(s Scope) []Pace
	// Explain says what would become of an INVITE that came from an address, seen by the scope alone.
	Explain(ctx context.Context, s Scope, transport string, from netip.AddrPort, invite []byte) (Explanation, error)
}

// Pace is the live state of a limit of calls per second.
type Pace struct {
	Key              string   `json:"key" doc:"cps_key, or the trunk's own name where it has none."`
	Trunks           []string `json:"trunks" nullable:"false"`
	Limit            float64  `json:"limit" doc:"Calls per second; the smallest of its trunks'."`
	Rate             float64  `json:"rate" doc:"Calls per second in force: the limit, or less while the carrier refuses that many."`
	Used             int      `json:"used" doc:"Calls admitted in the last second."`
	Peak             int      `json:"peak" doc:"Most calls in any second that began in the last minute."`
	Waiting          int      `json:"waiting" doc:"Calls that wait for their turn now."`
	Delayed          uint64   `json:"delayed" doc:"Calls that waited and went out, since the start."`
	Refused          uint64   `json:"refused" doc:"Calls refused since the start: no room to wait, or the deadline came first."`
	RefusedByCarrier uint64   `json:"refused_by_carrier" doc:"Calls within the limit that the carrier refused for their number a second, since the start."`
}

// Explanation is the way of an INVITE through the gates.
type Explanation struct {
	Taken bool   `json:"taken" doc:"Whether the call would be taken."`
	Gates []Gate `json:"gates" nullable:"false" doc:"In order, up to the one that stops it."`
}

// Gate is one of them.
type Gate struct {
	Gate   string `json:"gate" enum:"source,message,route,target,limit"`
	Passed bool   `json:"passed"`
	Why    string `json:"why"`
}

// callBody is a call, running or ended.
type callBody struct {
	ID        string   `json:"id"`
	Cursor    int64    `json:"cursor" doc:"For before in the next request; 0 while it runs."`
	State     string   `json:"state" doc:"ended, or how far it is."`
	Direction string   `json:"direction" enum:"inbound,outbound,none"`
	Trunk     *string  `json:"trunk" nullable:"true"`
	Agent     *string  `json:"agent" nullable:"true"`
	From      string   `json:"from"`
	To        string   `json:"to"`
	Outcome   *string  `json:"outcome" nullable:"true" doc:"Null while it runs."`
	Code      *int     `json:"sip_code" nullable:"true"`
	Reason    *string  `json:"reason" nullable:"true"`
	Refusal   *string  `json:"refusal" nullable:"true" doc:"Why the edge refused it."`
	EndedBy   *string  `json:"ended_by" nullable:"true"`
	StartedAt stamp    `json:"started_at"`
	RingingAt *stamp   `json:"ringing_at" nullable:"true"`
	AnswerAt  *stamp   `json:"answered_at" nullable:"true"`
	EndedAt   *stamp   `json:"ended_at" nullable:"true"`
	Seconds   *float64 `json:"duration_seconds" nullable:"true" doc:"Answered time."`
	Attempts  *int     `json:"attempts" nullable:"true" doc:"INVITEs sent, challenges and failover included."`
	Ladder    *string  `json:"ladder,omitempty" nullable:"true" doc:"Its SIP messages, credentials masked; null when newer calls took their place in memory."`
}

func liveOf(c sip.LiveCall) callBody {
	return callBody{ID: c.ID, State: c.State, Direction: c.Direction.String(), Trunk: textOrNil(c.Trunk), Agent: textOrNil(c.Agent), From: c.Caller, To: c.Called,
		StartedAt: stamp(c.Started), RingingAt: stampOrNil(&c.Ringing), AnswerAt: stampOrNil(&c.Answered)}
}

func endedOf(c store.Stored) callBody {
	b := callBody{ID: c.ID, Cursor: c.Seq, State: "ended", Direction: c.Direction.String(), Trunk: textOrNil(c.Trunk), Agent: textOrNil(c.Agent), From: c.Caller, To: c.Called,
		Outcome: textOrNil(c.Outcome), Code: new(c.Code), Reason: textOrNil(c.Reason), EndedBy: textOrNil(c.EndedBy), StartedAt: stamp(c.Started),
		RingingAt: stampOrNil(&c.Ringing), AnswerAt: stampOrNil(&c.Answered), EndedAt: stampOrNil(&c.Ended), Attempts: new(c.Attempts)}
	if c.Refusal != trunks.NoReason {
		b.Refusal = new(c.Refusal.String())
	}
	if !c.Answered.IsZero() {
		b.Seconds = new(c.Ended.Sub(c.Answered).Seconds())
	}
	return b
}

// traffic is the API's door to the running edge.
type traffic struct {
	door *door
	Traffic
}

// scope finds out what belongs to the caller's organization.
func (t traffic) scope(ctx context.Context, who account.Caller) (Scope, error) {
	s := Scope{Trunks: map[string]bool{}, Agents: map[string]bool{}}
	connections, err := t.door.accounts.Connections(ctx, who)
	if err != nil {
		return s, err
	}
	for _, c := range connections {
		s.Trunks[c.Trunk] = true
	}
	for skip := 0; ; {
		found, total, err := t.door.accounts.SIPCredentials(ctx, who, skip, 1000)
		if err != nil {
			return s, err
		}
		for _, c := range found {
			s.Trunks[c.Trunk] = true
		}
		if skip += len(found); skip >= total || len(found) == 0 {
			break
		}
	}
	agents, err := t.door.accounts.Agents(ctx, who)
	for _, a := range agents {
		s.Agents[a.EngineName] = true
	}
	return s, err
}

func (d *door) addTraffic(asked Traffic) {
	t := traffic{d, asked}
	tags := []string{"Calls"}
	register(d, huma.Operation{OperationID: "list-calls", Method: http.MethodGet, Path: "/v1/calls", Tags: tags,
		Summary: "List calls, newest first: those in progress before those that ended"}, rules{}, t.list)
	type byID struct {
		ID string `path:"id" maxLength:"64"`
	}
	register(d, huma.Operation{OperationID: "get-call", Method: http.MethodGet, Path: "/v1/calls/{id}", Tags: tags,
		Summary: "Show a call with its ladder"}, rules{},
		func(ctx context.Context, who account.Caller, in *byID) (*answer[callBody], error) {
			return t.show(ctx, who, in.ID)
		})
	register(d, huma.Operation{OperationID: "hang-up-call", Method: http.MethodPost, Path: "/v1/calls/{id}/hangup", Tags: tags,
		Summary: "Hang a call up", DefaultStatus: http.StatusNoContent}, rules{role: account.Admin},
		func(ctx context.Context, who account.Caller, in *byID) (*nothing, error) {
			return &nothing{}, t.hangUp(ctx, who, in.ID)
		})
	register(d, huma.Operation{OperationID: "originate-call", Method: http.MethodPost, Path: "/v1/calls", Tags: tags,
		Summary:       "Call an agent and then, for it, a number",
		Description:   "The agent is called first, with the number to be called as its caller; when it answers, the number is called with from as the\ncaller. 201 as soon as the agent is being called.",
		DefaultStatus: http.StatusCreated}, rules{role: account.Admin, paid: true}, t.originate)
	register(d, huma.Operation{OperationID: "list-cps-keys", Method: http.MethodGet, Path: "/v1/cps-keys", Tags: []string{"Pacing"},
		Summary: "Show the limits of calls per second as they are now"}, rules{},
		func(ctx context.Context, who account.Caller, _ *struct{}) (*answer[[]Pace], error) {
			scope, err := t.scope(ctx, who)
			if err != nil {
				return nil, err
			}
			return &answer[[]Pace]{mapped(t.Paces(scope), func(p Pace) Pace { return p })}, nil
		})
	register(d, huma.Operation{OperationID: "explain", Method: http.MethodPost, Path: "/v1/explain", Tags: tags,
		Summary: "Say what would become of an INVITE, and why", Description: "Nothing is sent."}, rules{}, t.explain)
}

func (t traffic) list(ctx context.Context, who account.Caller, in *struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Before int64  `query:"before" minimum:"1" doc:"Only calls that ended before the one with this cursor."`
	State  string `query:"state" enum:"live,ended" doc:"Without it, both."`
}) (*answer[[]callBody], error) {
	scope, err := t.scope(ctx, who)
	if err != nil {
		return nil, err
	}
	calls := []callBody{}
	if in.State != "ended" && in.Before == 0 {
		live, err := t.Live(ctx, scope)
		if err != nil {
			return nil, err
		}
		slices.SortFunc(live, func(a, b sip.LiveCall) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.ID, b.ID)) })
		calls = append(calls, mapped(live[:min(len(live), in.Limit)], liveOf)...)
	}
	if in.State != "live" && len(calls) < in.Limit {
		ended, err := t.Ended(ctx, scope, in.Limit-len(calls), in.Before)
		if err != nil {
			return nil, err
		}
		calls = append(calls, mapped(ended, endedOf)...)
	}
	return &answer[[]callBody]{calls}, nil
}

// find returns a call of the scope, running or ended.
func (t traffic) find(ctx context.Context, who account.Caller, id string) (callBody, error) {
	scope, err := t.scope(ctx, who)
	if err != nil {
		return callBody{}, err
	}
	live, err := t.Live(ctx, scope)
	if err != nil {
		return callBody{}, err
	}
	if i := slices.IndexFunc(live, func(c sip.LiveCall) bool { return c.ID == id }); i >= 0 {
		return liveOf(live[i]), nil
	}
	ended, err := t.Call(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !scope.Covers(ended.Trunk, ended.Agent) {
		return callBody{}, &account.NotFound{What: "call", ID: shortened(id)}
	}
	return endedOf(ended), err
}

func (t traffic) show(ctx context.Context, who account.Caller, id string) (*answer[callBody], error) {
	c, err := t.find(ctx, who, id)
	if err != nil {
		return nil, err
	}
	ladder, err := t.Ladder(ctx, id)
	c.Ladder = textOrNil(ladder)
	return &answer[callBody]{c}, err
}

func (t traffic) hangUp(ctx context.Context, who account.Caller, id string) error {
	c, err := t.find(ctx, who, id)
	if err != nil {
		return err
	}
	found := false
	if c.State != "ended" {
		if found, err = t.HangUp(ctx, id); err != nil {
			return err
		}
	}
	if !found {
		return &account.Conflict{Message: "the call has ended already"}
	}
	return nil
}

// originateRequest says who is to talk to whom.
type originateRequest struct {
	Agent int64  `json:"agent_id" minimum:"1" doc:"Who is called first."`
	From  string `json:"from" minLength:"1" maxLength:"16" doc:"+E.164, a verified number of which it is the outbound agent."`
	To    string `json:"to" minLength:"1" maxLength:"64" doc:"Who is called then, +E.164."`
}

// dialable is what may stand in a Request-URI's user part for a number.
var dialable = regexp.MustCompile(`^\+?[0-9*#]{1,63}$`)

// startedAnswer is a call that has begun, and where to look at it.
type startedAnswer struct {
	Location string `header:"Location"`
	Body     callBody
}

func (t traffic) originate(ctx context.Context, who account.Caller, in *struct{ Body originateRequest }) (*startedAnswer, error) {
	agent, err := t.door.accounts.Agent(ctx, who, in.Body.Agent)
	if _, none := errors.AsType[*account.NotFound](err); none {
		return nil, badField("agent_id", "there is no agent %d", in.Body.Agent)
	}
	if err != nil {
		return nil, err
	}
	if !dialable.MatchString(in.Body.To) {
		return nil, badField("to", "must be a number, as +14155550100")
	}
	id, err := t.Originate(ctx, sip.Origination{Agent: agent.EngineName, From: in.Body.From, To: in.Body.To})
	if refusal, ok := errors.AsType[*trunks.Refusal](err); ok {
		return nil, refusedCall(refusal)
	}
	if err != nil {
		return nil, err
	}
	c, err := t.find(ctx, who, id)
	if _, over := errors.AsType[*account.NotFound](err); over { // the agent was quick to refuse it, and the record is on its way
		c, err = callBody{ID: id, State: "ended", Direction: trunks.OutboundCall.String(), Agent: &agent.EngineName, From: in.Body.From, To: in.Body.To, StartedAt: stamp(time.Now())}, nil
	}
	return &startedAnswer{"/v1/calls/" + id, c}, err
}

// refusedCall says why a call is not made.
func refusedCall(r *trunks.Refusal) error {
	switch r.Reason {
	case trunks.NumberUnverified:
		return badField("from", "is no verified number that this agent may call out with; verify it, and make the agent its outbound_agent_id")
	case trunks.LimitChannels, trunks.LimitCPS, trunks.Overload:
		return &fault{Status: http.StatusTooManyRequests, Code: r.Reason.String(), Detail: "there is no room for the call now: " + r.Error(), Retry: time.Second}
	case trunks.TollBarred, trunks.TollSpent:
		return &fault{Status: http.StatusConflict, Code: r.Reason.String(), Detail: r.Detail()}
	case trunks.NoTrunk, trunks.TrunkDown:
		return &fault{Status: http.StatusConflict, Code: r.Reason.String(), Detail: "no trunk of the number can be reached now"}
	}
	return &fault{Status: http.StatusConflict, Code: r.Reason.String(), Detail: "the call cannot be made: the agent or the number is not in force"}
}

// explainRequest is an INVITE to be explained.
type explainRequest struct {
	Invite    string  `json:"invite" minLength:"1" maxLength:"65535" doc:"The INVITE as it was on the wire or in a trace."`
	Source    string  `json:"source" minLength:"1" maxLength:"64" doc:"address:port it came from."`
	Transport *string `json:"transport,omitempty" nullable:"true" enum:"udp,tcp,tls" doc:"Without it, udp."`
}

func (t traffic) explain(ctx context.Context, who account.Caller, in *struct {
	Body explainRequest
}) (*answer[Explanation], error) {
	from, err := netip.ParseAddrPort(in.Body.Source)
	if err != nil {
		return nil, badField("source", "must be an address and a port, as 192.0.2.1:5060")
	}
	scope, err := t.scope(ctx, who)
	if err != nil {
		return nil, err
	}
	transport := "UDP"
	if in.Body.Transport != nil {
		transport = strings.ToUpper(*in.Body.Transport)
	}
	e, err := t.Explain(ctx, scope, transport, from, []byte(in.Body.Invite))
	return &answer[Explanation]{e}, err
}
