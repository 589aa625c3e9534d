package probe

import (
	"errors"
	"fmt"

	"trunkline/sip/digest"
)

// Cause says why a step did not pass, from a closed set.
type Cause string

// The causes.
const (
	NoAddress          Cause = "no_address"          // the server's name has no address
	NoResponse         Cause = "no_response"         // silence
	Unreachable        Cause = "unreachable"         // ICMP, connection refused, TLS
	WrongPassword      Cause = "wrong_password"      // the answer to the challenge was refused
	MissingCredentials Cause = "missing_credentials" // challenged, and there is nothing to answer with
	WrongRealm         Cause = "wrong_realm"         // challenged for a realm other than the configured one
	UnsupportedDigest  Cause = "unsupported_digest"  // no algorithm in common
	Forbidden          Cause = "forbidden"           // 403
	UnknownUser        Cause = "unknown_user"        // 404 to REGISTER
	NumberNotFound     Cause = "number_not_found"    // 404, 484, 604 to INVITE
	RateLimited        Cause = "rate_limited"        // 503 or 429
	ServerError        Cause = "server_error"        // other 5xx
	Refused            Cause = "refused"             // any other refusal
	NotChallenged      Cause = "not_challenged"      // taken without asking for the credentials there are
	Interrupted        Cause = "interrupted"         // the test was stopped
)

// fixes says what to do about each cause.
var fixes = map[Cause]string{
	NoAddress:          "check the spelling of the server; an address can be given in its place",
	NoResponse:         "check server, port and transport, and that a firewall lets this host's address through; some carriers are silent to addresses that are not on their list",
	Unreachable:        "check port and transport: nothing listens there, or TLS was refused",
	WrongPassword:      "check user name and password; some carriers want the authentication user, not the number",
	MissingCredentials: "the carrier wants digest authentication: give --auth-user and --auth-password-file",
	WrongRealm:         "the carrier asks for another realm than the configured one: correct or empty realm",
	UnsupportedDigest:  "ask the carrier for MD5, SHA-256 or SHA-512-256 with qop auth",
	Forbidden:          "the carrier knows us but does not allow this: check its list of addresses, the account's state, and caller ID and destination rules",
	UnknownUser:        "the registrar does not know this user at this domain: check auth_user and domain",
	NumberNotFound:     "the carrier cannot route the number: check its form (E.164 with plus?) and the destination",
	RateLimited:        "the carrier is busy or limits the rate: try later, and lower cps_limit",
	ServerError:        "the carrier has a problem of its own: try later, then ask its support with the Call-ID",
	Refused:            "ask the carrier's support with the Call-ID and status",
	NotChallenged:      "the carrier takes this host by its address: leave the credentials out, or test from another address to prove them",
	Interrupted:        "run the test again",
}

// challengeCause says why a challenge was not answered.
func challengeCause(err error) Cause {
	switch {
	case errors.Is(err, digest.ErrNoCredentials):
		return MissingCredentials
	case errors.Is(err, digest.ErrRealm):
		return WrongRealm
	case errors.Is(err, digest.ErrUnsupported), errors.Is(err, digest.ErrNoChallenge):
		return UnsupportedDigest
	}
	return WrongPassword
}

// statusCause says what a refusal means for a method.
func statusCause(method string, code int) Cause {
	switch {
	case code == 401 || code == 407:
		return WrongPassword
	case code == 403:
		return Forbidden
	case code == 404 && method == "REGISTER":
		return UnknownUser
	case code == 404 || code == 484 || code == 604:
		return NumberNotFound
	case code == 503 || code == 429:
		return RateLimited
	case code >= 500 && code < 600:
		return ServerError
	}
	return Refused
}

// failed returns a step's cause, its words and its fix.
func (s *Step) failed(v Verdict, c Cause, format string, args ...any) {
	s.Verdict, s.Code, s.Message, s.Fix = v, c, fmt.Sprintf(format, args...), fixes[c]
}
