package call

// forCaller maps a final response of the callee to what the caller may see (INV-13, RFC 7092 §3.1):
// what speaks of the call crosses, what speaks of one hop, of its credentials or of its syntax does not.
// Own rows of the policy win. Codes that stand nowhere cross as they are (RFC 3261 §8.1.3.2).
func (c *Call) forCaller(code uint16) uint16 {
	for _, r := range c.opts.Codes {
		if r.From == code && r.To >= 400 && r.To <= 699 {
			return r.To
		}
	}
	switch {
	case code < 400:
		if c.opts.Redirect == RedirectRelay && code >= 300 {
			return code
		}
		return 480
	case code > 699:
		return 502
	}
	for _, r := range codeTable {
		if r.From == code {
			return r.To
		}
	}
	return code
}

// codeTable holds the rows that differ from the identity.
var codeTable = [...]CodeRule{
	{401, 502}, // our credentials, not the caller's: a challenge would draw the caller's digest
	{407, 502},
	{405, 502}, // a peer that does not take INVITE
	{406, 488},
	{411, 502},
	{412, 502},
	{414, 502}, // the Request-URI is ours
	{415, 488},
	{416, 502},
	{417, 502},
	{420, 502}, // Require, Proxy-Require, Session-Expires and Security are negotiated per leg
	{421, 502},
	{422, 502},
	{423, 502},
	{439, 502},
	{440, 483},
	{469, 502},
	{470, 403},
	{481, 480}, // there was no dialog to be lost
	{487, 480}, // the caller did not cancel
	{489, 502},
	{491, 480},
	{493, 488},
	{494, 502},
	{501, 502},
	{505, 502},
	{555, 502},
	{580, 488},
}

// OutcomeOf classifies a call or a try by the final response of the callee.
func OutcomeOf(code uint16) Outcome {
	switch code {
	case 401, 407:
		return CarrierError
	case 408, 504:
		return TimedOut
	case 480, 487:
		return NoAnswer
	case 486, 600:
		return Busy
	}
	switch code / 100 {
	case 2:
		return Answered
	case 3:
		return Redirected
	case 4, 6:
		return Rejected
	}
	return CarrierError
}

// OutcomeOfCause classifies a call or a try that no response of the callee ended.
func OutcomeOfCause(why Cause) Outcome {
	switch why {
	case CauseNoResponse:
		return TimedOut
	case CauseUnregistered, CauseGone:
		return NoAnswer
	case CauseTransport, CauseUnresolved:
		return CarrierError
	case CauseThrottled, CauseLimit:
		return Throttled
	case CauseAPI:
		return Cancelled
	}
	return LocalError
}

// failure returns code if it can end an INVITE without a session, else what the cause suggests.
func failure(code uint16, why Cause) uint16 {
	if code >= 300 && code <= 699 {
		return code
	}
	return statusOf(why)
}

// statusOf is the final response for a caller whose call the edge ends.
func statusOf(why Cause) uint16 {
	switch why {
	case CauseNoResponse:
		return 408
	case CauseTransport, CauseUnresolved, CauseDrain, CauseLimit, CauseThrottled, CauseOverload:
		return 503
	case CauseNoRoute:
		return 404
	case CauseForbidden:
		return 403
	case CauseMedia:
		return 488
	case CausePanic:
		return 500
	}
	return 480
}

// insideDialog maps a final response to a relayed in-dialog request. Codes that would end the dialog of
// the side that asked, though only the request failed (RFC 5057 §5.1), become 500.
func insideDialog(code uint16) uint16 {
	switch {
	case code == 202: // RFC 3515 §2.4.2
		return code
	case code < 300:
		return 200
	}
	switch code {
	case 400, 403, 406, 408, 413, 415, 422, 481, 486, 487, 488, 489, 491, 493, 500, 501, 503, 504, 603, 606:
		return code
	}
	return 500
}

// insideRequest is insideDialog for a request that is no INVITE: it gets no 408 (RFC 4320 §4.2).
func insideRequest(code uint16) uint16 {
	if code == 408 {
		return 504
	}
	return insideDialog(code)
}

// refusal is the response to an in-dialog method that policy does not let cross.
func refusal(m Method) uint16 {
	switch m {
	case UnknownMethod:
		return 501
	case PRACK, NOTIFY: // RFC 3262 §3: no reliable provisional; RFC 6665 §4.1.3: no subscription
		return 481
	case SUBSCRIBE:
		return 489
	}
	return 405
}
