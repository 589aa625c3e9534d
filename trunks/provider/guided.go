package provider

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"trunkline/config"
)

// Guided is a provider whose account can be set up for us over its API. Of the four it is Telnyx.
type Guided interface {
	// SetUp makes the account ready: a connection to register with, an outbound profile, and the numbers on the connection.
	// It may be called again after a failure and goes on where it stopped. It returns the credentials it was opened with, with
	// what it made added; after an error too, so that they can be kept.
	SetUp(ctx context.Context, g Guide) (Credentials, error)
}

// Guide is what a set-up is told.
type Guide struct {
	Name         string               // of what is made; empty: "Trunkline"
	Reference    string               // tag that finds again what an earlier try of the same set-up made; letters, digits, '-'
	Numbers      []string             // own numbers to put on the connection, wherever they are now
	Destinations []string             // countries (ISO 3166-1 alpha-2) a new profile allows; empty: the provider's choice
	InUse        func(id string) bool // whether a connection belongs to somebody already; nil: none does
	Progress     func(step string, f Finding)
}

// Steps of a set-up, in their order.
const (
	StepAccount    = "account"
	StepConnection = "connection"
	StepProfile    = "outbound_profile"
	StepNumbers    = "numbers"
	StepInbound    = "inbound_target"
)

// credentialConnection is a connection as its own endpoint shows it. Its password is never read.
type credentialConnection struct {
	ID       string   `json:"id"`
	Name     string   `json:"connection_name"`
	UserName string   `json:"user_name"`
	Tags     []string `json:"tags"`
	Outbound struct {
		Profile string `json:"outbound_voice_profile_id"`
	} `json:"outbound"`
}

// setUp is one run of SetUp.
type setUp struct {
	*telnyx
	guide       Guide
	credentials Credentials
}

func (t *telnyx) SetUp(ctx context.Context, g Guide) (Credentials, error) {
	if g.Name = clean(g.Name, 60); len(g.Name) < 3 {
		g.Name = "Trunkline"
	}
	if g.Progress == nil {
		g.Progress = func(string, Finding) {}
	}
	s := &setUp{telnyx: t, guide: g, credentials: Merge(t.credentials, nil)}
	return s.credentials, s.run(ctx)
}

func (s *setUp) run(ctx context.Context) error {
	if err := s.told(StepAccount, "the API key is good", s.checkKey(ctx)); err != nil {
		return err
	}
	connection, err := s.ensureConnection(ctx)
	if err := s.told(StepConnection, "connection "+quoted(connection.Name), err); err != nil {
		return err
	}
	profile, err := s.ensureProfile(ctx, connection)
	if err := s.told(StepProfile, "outbound voice profile "+quoted(profile), err); err != nil {
		return err
	}
	for _, number := range s.guide.Numbers {
		if err := s.told(StepNumbers, number+" is on the connection", s.assign(ctx, number, connection.ID)); err != nil {
			return err
		}
	}
	// A credential connection sends calls to whoever is registered: the target is us as soon as the trunk registers.
	s.guide.Progress(StepInbound, passed("calls go to where "+quoted(connection.UserName)+" registers from"))
	return nil
}

// told reports a step and returns its error.
func (s *setUp) told(step, done string, err error) error {
	if err != nil {
		s.guide.Progress(step, FindingOf(err))
		return err
	}
	s.guide.Progress(step, passed(done))
	return nil
}

func (s *setUp) checkKey(ctx context.Context) error {
	for _, err := range s.list(ctx, url.Values{"page[size]": {"1"}}) {
		return err
	}
	return nil
}

// ensureConnection picks the connection that was named, else the one an earlier try made, else makes one.
func (s *setUp) ensureConnection(ctx context.Context) (credentialConnection, error) {
	if s.connection != "" {
		return s.namedConnection(ctx)
	}
	made, err := s.earlierConnection(ctx)
	if err != nil {
		return credentialConnection{}, err
	}
	password := config.Secret(rand.Text() + "a1")
	settings := map[string]any{
		"active": true, "connection_name": s.guide.Name, "password": password.Reveal(), "tags": s.tags(),
		"inbound": map[string]any{"ani_number_format": "+E.164", "dnis_number_format": "+e164", "codecs": []string{"G711U", "G711A", "G722"}},
	}
	r := request{doing: "change connection", method: http.MethodPatch, path: "/v2/credential_connections/" + url.PathEscape(made.ID), body: settings}
	if made.ID == "" {
		settings["user_name"] = "tl" + strings.ToLower(rand.Text()[:18])
		r.doing, r.method, r.path = "make connection", http.MethodPost, "/v2/credential_connections"
	}
	var answer struct {
		Data credentialConnection `json:"data"`
	}
	if err := s.change(ctx, r, &answer); err != nil {
		return credentialConnection{}, err
	}
	if answer.Data.ID == "" || answer.Data.UserName == "" {
		return credentialConnection{}, s.malformed(r.doing, "the answer has no connection")
	}
	s.keep(answer.Data, password)
	return answer.Data, nil
}

// keep notes how we get onto the connection.
func (s *setUp) keep(c credentialConnection, password config.Secret) {
	s.credentials["connectionId"] = config.Secret(c.ID)
	s.credentials["sipUsername"] = config.Secret(c.UserName)
	if password != "" {
		s.credentials["sipPassword"] = password
	}
}

// namedConnection reads the customer's own connection. Its password is not ours to change.
func (s *setUp) namedConnection(ctx context.Context) (credentialConnection, error) {
	const doing = "read connection"
	var answer struct {
		Data credentialConnection `json:"data"`
	}
	if err := s.get(ctx, doing, "/v2/credential_connections/"+url.PathEscape(s.connection), nil, &answer); err != nil {
		return credentialConnection{}, err
	}
	switch {
	case answer.Data.ID == "" || answer.Data.UserName == "":
		return credentialConnection{}, s.malformed(doing, "the answer has no connection")
	case s.credentials["sipPassword"] == "":
		return answer.Data, &Error{Provider: Telnyx, Doing: doing, Class: Incomplete, Code: "sip_password_missing", Message: "the connection is there, and its SIP password was not given"}
	}
	s.keep(answer.Data, "")
	return answer.Data, nil
}

// tags mark what we make. The second one tells this set-up from others.
func (s *setUp) tags() []string {
	tags := []string{"trunkline"}
	if s.guide.Reference != "" {
		tags = append(tags, "trunkline-"+s.guide.Reference)
	}
	return tags
}

// earlierConnection finds what an earlier try with the same reference made and nobody uses; empty when there is none.
func (s *setUp) earlierConnection(ctx context.Context) (credentialConnection, error) {
	if s.guide.Reference == "" {
		return credentialConnection{}, nil
	}
	const doing = "list connections"
	var answer struct {
		Data *[]credentialConnection `json:"data"`
	}
	if err := s.get(ctx, doing, "/v2/credential_connections", url.Values{"filter[connection_name][contains]": {s.guide.Name}, "page[size]": {"250"}}, &answer); err != nil {
		return credentialConnection{}, err
	}
	if answer.Data == nil {
		return credentialConnection{}, s.malformed(doing, "the answer has no data")
	}
	for _, c := range *answer.Data {
		if slices.Contains(c.Tags, "trunkline-"+s.guide.Reference) && (s.guide.InUse == nil || !s.guide.InUse(c.ID)) {
			return c, nil
		}
	}
	return credentialConnection{}, nil
}

// ensureProfile leaves a profile that is there, else picks the enabled one of our name, else makes one, and puts the connection on it.
func (s *setUp) ensureProfile(ctx context.Context, c credentialConnection) (name string, err error) {
	if c.Outbound.Profile != "" {
		return "as it was", nil
	}
	type profile struct {
		ID      string `json:"id"`
		Name    string `json:"name"`
		Enabled bool   `json:"enabled"`
	}
	var there struct {
		Data *[]profile `json:"data"`
	}
	const path = "/v2/outbound_voice_profiles"
	if err := s.get(ctx, "list outbound voice profiles", path, url.Values{"filter[name][contains]": {s.guide.Name}, "page[size]": {"250"}}, &there); err != nil {
		return "", err
	}
	if there.Data == nil {
		return "", s.malformed("list outbound voice profiles", "the answer has no data")
	}
	var chosen profile
	if at := slices.IndexFunc(*there.Data, func(p profile) bool { return p.Name == s.guide.Name && p.Enabled }); at >= 0 {
		chosen = (*there.Data)[at]
	} else {
		settings := map[string]any{"name": s.guide.Name, "tags": s.tags()}
		if len(s.guide.Destinations) > 0 {
			settings["whitelisted_destinations"] = s.guide.Destinations
		}
		var made struct {
			Data profile `json:"data"`
		}
		if err := s.change(ctx, request{doing: "make outbound voice profile", method: http.MethodPost, path: path, body: settings}, &made); err != nil {
			return "", err
		}
		if chosen = made.Data; chosen.ID == "" {
			return "", s.malformed("make outbound voice profile", "the answer has no profile")
		}
	}
	return chosen.Name, s.change(ctx, request{doing: "assign outbound voice profile", method: http.MethodPatch, path: "/v2/credential_connections/" + url.PathEscape(c.ID),
		body: map[string]any{"outbound": map[string]any{"outbound_voice_profile_id": chosen.ID}}}, nil)
}

// assign puts a number of the account on the connection.
func (s *setUp) assign(ctx context.Context, e164 string, connection string) error {
	number, found, err := s.number(ctx, e164)
	switch {
	case err != nil:
		return err
	case found != nil:
		return &Error{Provider: Telnyx, Doing: "assign number", Class: NotFound, Code: found.Code, Message: fmt.Sprintf("%s: %s", clean(e164, 20), found.Message)}
	case number.ConnectionID == connection:
		return nil
	}
	return s.change(ctx, request{doing: "assign number", method: http.MethodPatch, path: "/v2/phone_numbers/" + url.PathEscape(number.ID), body: map[string]any{"connection_id": connection}}, nil)
}
