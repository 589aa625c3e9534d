package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/trunks/account"
)

// agentBody is an agent: where inbound calls go and who may call out.
type agentBody struct {
	ID              int64             `json:"id"`
	Name            string            `json:"name"`
	Destinations    []destinationBody `json:"destinations" nullable:"false"`
	SourceAddresses []string          `json:"source_addresses" nullable:"false" doc:"Where it calls from."`
	MaxCalls        *int              `json:"max_calls" nullable:"true"`
	Agent           string            `json:"agent" doc:"Its name in calls, metrics and logs."`
	CreatedAt       stamp             `json:"created_at"`
	UpdatedAt       stamp             `json:"updated_at"`
}

// destinationBody is one SIP address of an agent.
type destinationBody struct {
	URI      string `json:"uri" minLength:"1" maxLength:"255" doc:"sip:host, sip:user@host:port;transport=udp|tcp|tls; without a user the called number goes there."`
	Priority int    `json:"priority,omitempty" minimum:"0" maximum:"65535" doc:"Lower is tried first."`
	Weight   *int   `json:"weight,omitempty" nullable:"true" minimum:"0" maximum:"65535" doc:"Share of the calls among equals in priority, 1 without it; 0: only when no other is left."`
}

func agentOf(a account.Agent) agentBody {
	b := agentBody{ID: a.ID, Name: a.Name, SourceAddresses: mapped(a.SourceAddresses, func(s string) string { return s }), MaxCalls: a.MaxCalls, Agent: a.EngineName,
		CreatedAt: stamp(a.CreatedAt), UpdatedAt: stamp(a.UpdatedAt)}
	b.Destinations = mapped(a.Destinations, func(d account.Destination) destinationBody { return destinationBody{d.URI, d.Priority, new(d.Weight)} })
	return b
}

func destinationOf(b destinationBody) account.Destination {
	d := account.Destination{URI: b.URI, Priority: b.Priority, Weight: 1}
	if b.Weight != nil {
		d.Weight = *b.Weight
	}
	return d
}

// newAgentBody makes an agent.
type newAgentBody struct {
	Name            string            `json:"name" minLength:"1" maxLength:"120" doc:"Unique in the organization."`
	Destinations    []destinationBody `json:"destinations,omitempty" nullable:"true" maxItems:"64"`
	SourceAddresses []string          `json:"source_addresses,omitempty" nullable:"true" maxItems:"64" doc:"Addresses, networks or host names it calls from."`
	MaxCalls        *int              `json:"max_calls,omitempty" nullable:"true" minimum:"1" maximum:"1000000" doc:"Calls in progress; null: no limit."`
}

// agentChangeBody changes what is there; what is absent stays.
type agentChangeBody struct {
	Name            *string            `json:"name,omitempty" nullable:"true" minLength:"1" maxLength:"120"`
	Destinations    *[]destinationBody `json:"destinations,omitempty" nullable:"true" maxItems:"64"`
	SourceAddresses *[]string          `json:"source_addresses,omitempty" nullable:"true" maxItems:"64"`
	MaxCalls        optional[int]      `json:"max_calls,omitzero" doc:"null: no limit."`
}

type AgentInput struct {
	ID      int64  `path:"id" minimum:"1"`
	IfMatch string `header:"If-Match" doc:"ETag of the version that is to be changed."`
}

func (d *door) addAgents() {
	tags := []string{"Agents"}
	register(d, huma.Operation{OperationID: "list-agents", Method: http.MethodGet, Path: "/v1/agents", Tags: tags,
		Summary: "List agents, newest first"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct{ Page }) (*answer[[]agentBody], error) {
			all, err := d.accounts.Agents(ctx, who)
			all = pageOf(in.Page, all, func(a account.Agent) int64 { return a.ID })
			return &answer[[]agentBody]{mapped(all, agentOf)}, err
		})
	register(d, huma.Operation{OperationID: "create-agent", Method: http.MethodPost, Path: "/v1/agents", Tags: tags,
		Summary: "Create an agent", DefaultStatus: http.StatusCreated}, rules{alter: true},
		func(ctx context.Context, who account.Caller, in *struct{ Body newAgentBody }) (*tagged[agentBody], error) {
			a, err := d.accounts.CreateAgent(ctx, who, account.AgentSettings{Name: in.Body.Name, Destinations: mapped(in.Body.Destinations, destinationOf),
				SourceAddresses: in.Body.SourceAddresses, MaxCalls: in.Body.MaxCalls})
			return &tagged[agentBody]{tag(a.Version), agentOf(a)}, err
		})
	register(d, huma.Operation{OperationID: "get-agent", Method: http.MethodGet, Path: "/v1/agents/{id}", Tags: tags,
		Summary: "Show an agent"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct {
			ID int64 `path:"id" minimum:"1"`
		}) (*tagged[agentBody], error) {
			a, err := d.accounts.Agent(ctx, who, in.ID)
			return &tagged[agentBody]{tag(a.Version), agentOf(a)}, err
		})
	register(d, huma.Operation{OperationID: "change-agent", Method: http.MethodPatch, Path: "/v1/agents/{id}", Tags: tags,
		Summary: "Change an agent; what is absent stays as it is"}, rules{alter: true}, d.changeAgent)
	register(d, huma.Operation{OperationID: "delete-agent", Method: http.MethodDelete, Path: "/v1/agents/{id}", Tags: tags,
		Summary: "Delete an agent", DefaultStatus: http.StatusNoContent}, rules{alter: true},
		func(ctx context.Context, who account.Caller, in *struct {
			AgentInput
			Force bool `query:"force" doc:"Also while numbers are assigned to it: they lose it."`
		}) (*nothing, error) {
			if in.IfMatch != "" {
				a, err := d.accounts.Agent(ctx, who, in.ID)
				if err == nil {
					err = checkVersion(in.IfMatch, a.Version)
				}
				if err != nil {
					return nil, err
				}
			}
			return &nothing{}, d.accounts.DeleteAgent(ctx, who, in.ID, in.Force)
		})
}

func (d *door) changeAgent(ctx context.Context, who account.Caller, in *struct {
	AgentInput
	Body agentChangeBody
}) (*tagged[agentBody], error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	change := account.AgentChange{Name: in.Body.Name, SourceAddresses: in.Body.SourceAddresses, MaxCalls: account.Optional[int](in.Body.MaxCalls), IfVersion: version}
	if in.Body.Destinations != nil {
		change.Destinations = new(mapped(*in.Body.Destinations, destinationOf))
	}
	a, err := d.accounts.UpdateAgent(ctx, who, in.ID, change)
	return &tagged[agentBody]{tag(a.Version), agentOf(a)}, err
}
