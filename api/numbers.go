package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/trunks/account"
)

// NumberBody is a phone number.
type NumberBody struct {
	ID                     int64  `json:"id"`
	Number                 string `json:"number" doc:"+E.164"`
	Source                 string `json:"source" doc:"voip: brought with a connection."`
	Status                 string `json:"status" enum:"provisioning,active,failed,released"`
	VoipVerificationStatus string `json:"voip_verification_status" enum:"unverified,verified,failed"`
	VoipConnectionID       *int64 `json:"voip_connection_id" nullable:"true"`
	InboundAgentID         *int64 `json:"inbound_agent_id" nullable:"true" doc:"Who takes its calls; null: they are refused."`
	OutboundAgentID        *int64 `json:"outbound_agent_id" nullable:"true" doc:"Who may call out with it; null: nobody."`
	OutboundEligible       bool   `json:"outbound_eligible" doc:"Whether it may be used as caller ID: active and verified."`
	LastVerifiedAt         *stamp `json:"last_verified_at" nullable:"true"`
	CreatedAt              stamp  `json:"created_at"`
	UpdatedAt              stamp  `json:"updated_at"`
}

func idOrNil(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

func numberOf(n account.Number) NumberBody {
	return NumberBody{ID: n.ID, Number: n.Number, Source: n.Source, Status: string(n.Status), VoipVerificationStatus: string(n.Verification),
		VoipConnectionID: idOrNil(n.Connection), InboundAgentID: idOrNil(n.InboundAgent), OutboundAgentID: idOrNil(n.OutboundAgent),
		OutboundEligible: n.OutboundEligible(), LastVerifiedAt: stampOrNil(n.LastVerifiedAt), CreatedAt: stamp(n.CreatedAt), UpdatedAt: stamp(n.UpdatedAt)}
}

// verificationBody is a number after a verification, with how that went.
type verificationBody struct {
	NumberBody
	Checks  checksBody `json:"checks"`
	Details []stepBody `json:"details" nullable:"false"`
}

// numberChangeBody assigns agents. What is absent stays.
type numberChangeBody struct {
	InboundAgentID  optional[int64] `json:"inbound_agent_id,omitzero" doc:"null: nobody; its calls are refused."`
	OutboundAgentID optional[int64] `json:"outbound_agent_id,omitzero" doc:"null: nobody may call out with it."`
	Status          *string         `json:"status,omitempty" nullable:"true" enum:"provisioning,active" doc:"Out of service, and in again."`
}

type NumberInput struct {
	ID      int64  `path:"id" minimum:"1"`
	IfMatch string `header:"If-Match" doc:"ETag of the version that is to be changed."`
}

type numberChangeInput struct {
	NumberInput
	Body numberChangeBody
}

func (d *door) addNumbers() {
	tags := []string{"Phone numbers"}
	register(d, huma.Operation{OperationID: "list-phone-numbers", Method: http.MethodGet, Path: "/v1/phone-numbers", Tags: tags,
		Summary: "List numbers, newest first"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct {
			Page
			Connection int64  `query:"voip_connection_id" minimum:"1"`
			Status     string `query:"status" enum:"provisioning,active,failed,released"`
		}) (*answer[[]NumberBody], error) {
			all, err := d.accounts.Numbers(ctx, who, account.NumberFilter{Connection: in.Connection, Status: account.NumberStatus(in.Status), Before: in.Before, Limit: in.Limit})
			return &answer[[]NumberBody]{mapped(all, numberOf)}, err
		})
	register(d, huma.Operation{OperationID: "get-phone-number", Method: http.MethodGet, Path: "/v1/phone-numbers/{id}", Tags: tags,
		Summary: "Show a number"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct {
			ID int64 `path:"id" minimum:"1"`
		}) (*tagged[NumberBody], error) {
			n, err := d.accounts.Number(ctx, who, in.ID)
			return &tagged[NumberBody]{tag(n.Version), numberOf(n)}, err
		})
	for _, method := range []string{http.MethodPatch, http.MethodPut} {
		register(d, huma.Operation{OperationID: map[string]string{"PATCH": "change-phone-number", "PUT": "set-phone-number"}[method], Method: method,
			Path: "/v1/phone-numbers/{id}", Tags: tags, Summary: "Assign agents; what is absent stays as it is"}, rules{alter: true}, d.changeNumber)
	}
	stream(d, huma.Operation{OperationID: "verify-phone-number", Method: http.MethodPost, Path: "/v1/phone-numbers/{id}/verify-voip", Tags: tags,
		Summary: "Verify a number by a call in and a call out",
		Description: "200 also when it fails: voip_verification_status is then failed, and checks and details say what to fix. It may be called again.\n\n" +
			"With Accept: text/event-stream each step arrives as an event `step` as it ends, and the answer as the event `result`."},
		rules{alter: true, paid: true, limit: testLimit},
		func(ctx context.Context, who account.Caller, in *struct {
			ID int64 `path:"id" minimum:"1"`
		}, report func(account.Step)) (verificationBody, error) {
			v, err := d.accounts.VerifyNumber(ctx, who, in.ID, report)
			return verificationBody{numberOf(v.Number), checksBody(v.Checks), mapped(v.Steps, stepOf)}, err
		})
	register(d, huma.Operation{OperationID: "verify-phone-numbers", Method: http.MethodPost, Path: "/v1/phone-numbers/verify-voip", Tags: tags,
		Summary: "Verify many numbers, paced by their trunks", Description: "Those named, or all of a connection that are not verified. Progress is at the operation.",
		DefaultStatus: http.StatusAccepted}, rules{paid: true, bulk: true}, d.verifyNumbers)
	register(d, huma.Operation{OperationID: "transfer-phone-number", Method: http.MethodPost, Path: "/v1/phone-numbers/{id}/transfer", Tags: tags,
		Summary: "Give a number to another organization", Description: "Only an owner may, who is a member of the organization that gets it."}, rules{alter: true}, d.transferNumber)
	register(d, huma.Operation{OperationID: "release-phone-number", Method: http.MethodDelete, Path: "/v1/phone-numbers/{id}", Tags: tags,
		Summary: "Release a number", DefaultStatus: http.StatusNoContent}, rules{alter: true},
		func(ctx context.Context, who account.Caller, in *NumberInput) (*nothing, error) {
			if in.IfMatch != "" {
				n, err := d.accounts.Number(ctx, who, in.ID)
				if err == nil {
					err = checkVersion(in.IfMatch, n.Version)
				}
				if err != nil {
					return nil, err
				}
			}
			return &nothing{}, d.accounts.ReleaseNumber(ctx, who, in.ID)
		})
}

func (d *door) changeNumber(ctx context.Context, who account.Caller, in *numberChangeInput) (*tagged[NumberBody], error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	change := account.NumberChange{IfVersion: version, InboundAgent: account.Optional[int64](in.Body.InboundAgentID), OutboundAgent: account.Optional[int64](in.Body.OutboundAgentID)}
	if in.Body.Status != nil {
		change.Status = new(account.NumberStatus(*in.Body.Status))
	}
	n, err := d.accounts.UpdateNumber(ctx, who, in.ID, change)
	return &tagged[NumberBody]{tag(n.Version), numberOf(n)}, err
}

// operationAnswer is 202 with where the progress is.
type operationAnswer struct {
	Location string `header:"Location" doc:"Where the progress is."`
	Body     operationBody
}

// verifyRequest says what to verify.
type verifyRequest struct {
	Numbers    []int64 `json:"numbers,omitempty" nullable:"true" maxItems:"20000" doc:"Ids of numbers."`
	Connection *int64  `json:"voip_connection_id,omitempty" nullable:"true" minimum:"1"`
}

func (d *door) verifyNumbers(ctx context.Context, who account.Caller, in *struct {
	Body verifyRequest
}) (*operationAnswer, error) {
	v := account.VerifyNumbers{Numbers: in.Body.Numbers}
	if in.Body.Connection != nil {
		v.Connection = *in.Body.Connection
	}
	o, err := d.accounts.VerifyNumbers(ctx, who, v)
	return &operationAnswer{"/v1/operations/" + o.ID, operationOf(o)}, err
}

// transferRequest says where a number goes.
type transferRequest struct {
	Organization string `json:"organization_id" minLength:"1" maxLength:"64"`
}

func (d *door) transferNumber(ctx context.Context, who account.Caller, in *struct {
	ID   int64 `path:"id" minimum:"1"`
	Body transferRequest
}) (*tagged[NumberBody], error) {
	n, err := d.accounts.TransferNumber(ctx, who, in.ID, account.Transfer{Organization: in.Body.Organization})
	return &tagged[NumberBody]{tag(n.Version), numberOf(n)}, err
}
