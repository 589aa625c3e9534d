package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// Accounts is what the API asks of the domain. Every method looks at the caller's organization only and checks the caller's
// role; its errors are the typed ones of package account. Its methods are called concurrently.
type Accounts interface {
	Authenticate(ctx context.Context, raw config.Secret, address string) (account.Caller, error)
	Keys(ctx context.Context, who account.Caller) ([]account.APIKey, error)
	CreateKey(ctx context.Context, who account.Caller, name string) (account.APIKey, config.Secret, error)
	RevokeKey(ctx context.Context, who account.Caller, id string) error

	Test(ctx context.Context, who account.Caller, r account.TestRequest) (account.TestResult, error)
	SuggestName(ctx context.Context, who account.Caller, kind provider.Kind, c provider.Credentials, s account.SIPConfig) (string, error)
	CreateConnection(ctx context.Context, who account.Caller, n account.NewConnection) (account.Connection, error)
	Connections(ctx context.Context, who account.Caller) ([]account.Connection, error)
	Connection(ctx context.Context, who account.Caller, id int64) (account.Connection, error)
	UpdateConnection(ctx context.Context, who account.Caller, id int64, c account.ConnectionChange) (account.Connection, error)
	DeleteConnection(ctx context.Context, who account.Caller, id int64, force bool) error
	AvailableNumbers(ctx context.Context, who account.Caller, id int64) ([]account.AvailableNumber, error)
	ImportNumbers(ctx context.Context, who account.Caller, id int64, numbers []string) (account.Import, error)

	Numbers(ctx context.Context, who account.Caller, f account.NumberFilter) ([]account.Number, error)
	Number(ctx context.Context, who account.Caller, id int64) (account.Number, error)
	UpdateNumber(ctx context.Context, who account.Caller, id int64, c account.NumberChange) (account.Number, error)
	VerifyNumber(ctx context.Context, who account.Caller, id int64, report func(account.Step)) (account.Verification, error)
	VerifyNumbers(ctx context.Context, who account.Caller, v account.VerifyNumbers) (account.Operation, error)
	TransferNumber(ctx context.Context, who account.Caller, id int64, t account.Transfer) (account.Number, error)
	ReleaseNumber(ctx context.Context, who account.Caller, id int64) error

	SIPCredentials(ctx context.Context, who account.Caller, skip, take int) ([]account.SIPCredential, int, error)
	SIPCredential(ctx context.Context, who account.Caller, id string) (account.SIPCredential, error)
	CreateSIPCredential(ctx context.Context, who account.Caller, s account.SIPCredentialSettings) (account.SIPCredential, error)
	ReplaceSIPCredential(ctx context.Context, who account.Caller, id string, s account.SIPCredentialSettings, ifVersion int64) (account.SIPCredential, error)
	DeleteSIPCredential(ctx context.Context, who account.Caller, id string, force bool) error
	AffectedAgents(ctx context.Context, who account.Caller, id string) ([]account.Agent, error)

	Agents(ctx context.Context, who account.Caller) ([]account.Agent, error)
	Agent(ctx context.Context, who account.Caller, id int64) (account.Agent, error)
	CreateAgent(ctx context.Context, who account.Caller, s account.AgentSettings) (account.Agent, error)
	UpdateAgent(ctx context.Context, who account.Caller, id int64, c account.AgentChange) (account.Agent, error)
	DeleteAgent(ctx context.Context, who account.Caller, id int64, force bool) error

	Events(ctx context.Context, who account.Caller, f account.EventFilter) ([]account.Event, error)
	EventsChanged() <-chan struct{}
	Audit(ctx context.Context, who account.Caller, f account.AuditFilter) ([]account.AuditEntry, error)
	Operations(ctx context.Context, who account.Caller) ([]account.Operation, error)
	Operation(ctx context.Context, who account.Caller, id string) (account.Operation, error)
	CancelOperation(ctx context.Context, who account.Caller, id string) error

	Begin(ctx context.Context, who account.Caller, key string, digest [32]byte) (*account.Replay, error)
	Finish(ctx context.Context, who account.Caller, key string, status int, body []byte) error
	Forget(ctx context.Context, who account.Caller, key string) error
}

// unavailableRetry is what a client waits before it asks a database in trouble again.
const unavailableRetry = 5 * time.Second

// fault tells a client of an error of the domain; what nobody foresaw is logged and told as a bug.
func (d *door) fault(r *http.Request, err error) *fault {
	return d.faultIn(r.Context(), r.Pattern, err)
}

func (d *door) faultIn(ctx context.Context, route string, err error) *fault {
	if f, ok := faultFrom(err); ok {
		if f.Status >= http.StatusInternalServerError {
			d.log.Warn("a request could not be done", "request", callerOf(ctx).Request, "route", route, "error", err)
		}
		return f
	}
	d.log.Error("a request failed", "request", callerOf(ctx).Request, "route", route, "error", err)
	return internal()
}

// faultFrom translates the errors that are foreseen.
func faultFrom(err error) (*fault, bool) {
	if f, ok := errors.AsType[*fault](err); ok {
		return f, true
	}
	if e, ok := errors.AsType[*account.NotFound](err); ok {
		return &fault{Status: http.StatusNotFound, Code: "not_found", Detail: e.Error()}, true
	}
	if e, ok := errors.AsType[*account.Invalid](err); ok {
		return faultOfProblems(e.Problems), true
	}
	if e, ok := errors.AsType[*account.Conflict](err); ok {
		return &fault{Status: http.StatusConflict, Code: "conflict", Detail: e.Error()}, true
	}
	if e, ok := errors.AsType[*account.Changed](err); ok {
		return &fault{Status: http.StatusPreconditionFailed, Code: "changed", Detail: e.Error()}, true
	}
	if e, ok := errors.AsType[*account.Unauthorized](err); ok {
		return &fault{Status: http.StatusUnauthorized, Code: "unauthorized", Detail: e.Error()}, true
	}
	if e, ok := errors.AsType[*account.Forbidden](err); ok {
		return &fault{Status: http.StatusForbidden, Code: "forbidden", Detail: e.Error()}, true
	}
	if e, ok := errors.AsType[*account.Busy](err); ok {
		return &fault{Status: http.StatusTooManyRequests, Code: "busy", Detail: e.Error(), Retry: max(e.RetryAfter, time.Second)}, true
	}
	if e, ok := errors.AsType[*account.ProviderFailed](err); ok {
		return &fault{Status: http.StatusBadGateway, Code: "provider_failed", Detail: e.Error(), Retry: e.RetryAfter}, true
	}
	if e, ok := errors.AsType[*account.Unavailable](err); ok {
		return &fault{Status: http.StatusServiceUnavailable, Code: "store_" + e.Cause, Detail: e.Error(), Retry: unavailableRetry}, true
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &fault{Status: http.StatusGatewayTimeout, Code: "timeout", Detail: "it took too long and was given up; nothing half-made was left"}, true
	case errors.Is(err, context.Canceled):
		return &fault{Status: http.StatusServiceUnavailable, Code: "cancelled", Detail: "the request ended before it was done"}, true
	}
	return nil, false
}

// faultOfProblems is a bad request: each problem at its field, what belongs to none as the detail.
func faultOfProblems(problems []account.Problem) *fault {
	f := &fault{Status: http.StatusBadRequest, Code: "invalid"}
	var whole []string
	for _, p := range problems {
		message := p.Message
		if p.Fix != "" {
			message += "; " + p.Fix
		}
		if p.Field == "" {
			whole = append(whole, message)
			continue
		}
		f.Fields = append(f.Fields, fieldFault{p.Field, message})
	}
	f.Detail = strings.Join(whole, "; ")
	return f
}

// tag is the ETag of a version.
func tag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// versionOf reads If-Match: 0 for none and for "*".
func versionOf(ifMatch string) (int64, error) {
	ifMatch = strings.TrimSpace(ifMatch)
	if ifMatch == "" || ifMatch == "*" {
		return 0, nil
	}
	text, ok := strings.CutPrefix(ifMatch, `"`)
	text, closed := strings.CutSuffix(text, `"`)
	version, err := strconv.ParseInt(text, 10, 64)
	if !ok || !closed || err != nil || version < 1 {
		return 0, &fault{Status: http.StatusPreconditionFailed, Code: "changed", Detail: "If-Match is not the ETag of this object's present version: read it again and send the ETag that comes with it"}
	}
	return version, nil
}

// checkVersion compares If-Match with the version that is there.
func checkVersion(ifMatch string, version int64) error {
	wanted, err := versionOf(ifMatch)
	if err == nil && wanted != 0 && wanted != version {
		err = &fault{Status: http.StatusPreconditionFailed, Code: "changed", Detail: fmt.Sprintf("If-Match names version %d, and it is version %d now: read it again", wanted, version)}
	}
	return err
}
