package wire

// Error says why a message, or a part of one, was refused. Errors are shared values: compare them by Cause.
type Error struct {
	Status int    // for the peer: 400 or 505; 0 means no answer may be sent, drop the message
	Reason string // for the peer, as reason phrase; says nothing about our inside
	Cause  string // for us: one of Causes, fit for a metric label
}

func (e *Error) Error() string { return "wire: " + e.Cause }

// The causes. Each is answered with 400 unless it says otherwise; nothing is ever answered to an ACK,
// to a response, or where no Via tells who asked.
const (
	CauseNotSIP           = "not_sip"           // no SIP start line; dropped
	CauseStartLine        = "start_line"        // blanks too many or too few, a bad method, a status that is none
	CauseVersion          = "version"           // not SIP/2.0: 505
	CauseURI              = "uri"               // Request-URI broken; one with URI headers too (RFC 3261 §19.1.1)
	CauseHeaderLine       = "header_line"       // no colon, or a name that is no token
	CauseControlCharacter = "control_character" // CR, LF, NUL or another control character inside a line
	CauseHeaderEnd        = "header_end"        // no empty line
	CauseTooManyHeaders   = "too_many_headers"  // more than MaxHeaders lines
	CauseMissing          = "missing_header"    // no From, To, Call-ID or CSeq
	CauseDuplicate        = "duplicate_header"  // a second line of a header that may stand once
	CauseVia              = "via"               // top Via broken or missing
	CauseExtraVia         = "extra_via"         // a response for somebody behind us; dropped
	CauseAddress          = "address"           // From, To, Contact or Refer-To broken
	CauseRoute            = "route"             // Route or Record-Route broken
	CauseCallID           = "call_id"           // empty, or with blanks in it
	CauseCSeq             = "cseq"              // no number below 2^31 and method
	CauseCSeqMethod       = "cseq_method"       // differs from the request line
	CauseMaxForwards      = "max_forwards"      // not 0 to 255
	CauseContentLength    = "content_length"    // no number
	CauseTruncated        = "truncated"         // Content-Length counts more octets than came
	CauseTooLong          = "too_long"          // over MaxMessage octets
	CauseNumber           = "number"            // Expires, Session-Expires or a kin of 2^32 or more
)

// Limits of what is taken as one message.
const (
	MaxMessage = 65535 // octets; what one UDP datagram can hold at most
	MaxHeaders = 250   // lines
)

// failure numbers the causes, so that a refused message costs no allocation.
type failure uint8

const (
	failNone failure = iota
	failNotSIP
	failStartLine
	failVersion
	failURI
	failHeaderLine
	failControlCharacter
	failHeaderEnd
	failTooManyHeaders
	failMissingFrom
	failMissingTo
	failMissingCallID
	failMissingCSeq
	failDuplicate
	failVia
	failMissingVia
	failExtraVia
	failAddress
	failRoute
	failCallID
	failCSeq
	failCSeqMethod
	failMaxForwards
	failContentLength
	failTruncated
	failTooLong
	failNumber
	numFailures
)

// failures holds each error twice: with the status to answer, and with 0 where nothing may be answered.
var failures = func() (all [numFailures]struct{ answer, drop *Error }) {
	set := func(f failure, status int, cause, reason string) {
		all[f].answer = &Error{Status: status, Reason: reason, Cause: cause}
		all[f].drop = &Error{Reason: reason, Cause: cause}
	}
	set(failNotSIP, 0, CauseNotSIP, "Not SIP")
	set(failStartLine, 400, CauseStartLine, "Bad Start Line")
	set(failVersion, 505, CauseVersion, "Version Not Supported")
	set(failURI, 400, CauseURI, "Bad URI")
	set(failHeaderLine, 400, CauseHeaderLine, "Bad Header Line")
	set(failControlCharacter, 400, CauseControlCharacter, "Control Character In Header")
	set(failHeaderEnd, 400, CauseHeaderEnd, "Header Not Ended By Empty Line")
	set(failTooManyHeaders, 400, CauseTooManyHeaders, "Too Many Header Fields")
	set(failMissingFrom, 400, CauseMissing, "Missing From")
	set(failMissingTo, 400, CauseMissing, "Missing To")
	set(failMissingCallID, 400, CauseMissing, "Missing Call-ID")
	set(failMissingCSeq, 400, CauseMissing, "Missing CSeq")
	set(failDuplicate, 400, CauseDuplicate, "Duplicate Header Field")
	set(failVia, 400, CauseVia, "Bad Via")
	set(failMissingVia, 0, CauseVia, "Missing Via")
	set(failExtraVia, 0, CauseExtraVia, "Extra Via")
	set(failAddress, 400, CauseAddress, "Bad Address")
	set(failRoute, 400, CauseRoute, "Bad Route")
	set(failCallID, 400, CauseCallID, "Bad Call-ID")
	set(failCSeq, 400, CauseCSeq, "Bad CSeq")
	set(failCSeqMethod, 400, CauseCSeqMethod, "CSeq Method Mismatch")
	set(failMaxForwards, 400, CauseMaxForwards, "Bad Max-Forwards")
	set(failContentLength, 400, CauseContentLength, "Bad Content-Length")
	set(failTruncated, 400, CauseTruncated, "Content-Length Beyond Message")
	set(failTooLong, 400, CauseTooLong, "Message Too Long")
	set(failNumber, 400, CauseNumber, "Number Out Of Range")
	return all
}()

// Causes lists every Error.Cause, so that counters can be zeroed at start.
func Causes() []string {
	var causes []string
	for _, f := range failures[failNotSIP:] {
		if len(causes) == 0 || causes[len(causes)-1] != f.answer.Cause {
			causes = append(causes, f.answer.Cause)
		}
	}
	return causes
}
