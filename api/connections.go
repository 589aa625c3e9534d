package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"trunkline/config"
	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// testLimit is how long a test or a verification may take: rings, resends and slow provider APIs included.
const testLimit = 2 * time.Minute

// providerLimit is how long a provider may take to list an account's numbers, page by page.
const providerLimit = time.Minute

// sipConfig is account.SIPConfig with its documentation.
type sipConfig struct {
	Server          *string   `json:"server,omitempty" nullable:"true" maxLength:"255" doc:"Host or address, optional port; RFC 3263 without one. Default: domain."`
	Domain          *string   `json:"domain,omitempty" nullable:"true" maxLength:"255" doc:"Host in From, To and Request-URI; the expected realm. Default: host of server."`
	Transport       *string   `json:"transport,omitempty" nullable:"true" enum:"udp,tcp,tls"`
	Register        *bool     `json:"register,omitempty" nullable:"true" doc:"Default: the provider's preset, else true when there is a username."`
	SourceAddresses *[]string `json:"source_addresses,omitempty" nullable:"true" maxItems:"64" doc:"Addresses, networks or host names its calls come from."`
	NumberFormat    *string   `json:"number_format,omitempty" nullable:"true" enum:"e164_plus,e164,national"`
	Country         *string   `json:"country,omitempty" nullable:"true" maxLength:"3" doc:"For number_format national: two letters of ISO 3166 or the country code."`
	CPSLimit        *float64  `json:"cps_limit,omitempty" nullable:"true" exclusiveMinimum:"0" maximum:"100000" doc:"Calls per second, may be a fraction."`
	CPSKey          *string   `json:"cps_key,omitempty" nullable:"true" maxLength:"255" doc:"Trunks with the same key share one limit."`
	MaxCalls        *int      `json:"max_calls,omitempty" nullable:"true" minimum:"1" maximum:"1000000"`
	TestNumber      *string   `json:"test_number,omitempty" nullable:"true" maxLength:"16" doc:"Own number for the armed dial-in and as caller ID, +E.164. Default: the first one seen at the provider."`
	TestDestination *string   `json:"test_destination,omitempty" nullable:"true" maxLength:"255" doc:"Where the outbound probe calls, +E.164 or SIP URI; it is cancelled on ringing. Default: test_number."`
}

// CarrierBody is what a test, a creation and a rotation have in common.
type CarrierBody struct {
	Credentials map[string]string `json:"credentials,omitempty" maxProperties:"16" writeOnly:"true" doc:"Of the provider: twilio apiKey, apiSecret, accountSid…; telnyx apiKey, connectionId; signalwire projectId, apiToken, spaceUrl; vonage apiKey, apiSecret; manual username, password, authRealm. Never shown again."`
	SIPConfig   *sipConfig        `json:"sip_config,omitempty"`
}

func (b CarrierBody) credentials() provider.Credentials {
	if b.Credentials == nil {
		return nil
	}
	c := provider.Credentials{}
	for name, value := range b.Credentials {
		c[name] = config.Secret(value)
	}
	return c
}

func (b CarrierBody) sipConfig() account.SIPConfig {
	if b.SIPConfig == nil {
		return account.SIPConfig{}
	}
	return account.SIPConfig(*b.SIPConfig)
}

// TestBody asks for a test (TP-12).
type TestBody struct {
	Provider    string  `json:"provider" enum:"twilio,telnyx,signalwire,vonage,manual"`
	SetupMethod *string `json:"setup_method,omitempty" nullable:"true" enum:"api_key,guided_telnyx,manual" doc:"guided_telnyx sets the account up first; otherwise nothing is changed there."`
	CarrierBody
}

// resultBody is how a test went (TP-14).
type resultBody struct {
	Status                 string     `json:"status" enum:"pass,fail"`
	VerificationEvidenceID *string    `json:"verification_evidence_id" nullable:"true" doc:"For the creation or rotation that follows: once, within 15 minutes. Null when the test failed."`
	SuggestedName          string     `json:"suggested_connection_name"`
	Checks                 checksBody `json:"checks"`
	Details                []stepBody `json:"details" nullable:"false" doc:"What was done, in the order it ended."`
	ExpiresAt              *stamp     `json:"evidence_expires_at" nullable:"true"`
}

// checksBody are the three answers (TP-15 to TP-17).
type checksBody struct {
	CredentialsValid   bool `json:"credentials_valid"`
	InboundReachable   bool `json:"inbound_reachable"`
	OutboundAuthorized bool `json:"outbound_authorized"`
}

// stepBody is one step of a test or a verification.
type stepBody struct {
	Check      string  `json:"check" doc:"The check it speaks to; empty: all of them."`
	Step       string  `json:"step"`
	Verdict    string  `json:"verdict" enum:"pass,fail,inconclusive,skipped"`
	Code       *string `json:"code" nullable:"true" doc:"Cause, from a closed set."`
	Message    string  `json:"message"`
	Hint       *string `json:"hint" nullable:"true" doc:"The same as fix."`
	Fix        *string `json:"fix" nullable:"true" doc:"What to do about it."`
	DurationMS int64   `json:"duration_ms"`
	At         stamp   `json:"at"`
	Ladder     *string `json:"ladder,omitempty" nullable:"true" doc:"The SIP messages of the step, credentials masked."`
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func stepOf(s account.Step) stepBody {
	return stepBody{Check: s.Check, Step: s.Name, Verdict: string(s.Verdict), Code: textOrNil(s.Code), Message: s.Message, Hint: textOrNil(s.Fix),
		Fix: textOrNil(s.Fix), DurationMS: s.Duration.Milliseconds(), At: stamp(s.At), Ladder: textOrNil(s.Ladder)}
}

func resultOf(r account.TestResult) resultBody {
	b := resultBody{Status: "fail", SuggestedName: r.SuggestedName, Checks: checksBody(r.Checks), Details: mapped(r.Steps, stepOf)}
	if r.Passed {
		b.Status, b.VerificationEvidenceID, b.ExpiresAt = "pass", textOrNil(r.EvidenceID), stampOrNil(&r.ExpiresAt)
	}
	return b
}

// connectionBody is a VoipConnection.
type connectionBody struct {
	ID              int64            `json:"id"`
	Name            string           `json:"name"`
	InferredName    bool             `json:"inferred_name" doc:"The name was suggested by us."`
	Provider        string           `json:"provider" enum:"twilio,telnyx,signalwire,vonage,manual"`
	SetupMethod     string           `json:"setup_method" enum:"api_key,guided_telnyx,manual"`
	Status          string           `json:"status" enum:"pending,testing,connected,error"`
	SIPConfig       sipConfig        `json:"sip_config" doc:"As it was given; it holds no secret."`
	NumbersImported int              `json:"numbers_imported"`
	LastTestedAt    *stamp           `json:"last_tested_at" nullable:"true"`
	SIPCredentialID string           `json:"sip_credential_id" doc:"Its trunk, in /api/v1/sip-credentials."`
	Trunk           string           `json:"trunk" doc:"Its trunk's name in calls, metrics and logs."`
	Registration    registrationBody `json:"registration"`
	CreatedAt       stamp            `json:"created_at"`
	UpdatedAt       stamp            `json:"updated_at"`
}

// registrationBody is what is known of a trunk's registration.
type registrationBody struct {
	State string  `json:"state" doc:"none: it does not register; unknown: nothing was heard yet."`
	Cause *string `json:"cause" nullable:"true" doc:"Of the last failure."`
	Since *stamp  `json:"since" nullable:"true"`
}

func registrationOf(r account.Registration) registrationBody {
	b := registrationBody{State: r.State, Cause: textOrNil(r.Cause), Since: stampOrNil(&r.Since)}
	if b.State == "" {
		b.State = "unknown"
	}
	return b
}

func connectionOf(c account.Connection) connectionBody {
	return connectionBody{ID: c.ID, Name: c.Name, InferredName: c.InferredName, Provider: string(c.Provider), SetupMethod: string(c.SetupMethod),
		Status: string(c.Status), SIPConfig: sipConfig(c.SIPConfig), NumbersImported: c.NumbersImported, LastTestedAt: stampOrNil(c.LastTestedAt),
		SIPCredentialID: c.SIPCredential, Trunk: c.Trunk, Registration: registrationOf(c.Registration), CreatedAt: stamp(c.CreatedAt), UpdatedAt: stamp(c.UpdatedAt)}
}

// newConnectionBody makes a connection of evidence (TP-24).
type newConnectionBody struct {
	Name       *string `json:"name,omitempty" nullable:"true" minLength:"1" maxLength:"255" doc:"Without it, the suggested one."`
	EvidenceID string  `json:"verification_evidence_id,omitempty" maxLength:"64" doc:"Of a test that passed with the same credentials and sip_config."`
	TestBody
}

// connectionChangeBody renames or rotates (TP-44).
type connectionChangeBody struct {
	Name       *string `json:"name,omitempty" nullable:"true" minLength:"1" maxLength:"255"`
	EvidenceID string  `json:"verification_evidence_id,omitempty" maxLength:"64" doc:"Of a test that passed with what the change results in; required with credentials and sip_config."`
	CarrierBody
}

type ConnectionID struct {
	ID int64 `path:"id" minimum:"1"`
}

type ConnectionInput struct {
	ConnectionID
	IfMatch string `header:"If-Match" doc:"ETag of the version that is to be changed."`
}

func (d *door) addConnections() {
	tags := []string{"VoIP connections"}
	stream(d, huma.Operation{OperationID: "test-voip-connection", Method: http.MethodPost, Path: "/v1/voip-connections/test", Tags: tags,
		Summary:     "Test credentials before anything is stored",
		Description: "With Accept: text/event-stream each step arrives as an event `step` as it ends, and the answer as the event `result`."},
		rules{paid: true, limit: testLimit},
		func(ctx context.Context, who account.Caller, in *struct{ Body TestBody }, report func(account.Step)) (resultBody, error) {
			result, err := d.accounts.Test(ctx, who, account.TestRequest{Provider: provider.Kind(in.Body.Provider), SetupMethod: setupOf(in.Body.SetupMethod),
				Credentials: in.Body.credentials(), SIPConfig: in.Body.sipConfig(), Report: report})
			return resultOf(result), err
		})
	register(d, huma.Operation{OperationID: "suggest-connection-name", Method: http.MethodPost, Path: "/v1/voip-connections/suggest-name", Tags: tags,
		Summary: "Suggest a name by what the provider calls the connection"}, rules{limit: providerLimit}, d.suggestName)
	register(d, huma.Operation{OperationID: "create-voip-connection", Method: http.MethodPost, Path: "/v1/voip-connections", Tags: tags,
		Summary: "Create a connection with the evidence of a test", DefaultStatus: http.StatusCreated}, rules{alter: true, paid: true},
		func(ctx context.Context, who account.Caller, in *struct{ Body newConnectionBody }) (*tagged[connectionBody], error) {
			n := account.NewConnection{Provider: provider.Kind(in.Body.Provider), SetupMethod: setupOf(in.Body.SetupMethod),
				Credentials: in.Body.credentials(), SIPConfig: in.Body.sipConfig(), EvidenceID: in.Body.EvidenceID}
			if in.Body.Name != nil {
				n.Name = *in.Body.Name
			}
			c, err := d.accounts.CreateConnection(ctx, who, n)
			return &tagged[connectionBody]{tag(c.Version), connectionOf(c)}, err
		})
	register(d, huma.Operation{OperationID: "list-voip-connections", Method: http.MethodGet, Path: "/v1/voip-connections", Tags: tags,
		Summary: "List connections, newest first"}, rules{},
		func(ctx context.Context, who account.Caller, in *struct{ Page }) (*answer[[]connectionBody], error) {
			all, err := d.accounts.Connections(ctx, who)
			all = pageOf(in.Page, all, func(c account.Connection) int64 { return c.ID })
			return &answer[[]connectionBody]{mapped(all, connectionOf)}, err
		})
	register(d, huma.Operation{OperationID: "get-voip-connection", Method: http.MethodGet, Path: "/v1/voip-connections/{id}", Tags: tags,
		Summary: "Show a connection"}, rules{},
		func(ctx context.Context, who account.Caller, in *ConnectionID) (*tagged[connectionBody], error) {
			c, err := d.accounts.Connection(ctx, who, in.ID)
			return &tagged[connectionBody]{tag(c.Version), connectionOf(c)}, err
		})
	register(d, huma.Operation{OperationID: "change-voip-connection", Method: http.MethodPatch, Path: "/v1/voip-connections/{id}", Tags: tags,
		Summary:     "Rename a connection, or rotate its credentials with fresh evidence",
		Description: "Credentials are merged over the stored ones. Calls and registrations in progress go on, and numbers stay."}, rules{alter: true}, d.changeConnection)
	register(d, huma.Operation{OperationID: "delete-voip-connection", Method: http.MethodDelete, Path: "/v1/voip-connections/{id}", Tags: tags,
		Summary: "Delete a connection", DefaultStatus: http.StatusNoContent}, rules{alter: true}, d.deleteConnection)
	register(d, huma.Operation{OperationID: "list-available-numbers", Method: http.MethodGet, Path: "/v1/voip-connections/{id}/available-numbers", Tags: tags,
		Summary: "List the numbers that the credentials can see and nobody has imported"}, rules{limit: providerLimit},
		func(ctx context.Context, who account.Caller, in *ConnectionID) (*answer[[]availableBody], error) {
			numbers, err := d.accounts.AvailableNumbers(ctx, who, in.ID)
			return &answer[[]availableBody]{mapped(numbers, func(n account.AvailableNumber) availableBody { return availableBody(n) })}, err
		})
	register(d, huma.Operation{OperationID: "import-numbers", Method: http.MethodPost, Path: "/v1/voip-connections/{id}/import-numbers", Tags: tags,
		Summary:       "Import numbers",
		Description:   "201 with the created numbers when all were imported, else 200 with what was imported and what was skipped, and why.",
		DefaultStatus: http.StatusCreated}, rules{alter: true, paid: true, bulk: true, limit: providerLimit}, d.importNumbers)
}

func setupOf(method *string) account.SetupMethod {
	if method == nil {
		return ""
	}
	return account.SetupMethod(*method)
}

type suggestionBody struct {
	SuggestedName string `json:"suggested_connection_name"`
}

func (d *door) suggestName(ctx context.Context, who account.Caller, in *struct{ Body TestBody }) (*answer[suggestionBody], error) {
	name, err := d.accounts.SuggestName(ctx, who, provider.Kind(in.Body.Provider), in.Body.credentials(), in.Body.sipConfig())
	return &answer[suggestionBody]{suggestionBody{name}}, err
}

func (d *door) changeConnection(ctx context.Context, who account.Caller, in *struct {
	ConnectionInput
	Body connectionChangeBody
}) (*tagged[connectionBody], error) {
	version, err := versionOf(in.IfMatch)
	if err != nil {
		return nil, err
	}
	change := account.ConnectionChange{Name: in.Body.Name, Credentials: in.Body.credentials(), EvidenceID: in.Body.EvidenceID, IfVersion: version}
	if in.Body.SIPConfig != nil {
		change.SIPConfig = new(in.Body.sipConfig())
	}
	c, err := d.accounts.UpdateConnection(ctx, who, in.ID, change)
	return &tagged[connectionBody]{tag(c.Version), connectionOf(c)}, err
}

func (d *door) deleteConnection(ctx context.Context, who account.Caller, in *struct {
	ConnectionInput
	Force bool `query:"force" doc:"Also with numbers attached: they are detached and marked failed."`
}) (*nothing, error) {
	if in.IfMatch != "" {
		c, err := d.accounts.Connection(ctx, who, in.ID)
		if err == nil {
			err = checkVersion(in.IfMatch, c.Version)
		}
		if err != nil {
			return nil, err
		}
	}
	return &nothing{}, d.accounts.DeleteConnection(ctx, who, in.ID, in.Force)
}

// availableBody is a number that may be imported.
type availableBody struct {
	Number string `json:"number" doc:"+E.164"`
	Label  string `json:"label" doc:"What the provider calls it."`
}

// importBody is what came of an import of which some numbers were skipped.
type importBody struct {
	Imported []NumberBody  `json:"imported" nullable:"false"`
	Skipped  []skippedBody `json:"skipped" nullable:"false"`
}

type skippedBody struct {
	Number string `json:"number"`
	Reason string `json:"reason" enum:"malformed,duplicate,already_imported,not_available"`
}

// importRequest says what to import.
type importRequest struct {
	Numbers []string `json:"numbers" nullable:"false" minItems:"1" maxItems:"10000" doc:"+E.164"`
}

type importAnswer struct {
	Status int
	Body   any
}

func (d *door) importNumbers(ctx context.Context, who account.Caller, in *struct {
	ConnectionID
	Body importRequest
}) (*importAnswer, error) {
	done, err := d.accounts.ImportNumbers(ctx, who, in.ID, in.Body.Numbers)
	if err != nil {
		return nil, err
	}
	imported := mapped(done.Imported, numberOf)
	if len(done.Skipped) == 0 {
		return &importAnswer{http.StatusCreated, imported}, nil
	}
	return &importAnswer{http.StatusOK, importBody{imported, mapped(done.Skipped, func(s account.Skipped) skippedBody {
		return skippedBody{shortened(s.Number), string(s.Reason)}
	})}}, nil
}

// shortened bounds what of a client's text is sent back: a number has at most 16 characters.
func shortened(text string) string {
	const most = 32
	if len(text) > most {
		return strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
