package carrier

import (
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Dialect is how a carrier words its refusals: providers put what an operator must know into the reason phrase, or into
// headers of their own.
type Dialect uint8

// Dialects.
const (
	Plain  Dialect = iota // RFC 3261's codes and phrases
	Telnyx                // a code such as D35 ends the phrase; the 401 of REGISTER has no qop
	Twilio                // X-Twilio-Error: 32204 …
)

// Refusal is why a carrier does not take a call or a registration.
type Refusal uint8

// Refusals.
const (
	NotRefused     Refusal = iota
	UnknownUser            // of the digest's username
	WrongPassword          // or another digest that does not fit
	OtherFrom              // From is not the account's
	SourceRefused          // the address is not on the list
	CallerRefused          // the number may not be shown as caller ID
	CountryRefused         // the called number's country is not allowed
	NumberInvalid          // the called number is none
	NoCredit               // the account has no money left
	NoRoute                // nobody carries the call
	NoChannel              // too many calls at once
	TooFast                // too many calls in a second
	NotReachable           // the number's owner has no place that takes calls
)

// words of a refusal.
type words struct {
	code   int
	reason string // empty: the standard phrase
	header [2]string
}

// phrasebook has what each dialect says; what it does not have is said in Plain. Telnyx: codes of its published table of
// SIP responses. Twilio: codes of its published error catalogue, in the header seen on the wire.
var phrasebook = map[Dialect]map[Refusal]words{
	Plain: {
		UnknownUser:    {code: 404},
		WrongPassword:  {code: 403},
		OtherFrom:      {code: 403},
		SourceRefused:  {code: 403},
		CallerRefused:  {code: 403, reason: "Caller ID Not Allowed"},
		CountryRefused: {code: 403, reason: "Destination Not Allowed"},
		NumberInvalid:  {code: 404},
		NoCredit:       {code: 402},
		NoRoute:        {code: 503},
		NoChannel:      {code: 503},
		TooFast:        {code: 503},
		NotReachable:   {code: 480},
	},
	Telnyx: {
		UnknownUser:    {code: 403, reason: "Forbidden R14"},
		OtherFrom:      {code: 403, reason: "Forbidden R18"},
		SourceRefused:  {code: 403, reason: "Caller Not Identified D25"},
		CallerRefused:  {code: 403, reason: "Caller Origination Number is Invalid D35"},
		CountryRefused: {code: 403, reason: "Dialed Number is not included in whitelisted countries D13"},
		NumberInvalid:  {code: 403, reason: "Dialed Number is Invalid D11"},
		NoCredit:       {code: 403, reason: "Account is disabled D17"},
		NoRoute:        {code: 503, reason: "Service Unavailable PE1"},
		NoChannel:      {code: 403, reason: "User channel limit exceeded D1"},
		TooFast:        {code: 503, reason: "CPS Limit Reached P05"},
		NotReachable:   {code: 480, reason: "Destination User Not Registered RG1"},
	},
	Twilio: {
		UnknownUser:    {code: 403},
		SourceRefused:  {code: 403, header: twilioError("32201 Authentication failure - source IP Address not in ACL")},
		CallerRefused:  {code: 403, header: twilioError("32204 Invalid Caller ID")},
		CountryRefused: {code: 403, reason: "No International Authorization", header: twilioError("32203 Destination blocked")},
		NumberInvalid:  {code: 400},
		NoCredit:       {code: 603, header: twilioError("32005 Calling is disabled for this account")},
		NoChannel:      {code: 503, reason: "Trunk concurrent call limit exceeded"},
		TooFast:        {code: 503, reason: "Trunk CPS limit exceeded", header: twilioError("32001 Trunk CPS limit exceeded")},
	},
}

func twilioError(text string) [2]string { return [2]string{"X-Twilio-Error", text} }

// refusal is how the dialect answers.
func (d Dialect) refusal(r Refusal) reply {
	w, ok := phrasebook[d][r]
	if !ok {
		w = phrasebook[Plain][r]
	}
	answer := reply{code: w.code, reason: w.reason}
	if w.header[0] != "" {
		answer.headers = []sip.Header{sip.NewHeader(w.header[0], w.header[1])}
	}
	return answer
}

// retry adds Retry-After.
func (r reply) retry(after time.Duration) reply {
	if after > 0 {
		r.headers = append(r.headers, sip.NewHeader("Retry-After", strconv.Itoa(int((after+time.Second-1)/time.Second))))
	}
	return r
}
