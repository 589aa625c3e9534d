package call

import (
	"slices"
	"testing"
)

func TestResponsesForTheCaller(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		callee  uint16
		caller  uint16
		outcome Outcome
	}{
		{"a challenge is a fault of ours", Options{}, 401, 502, CarrierError},
		{"a proxy's challenge too", Options{}, 407, 502, CarrierError},
		{"a negotiation of one leg stays on it", Options{}, 420, 502, Rejected},
		{"so does a session timer", Options{}, 422, 502, Rejected},
		{"glare on a first INVITE means try later", Options{}, 491, 480, Rejected},
		{"487 without a CANCEL of the caller's", Options{}, 487, 480, NoAnswer},
		{"481 when there is no dialog yet", Options{}, 481, 480, Rejected},
		{"a content type the callee does not take", Options{}, 415, 488, Rejected},
		{"a redirect is not the caller's business by default", Options{}, 302, 480, Redirected},
		{"a redirect crosses if policy says so", Options{Redirect: RedirectRelay}, 305, 305, Redirected},
		{"a redirect that could not be followed", Options{Redirect: RedirectFollow}, 300, 480, Redirected},
		{"busy", Options{}, 486, 486, Busy},
		{"busy everywhere", Options{}, 600, 600, Busy},
		{"no answer", Options{}, 480, 480, NoAnswer},
		{"silence beyond the callee's proxy", Options{}, 408, 408, TimedOut},
		{"silence beyond the callee's gateway", Options{}, 504, 504, TimedOut},
		{"unknown number", Options{}, 404, 404, Rejected},
		{"gone", Options{}, 410, 410, Rejected},
		{"incomplete number", Options{}, 484, 484, Rejected},
		{"forbidden by the carrier", Options{}, 403, 403, Rejected},
		{"out of hops: the loop must end everywhere", Options{}, 483, 483, Rejected},
		{"loop", Options{}, 482, 482, Rejected},
		{"declined", Options{}, 603, 603, Rejected},
		{"unwanted", Options{}, 607, 607, Rejected},
		{"rejected by analytics", Options{}, 608, 608, Rejected},
		{"the carrier is full", Options{}, 503, 503, CarrierError},
		{"the carrier does not take INVITE", Options{}, 501, 502, CarrierError},
		{"a code of tomorrow crosses", Options{}, 499, 499, Rejected},
		{"a 2xx is no refusal", Options{}, 202, 480, Answered},
		{"no code at all", Options{}, 799, 502, CarrierError},
		{"a row of the trunk wins", Options{Codes: []CodeRule{{486, 600}}}, 486, 600, Busy},
		{"a row that would answer the call does not", Options{Codes: []CodeRule{{486, 200}}}, 486, 486, Busy},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := New(&tt.options, 0).forCaller(tt.callee); got != tt.caller {
				t.Errorf("the caller hears %d, want %d", got, tt.caller)
			}
			if got := OutcomeOf(tt.callee); got != tt.outcome {
				t.Errorf("outcome %v, want %v", got, tt.outcome)
			}
		})
	}
}

func TestNoFinalResponseChallengesTheCaller(t *testing.T) {
	c := New(nil, 0)
	for code := range uint16(1000) {
		if got := c.forCaller(code); got < 300 || got > 699 || got == 401 || got == 407 {
			t.Errorf("%d becomes %d", code, got)
		}
		if got := insideDialog(code); got < 200 || got > 699 || got == 401 || got == 407 {
			t.Errorf("inside a dialog %d becomes %d", code, got)
		}
	}
	for why := range CausePanic + 1 {
		if got := statusOf(why); got < 400 || got > 699 {
			t.Errorf("%v becomes %d", why, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct {
		what  string
		names []string
		last  uint8
	}{
		{"state", stateNames[:], uint8(Ended)}, {"side", sideNames[:], uint8(Edge)}, {"event", eventNames[:], uint8(Tick)},
		{"SDP", sdpNames[:], uint8(SDPBad)}, {"method", methodNames[:], uint8(OtherMethod)}, {"action", actionNames[:], uint8(Finish)},
		{"body", bodyNames[:], uint8(BodyLast)}, {"outcome", outcomeNames[:], uint8(LocalError)}, {"cause", causeNames[:], uint8(CausePanic)},
	} {
		if len(tt.names) != int(tt.last)+1 {
			t.Errorf("%d names for %d values of %s", len(tt.names), tt.last+1, tt.what)
		}
		if sorted := slices.Compact(slices.Sorted(slices.Values(tt.names))); len(sorted) != len(tt.names) {
			t.Errorf("two values of %s share a name", tt.what)
		}
	}
}
