package media

// Error says why a session description or a bridge was refused. It is the only error type of [Bridge.Offer] and
// [Bridge.Answer]. An error on an offer changes nothing: the media flows as before.
type Error struct {
	Status int    // SIP status for the peer: 400, 488, 500 or 503
	Reason string // reason phrase for the peer; says nothing about our inside
	Cause  string // for us: one of a closed set, fit as a metric label
}

// Error shows status, phrase and cause.
func (e *Error) Error() string { return "media: " + e.Reason + " (" + e.Cause + ")" }

// The refusals, shared: they carry no details of the input, so no message can make us allocate.
var (
	errSyntax       = &Error{400, "Bad Session Description", "sdp_syntax"}
	errNoConnection = &Error{400, "Bad Session Description", "sdp_no_connection"}
	errNoAnswer     = &Error{488, "Not Acceptable Here", "sdp_answer_mismatch"}
	errTooMany      = &Error{488, "Not Acceptable Here", "sdp_too_many_streams"}
	errAddress      = &Error{488, "Not Acceptable Here", "sdp_address"}
	errNothingUsed  = &Error{488, "Not Acceptable Here", "sdp_no_usable_media"}
	errNoCodec      = &Error{488, "Not Acceptable Here", "sdp_no_codec"}
	errNoSRTP       = &Error{488, "Not Acceptable Here", "srtp_mismatch"}
	errNotSecured   = &Error{488, "Not Acceptable Here", "srtp_required"}
	errNoOffer      = &Error{500, "Server Internal Error", "answer_without_offer"}
	errClosed       = &Error{500, "Server Internal Error", "bridge_closed"}
	errNoDigits     = &Error{488, "Digits Cannot Be Played Now", "dtmf_not_taken"}
	errNoSuchDigit  = &Error{488, "Digit Not Known To The Other Party", "dtmf_event"}
	errManyDigits   = &Error{500, "Too Many Digits", "dtmf_queue"}
	errNoLocal      = &Error{500, "Server Internal Error", "no_local_address"}
	errExhausted    = &Error{503, "Service Unavailable", "ports_exhausted"}
	errNoSockets    = &Error{503, "Service Unavailable", "sockets_exhausted"}
)
