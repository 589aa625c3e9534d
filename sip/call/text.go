package call

import (
	"strconv"
	"time"
)

// String returns the event as conversations and debug logs show it: its kind and what it says.
func (e Event) String() string { return string(e.Append(nil)) }

// Append appends the text of the event to b.
func (e Event) Append(b []byte) []byte {
	b = append(b, e.Kind.String()...)
	b = word(b, e.Side != Nobody, e.Side.String())
	b = word(b, e.Method != UnknownMethod, e.Method.String())
	b = number(b, "", uint64(e.Code))
	b = word(b, e.Cause != CauseNone, e.Cause.String())
	b = number(b, "attempt=", uint64(e.Attempt))
	b = number(b, "fork=", uint64(e.Fork))
	b = number(b, "ref=", uint64(e.Ref))
	b = word(b, e.SDP == SDPGood, "sdp")
	b = word(b, e.SDP == SDPBad, "bad-sdp")
	b = word(b, e.NoContact, "no-contact")
	b = word(b, e.Reliable, "reliable")
	b = word(b, e.Required, "required")
	b = word(b, e.Ours, "ours")
	b = word(b, e.Pass, "pass")
	b = word(b, e.NoUpdate, "no-update")
	b = word(b, e.Digit, "digit")
	b = number(b, "targets=", uint64(e.Targets))
	b = e.Reason.append(b)
	if e.After != 0 {
		b = append(append(b, " after="...), e.After.Round(time.Millisecond).String()...)
	}
	return b
}

// String returns the action as conversations and debug logs show it.
func (a Action) String() string { return string(a.Append(nil)) }

// Append appends the text of the action to b.
func (a Action) Append(b []byte) []byte {
	b = append(b, a.Kind.String()...)
	b = word(b, a.Side != Nobody, a.Side.String())
	b = word(b, a.Method != UnknownMethod, a.Method.String())
	b = number(b, "", uint64(a.Code))
	b = word(b, a.Cause != CauseNone, a.Cause.String())
	b = number(b, "attempt=", uint64(a.Attempt))
	b = number(b, "fork=", uint64(a.Fork))
	b = number(b, "ref=", uint64(a.Ref))
	b = word(b, a.Body != BodyNone, "body="+a.Body.String())
	b = word(b, a.AtHand, "at-hand")
	b = word(b, a.Again, "again")
	b = word(b, a.Reliable, "reliable")
	b = word(b, a.Later, "later")
	b = number(b, "retry-after=", uint64(a.RetryAfter))
	return a.Reason.append(b)
}

func (r Reason) append(b []byte) []byte {
	b = number(b, "reason-sip=", uint64(r.SIP))
	return number(b, "reason-q850=", uint64(r.Q850))
}

func word(b []byte, show bool, s string) []byte {
	if !show {
		return b
	}
	return append(append(b, ' '), s...)
}

// number appends n unless it is zero.
func number(b []byte, key string, n uint64) []byte {
	if n == 0 {
		return b
	}
	b = append(append(b, ' '), key...)
	return strconv.AppendUint(b, n, 10)
}
