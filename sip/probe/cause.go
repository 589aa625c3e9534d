package probe

import (
	"errors"
	"fmt"

	"trunkline/sip/digest"
)

// Cause says why a step did not pass, from a closed set.
type Cause string

// The causes. Those that carriers' tables name are among them.
const (
	NoAddress     Cause = "no_address"     // the server's name has no address
	PrivateTarget Cause = "private_target" // the server is on a network that must not be tested from here
	NoListener    Cause = "no_listener"    // none of our sockets suits the server's transport and address family

	NoResponse       Cause = "no_response"       // silence
	PortClosed       Cause = "port_closed"       // ICMP, or the connection was refused
	ConnectionFailed Cause = "connection_failed" // any other failure to reach the server
	WrongTransport   Cause = "wrong_transport"   // it answers at the same port over another transport
	WrongPort        Cause = "wrong_port"        // it answers at the transport's usual port
	TLSName          Cause = "tls_name_mismatch" // the certificate is for other names
	TLSUntrusted     Cause = "tls_untrusted"     // nobody we trust has signed it
	TLSExpired       Cause = "tls_expired"       // it is not valid now
	TLSVersion       Cause = "tls_version"       // no version in common
	TLSFailed        Cause = "tls_failed"        // any other failure of the handshake
	TLSExpires       Cause = "tls_expires_soon"  // it is valid, but not much longer

	WrongPassword      Cause = "wrong_password"      // the answer to the challenge was refused
	UnknownUser        Cause = "unknown_user"        // the carrier has no such user
	MissingCredentials Cause = "missing_credentials" // challenged, and there is nothing to answer with
	WrongRealm         Cause = "wrong_realm"         // challenged for a realm other than the configured one
	NonceLoop          Cause = "nonce_loop"          // every nonce is called stale
	UnsupportedDigest  Cause = "unsupported_digest"  // no algorithm in common
	NotChallenged      Cause = "not_challenged"      // taken without asking for the credentials there are
	IPNotAllowed       Cause = "ip_not_allowed"      // our address is not on the carrier's list

	CallerIDRefused       Cause = "caller_id_refused"
	DestinationNotAllowed Cause = "destination_not_allowed" // geographic or other blocks
	NumberNotFound        Cause = "number_not_found"        // 404, 484, 604 to INVITE
	NoRoute               Cause = "no_route"
	CPSExceeded           Cause = "cps_exceeded"
	ChannelLimit          Cause = "channel_limit"
	NoCredit              Cause = "no_credit"
	AccountDisabled       Cause = "account_disabled"
	SecureRequired        Cause = "secure_required" // TLS or SRTP
	MediaRefused          Cause = "media_refused"   // 415, 488, 606
	ContactRequired       Cause = "contact_required"
	Forbidden             Cause = "forbidden"    // 403 for a reason that is not told
	Unavailable           Cause = "unavailable"  // 503
	ServerError           Cause = "server_error" // other 5xx
	Refused               Cause = "refused"      // any other refusal

	NotRegistered   Cause = "not_registered"   // the registrar has no binding of ours
	DidNotArrive    Cause = "did_not_arrive"   // the dial-in was taken up, and never came
	RoutedElsewhere Cause = "routed_elsewhere" // somebody else answers or is busy at the number
	WrongTrunk      Cause = "wrong_trunk"      // it came by another trunk
	UnlistedSource  Cause = "unlisted_source"  // it came from an address the trunk does not list
	CallerChanged   Cause = "caller_changed"   // a call came whose caller is not the one dialled with

	InUse         Cause = "in_use"         // another test call for the number did not end in time
	Throttled     Cause = "throttled"      // our own limit of calls per second left no room in time
	NotRun        Cause = "not_run"        // nothing was asked for that would tell, or a step before failed
	NotApplicable Cause = "not_applicable" // there is nothing to be proven
	Interrupted   Cause = "interrupted"    // the test was stopped
)

// fixes says what to do about each cause, where the carrier's tables do not say better.
var fixes = map[Cause]string{
	NoAddress:     "check the spelling of the server and its SRV and A records; an address can be given in its place",
	PrivateTarget: "use a public address, or allow private ones with probe.allow_private_targets",
	NoListener:    "listen on this transport and address family: sip.listen",

	NoResponse:       "check server, port and transport, and that no firewall on either side drops packets of this host; some carriers are silent to addresses that are not on their list",
	PortClosed:       "check port and transport: nothing listens there",
	ConnectionFailed: "check server and port, and that a firewall lets this host through",
	WrongTransport:   "set transport to the one that answers",
	WrongPort:        "set the port that answers",
	TLSName:          "set domain or tls.server_name to a name the certificate is for",
	TLSUntrusted:     "set tls.ca to the authority's certificate, or ask the carrier for its whole chain",
	TLSExpired:       "the carrier must renew its certificate; check this host's clock too",
	TLSVersion:       "the carrier must offer TLS 1.2 or newer",
	TLSFailed:        "check that the port takes TLS, and whether the carrier asks for a client certificate (tls.certificate)",
	TLSExpires:       "ask the carrier to renew its certificate",

	WrongPassword:      "check user name and password; some carriers want the authentication user, not the number",
	UnknownUser:        "check auth_user and domain: the carrier has no such user there",
	MissingCredentials: "the carrier wants digest authentication: set auth_user and auth_password",
	WrongRealm:         "correct realm, or leave it empty to answer for any",
	NonceLoop:          "the carrier calls each nonce stale at once: ask its support whether its servers share nonces, and name one server instead of several",
	UnsupportedDigest:  "ask the carrier for MD5, SHA-256 or SHA-512-256 with qop auth",
	NotChallenged:      "the carrier takes this host by its address: leave the credentials out, or test from another address to prove them",
	IPNotAllowed:       "have this host's address added to the carrier's list",

	CallerIDRefused:       "show a number that belongs to this account, in the form the carrier wants (number_format)",
	DestinationNotAllowed: "have the country or prefix enabled at the carrier",
	NumberNotFound:        "check the called number's form (number_format: with plus, digits, national) and that it exists",
	NoRoute:               "check the called number, or send this destination by another carrier",
	CPSExceeded:           "set cps_limit to what was agreed with the carrier, and give trunks that share it one cps_key",
	ChannelLimit:          "set max_calls below the carrier's limit, or have it raised",
	NoCredit:              "top the account up",
	AccountDisabled:       "have the account or trunk enabled at the carrier",
	SecureRequired:        "use TLS and SRTP, or have encryption made optional at the carrier",
	MediaRefused:          "offer a codec the carrier takes: PCMU and PCMA nearly everywhere",
	ContactRequired:       "the registrar does not answer questions: prove the credentials by binding (--bind)",
	Forbidden:             "the carrier does not say why: check the password where it refuses behind its challenge, its list of addresses, the account's state, and caller ID and destination rules",
	Unavailable:           "try later; if it stays so, ask the carrier's support with the Call-ID",
	ServerError:           "the carrier has a problem of its own: try later, then ask its support with the Call-ID",
	Refused:               "ask the carrier's support with the Call-ID and status",

	NotRegistered:   "set register: true on this trunk, and look at its registration's cause",
	DidNotArrive:    "point the number at this host at the carrier: trunk assignment, origination URI or registered user; then check the firewall for the carrier's addresses",
	RoutedElsewhere: "point the number at this trunk at the carrier: it is assigned to somebody or something else now",
	WrongTrunk:      "assign the number to this trunk at the carrier, or to the other trunk here",
	UnlistedSource:  "add the address to source_addresses of the trunk",
	CallerChanged:   "have the carrier pass the caller on, or test when nobody else calls the number",

	InUse:         "wait for the other test of this number to end",
	Throttled:     "test when fewer calls go out, or raise cps_limit if the carrier allows it",
	NotRun:        "see the step before it",
	NotApplicable: "nothing is to be done",
	Interrupted:   "run the test again",
}

// finding is what a step came to.
type finding struct {
	verdict Verdict
	code    Cause
	message string
	fix     string // empty: that of code
}

func passes(format string, args ...any) finding {
	return finding{verdict: Pass, message: fmt.Sprintf(format, args...)}
}

func fails(c Cause, format string, args ...any) finding {
	return finding{verdict: Fail, code: c, message: fmt.Sprintf(format, args...)}
}

func leavesOpen(c Cause, format string, args ...any) finding {
	return finding{verdict: Inconclusive, code: c, message: fmt.Sprintf(format, args...)}
}

// into writes f into a step.
func (f finding) into(s *Step) {
	s.Verdict, s.Code, s.Message, s.Fix = f.verdict, f.code, f.message, f.fix
	if s.Fix == "" {
		s.Fix = fixes[f.code]
	}
}

// unreachable reports causes that lie before any SIP: what follows would meet them again.
func (c Cause) unreachable() bool {
	switch c {
	case NoAddress, PrivateTarget, NoListener, NoResponse, PortClosed, ConnectionFailed, WrongTransport, WrongPort,
		TLSName, TLSUntrusted, TLSExpired, TLSVersion, TLSFailed:
		return true
	}
	return false
}

// locks reports causes that forbid another try with the same credentials: it may lock the account.
func (c Cause) locks() bool { return c == WrongPassword || c == UnknownUser }

// challengeCause says why a challenge was not answered.
func challengeCause(err error) Cause {
	switch {
	case errors.Is(err, digest.ErrNoCredentials):
		return MissingCredentials
	case errors.Is(err, digest.ErrRealm):
		return WrongRealm
	case errors.Is(err, digest.ErrLoop):
		return NonceLoop
	case errors.Is(err, digest.ErrUnsupported), errors.Is(err, digest.ErrNoChallenge):
		return UnsupportedDigest
	}
	return WrongPassword
}
