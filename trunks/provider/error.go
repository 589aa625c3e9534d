package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Class is what kind of failure an Error is, from a closed set.
type Class string

const (
	Unauthorized Class = "unauthorized" // the credentials are wrong
	Forbidden    Class = "forbidden"    // they are right and may not do this
	NotFound     Class = "not_found"    // an id is wrong
	Rejected     Class = "rejected"     // the request was refused for another reason
	RateLimited  Class = "rate_limited"
	Unavailable  Class = "unavailable" // 5xx, or no connection
	TimedOut     Class = "timeout"
	Malformed    Class = "malformed" // the answer is not what the API documents
	TooLarge     Class = "too_large"
	Incomplete   Class = "incomplete" // a credential is missing that the API itself could not tell
)

// Error is a request to a provider that did not come to an answer. No field of it carries a secret.
type Error struct {
	Provider   Kind
	Doing      string // as "list numbers"
	Class      Class
	Status     int           // of HTTP; 0: no answer
	Code       string        // the provider's own; may be empty
	Message    string        // in the provider's words, shortened; may be empty
	RetryAfter time.Duration // 0: not told
	Err        error         // underneath; may be nil
}

// Error is one sentence: "Telnyx: list numbers: unauthorized (401, code 10009: Authentication failed)".
func (e *Error) Error() string {
	var told []string
	if e.Status != 0 {
		told = append(told, strconv.Itoa(e.Status))
	}
	if e.Code != "" {
		told = append(told, "code "+e.Code)
	}
	text := fmt.Sprintf("%s: %s: %s", e.Provider.Label(), e.Doing, strings.ReplaceAll(string(e.Class), "_", " "))
	detail := e.Message
	if detail == "" && e.Err != nil {
		detail = e.Err.Error()
	}
	switch {
	case len(told) > 0 && detail != "":
		text += " (" + strings.Join(told, ", ") + ": " + detail + ")"
	case len(told) > 0:
		text += " (" + strings.Join(told, ", ") + ")"
	case detail != "":
		text += " (" + detail + ")"
	}
	return text
}

// Unwrap returns what was found underneath.
func (e *Error) Unwrap() error { return e.Err }

// Fix says what the customer does about it.
func (e *Error) Fix() string {
	switch e.Class {
	case Unauthorized:
		return map[Kind]string{
			Twilio:     "Copy the API key SID and its secret, or the Account SID and auth token, from the Twilio console once more; a suspended account is refused alike.",
			Telnyx:     "Make an API v2 key in the Telnyx portal (Account, Keys) and copy it whole; revoked keys are refused.",
			SignalWire: "Copy project id and API token from the API page of that very space; a token of another space is refused.",
			Vonage:     "Copy API key and secret from the Vonage dashboard (API settings).",
		}[e.Provider]
	case Forbidden:
		return map[Kind]string{
			Twilio:     "Give the restricted API key read access to phone numbers and Elastic SIP Trunking, or use a standard key.",
			Telnyx:     "Let the API key read connections and numbers, and check in the portal that the account is active and verified.",
			SignalWire: "Give the API token the scope Numbers.",
			Vonage:     "Let this API key use the Numbers API.",
		}[e.Provider]
	case NotFound:
		return map[Kind]string{
			Twilio:     "Check accountSid and trunkSid: they belong to another account or are gone.",
			Telnyx:     "Check connectionId: it is the number in the address of the connection's page in the portal.",
			SignalWire: "Check projectId and spaceUrl.",
			Vonage:     "Check that the number still belongs to this account.",
		}[e.Provider]
	case RateLimited:
		return "Too many requests reach the provider for this account; try again later."
	case Unavailable, TimedOut:
		return "The provider's API does not answer as it should; look at its status page and try again."
	case Malformed, TooLarge:
		return "Something between us and the provider answers in its place, a proxy perhaps; check the endpoint configured for it."
	case Incomplete:
		return map[Kind]string{
			Telnyx: "Add sipUsername and sipPassword of the connection, or leave connectionId out so that one is made.",
			Twilio: "Add accountSid: an API key does not say which account it belongs to, and this one sees no trunk that would tell.",
		}[e.Provider]
	}
	return "The provider's words say what it does not like; correct that and try again."
}

// FindingOf turns an error of this package's methods into a finding: what the customer can mend is a fail, what may pass by
// itself is inconclusive. A nil error is a pass.
func FindingOf(err error) Finding {
	if err == nil {
		return passed("")
	}
	known, ok := errors.AsType[*Error](err)
	if !ok {
		return unclear("provider_error", "the provider could not be asked", "Try again.")
	}
	f := Finding{Verdict: Inconclusive, Code: "api_" + string(known.Class), Message: known.Error(), Fix: known.Fix()}
	switch known.Class {
	case Unauthorized, Forbidden, NotFound, Incomplete:
		f.Verdict = Fail
	}
	return f
}

// classOf tells what an HTTP status and the provider's own code mean. Codes come first: they are finer.
func classOf(status int, code string) Class {
	switch code {
	case "10009", "20002", "20006", "20008", "20003": // Telnyx, and Twilio's and SignalWire's 20003
		if status == 403 && code == "20003" { // Telnyx: key forbidden
			return Forbidden
		}
		return Unauthorized
	case "10010", "20012", "20013", "20014", "20016", "20017", "10038", "10039", "70051":
		return Forbidden
	case "10011", "20429":
		return RateLimited
	case "10005", "20404":
		return NotFound
	}
	switch {
	case status == 401:
		return Unauthorized
	case status == 403:
		return Forbidden
	case status == 404:
		return NotFound
	case status == 429:
		return RateLimited
	case status >= 500:
		return Unavailable
	case status >= 300 && status < 400:
		return Malformed // a redirect: credentials do not follow it
	}
	return Rejected
}

// failureClass tells what an exchange without an answer means.
func failureClass(err error) Class {
	if timeout, ok := errors.AsType[net.Error](err); errors.Is(err, context.DeadlineExceeded) || ok && timeout.Timeout() {
		return TimedOut
	}
	return Unavailable
}
