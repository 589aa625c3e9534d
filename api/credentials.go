package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/config"
	"trunkline/trunks/account"
)

// settingsBody is what a user says of a SIP credential, for POST and PUT alike (DA-03 to DA-11).
type settingsBody struct {
	Server       string   `json:"server" minLength:"1" maxLength:"255" doc:"Host name or address, optional port (RFC 3261); RFC 3263 without one."`
	Domain       *string  `json:"domain,omitempty" nullable:"true" maxLength:"255" doc:"Host in From, To and Request-URI, and the expected realm; null: the server."`
	AuthUser     *string  `json:"authUser,omitempty" nullable:"true" maxLength:"255" doc:"Digest user; some providers call it Account."`
	AuthPassword *string  `json:"authPassword,omitempty" nullable:"true" maxLength:"64" writeOnly:"true" doc:"Digest password; never shown again. In a PUT that keeps authUser, null or absent keeps the stored one and \"\" removes it."`
	Transport    *string  `json:"transport,omitempty" nullable:"true" enum:"udp,tcp,tls" doc:"Null: udp."`
	Description  *string  `json:"description,omitempty" nullable:"true" maxLength:"255"`
	CPSLimit     *float64 `json:"cpsLimit,omitempty" nullable:"true" exclusiveMinimum:"0" maximum:"100000" doc:"Calls per second, may be a fraction; calls above it wait for their turn."`
	CPSKey       *string  `json:"cpsKey,omitempty" nullable:"true" maxLength:"255" doc:"Credentials with the same key share one limit, the smallest of theirs."`
}

// credentialBody is a SIP credential (DA-14 to DA-24). The password is never shown.
type credentialBody struct {
	ID              string           `json:"id" format:"uuid"`
	OrgID           string           `json:"orgId"`
	Server          string           `json:"server"`
	Domain          *string          `json:"domain" nullable:"true"`
	AuthUser        *string          `json:"authUser" nullable:"true"`
	AuthPassword    *string          `json:"authPassword" nullable:"true" doc:"Always null."`
	HasAuthPassword bool             `json:"hasAuthPassword"`
	Transport       string           `json:"transport" enum:"udp,tcp,tls"`
	Description     *string          `json:"description" nullable:"true"`
	CPSLimit        *float64         `json:"cpsLimit" nullable:"true"`
	CPSKey          *string          `json:"cpsKey" nullable:"true"`
	Source          string           `json:"source" enum:"manual,provider"`
	ProviderID      *string          `json:"providerId" nullable:"true" doc:"Of the connection that owns it."`
	Trunk           string           `json:"trunk" doc:"Its name in calls, metrics and logs."`
	Registration    registrationBody `json:"registration"`
	CreatedTime     second           `json:"createdTime"`
	LastUpdateTime  second           `json:"lastUpdateTime"`
}

func credentialOf(c account.SIPCredential) credentialBody {
	return credentialBody{ID: c.ID, OrgID: c.Org, Server: c.Server, Domain: textOrNil(c.Domain), AuthUser: textOrNil(c.AuthUser),
		HasAuthPassword: c.Password != "", Transport: c.Transport, Description: textOrNil(c.Description), CPSLimit: c.CPSLimit, CPSKey: textOrNil(c.CPSKey),
		Source: string(c.Source), ProviderID: textOrNil(c.ProviderID), Trunk: c.Trunk, Registration: registrationOf(c.Registration),
		CreatedTime: second(c.CreatedAt), LastUpdateTime: second(c.UpdatedAt)}
}

func settingsOf(b settingsBody) account.SIPCredentialSettings {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	s := account.SIPCredentialSettings{Server: b.Server, Domain: text(b.Domain), AuthUser: text(b.AuthUser), Password: config.Secret(text(b.AuthPassword)),
		Transport: text(b.Transport), Description: text(b.Description), CPSLimit: b.CPSLimit, CPSKey: text(b.CPSKey)}
	if s.Transport == "" {
		s.Transport = "udp"
	}
	return s
}

// listBody is a list of /api/v1 (M-05).
type listBody[T any] struct {
	Items      []T `json:"items" nullable:"false"`
	TotalCount int `json:"totalCount"`
	Skip       int `json:"skip"`
	Take       int `json:"take"`
}

// affectedBody is an agent whose calls go over a SIP credential.
type affectedBody struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
}

type CredentialID struct {
	ID string `path:"id" maxLength:"64"`
}

type CredentialInput struct {
	CredentialID
	IfMatch string `header:"If-Match" doc:"ETag of the version that is to be changed."`
}

func (d *door) addCredentials() {
	tags := []string{"SIP credentials"}
	const path = "/api/v1/sip-credentials"
	register(d, huma.Operation{OperationID: "create-sip-credential", Method: http.MethodPost, Path: path, Tags: tags,
		Summary: "Create a SIP credential: a trunk", DefaultStatus: http.StatusCreated}, rules{alter: true},
		func(ctx context.Context, who account.Caller, in *struct{ Body settingsBody }) (*tagged[credentialBody], error) {
			c, err := d.accounts.CreateSIPCredential(ctx, who, settingsOf(in.Body))
			return &tagged[credentialBody]{tag(c.Version), credentialOf(c)}, err
		})
	register(d, huma.Operation{OperationID: "list-sip-credentials", Method: http.MethodGet, Path: path, Tags: tags,
		Summary: "List SIP credentials"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct {
			Skip int `query:"skip" minimum:"0" default:"0"`
			Take int `query:"take" minimum:"1" maximum:"1000" default:"20"`
		}) (*answer[listBody[credentialBody]], error) {
			some, total, err := d.accounts.SIPCredentials(ctx, who, in.Skip, in.Take)
			return &answer[listBody[credentialBody]]{listBody[credentialBody]{mapped(some, credentialOf), total, in.Skip, in.Take}}, err
		})
	register(d, huma.Operation{OperationID: "get-sip-credential", Method: http.MethodGet, Path: path + "/{id}", Tags: tags,
		Summary: "Show a SIP credential"}, rules{},
		func(ctx context.Context, who account.Caller, in *CredentialID) (*tagged[credentialBody], error) {
			c, err := d.accounts.SIPCredential(ctx, who, in.ID)
			return &tagged[credentialBody]{tag(c.Version), credentialOf(c)}, err
		})
	register(d, huma.Operation{OperationID: "replace-sip-credential", Method: http.MethodPut, Path: path + "/{id}", Tags: tags,
		Summary: "Replace the settings of a SIP credential"}, rules{alter: true}, d.replaceCredential)
	register(d, huma.Operation{OperationID: "delete-sip-credential", Method: http.MethodDelete, Path: path + "/{id}", Tags: tags,
		Summary: "Delete a SIP credential", DefaultStatus: http.StatusNoContent}, rules{alter: true}, d.deleteCredential)
	register(d, huma.Operation{OperationID: "list-affected-agents", Method: http.MethodGet, Path: path + "/{id}/affected-agents", Tags: tags,
		Summary: "List the agents whose calls go over a SIP credential"}, rules{},
		func(ctx context.Context, who account.Caller, in *CredentialID) (*answer[[]affectedBody], error) {
			agents, err := d.accounts.AffectedAgents(ctx, who, in.ID)
			return &answer[[]affectedBody]{mapped(agents, func(a account.Agent) affectedBody { return affectedBody{a.ID, a.Name} })}, err
		})
}

func (d *door) replaceCredential(ctx context.Context, who account.Caller, in *struct {
	CredentialInput
	Body settingsBody
}) (*tagged[credentialBody], error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	settings := settingsOf(in.Body)
	if in.Body.AuthPassword == nil && settings.AuthUser != "" { // a client that sends back what GET has shown must not lose the password
		now, err := d.accounts.SIPCredential(ctx, who, in.ID)
		if err != nil {
			return nil, err
		}
		if now.AuthUser == settings.AuthUser {
			settings.Password = now.Password
			if version == 0 {
				version = now.Version
			}
		}
	}
	c, err := d.accounts.ReplaceSIPCredential(ctx, who, in.ID, settings, version)
	return &tagged[credentialBody]{tag(c.Version), credentialOf(c)}, err
}

func (d *door) deleteCredential(ctx context.Context, who account.Caller, in *struct {
	CredentialInput
	Force bool `query:"force" doc:"Also while it is in use."`
}) (*nothing, error) {
	if in.IfMatch != "" {
		c, err := d.accounts.SIPCredential(ctx, who, in.ID)
		if err == nil {
			err = checkVersion(in.IfMatch, c.Version)
		}
		if err != nil {
			return nil, err
		}
	}
	return &nothing{}, d.accounts.DeleteSIPCredential(ctx, who, in.ID, in.Force)
}
