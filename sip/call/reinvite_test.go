package call

import (
	"testing"
	"time"
)

// RINV-01: many re-INVITEs in one call; their numbers wrap and never become 0, the first INVITE's.
func TestManyReinvitesInOneCall(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := New(nil, 1)
	for _, ev := range usual[:5] {
		c.Step(now, ev)
	}
	for i := range 1000 {
		from := Caller + Side(i%2)
		a := c.Step(now, Event{Kind: Requested, Side: from, Method: INVITE, SDP: SDPGood})
		if len(a) != 1 || a[0].Kind != Reinvite || a[0].Side != from.Other() || a[0].Ref == 0 {
			t.Fatalf("re-INVITE %d: %v", i, a)
		}
		ref := a[0].Ref
		c.Step(now, Event{Kind: RequestAnswered, Side: from.Other(), Method: INVITE, Ref: ref, Code: 200, SDP: SDPGood})
		if a := c.Step(now, Event{Kind: ReinviteAcked, Side: from, Ref: ref}); len(a) != 0 {
			t.Fatalf("ACK %d: %v", i, a)
		}
	}
	if n := c.Record().Reinvites; n != 1000 || c.State() != Connected {
		t.Errorf("%d re-INVITEs, state %v", n, c.State())
	}
}

// RINV-02: 2.1–4 s for the owner of the Call-ID, 0–2 s for the other, both spread.
func TestBackOffAfterGlare(t *testing.T) {
	for _, tt := range []struct {
		to       Side
		min, max time.Duration
	}{{Callee, 2100 * time.Millisecond, 4 * time.Second}, {Caller, 0, 2 * time.Second}} {
		seen := map[time.Duration]bool{}
		for seed := range uint32(500) {
			d := New(nil, seed).backOff(tt.to)
			if d < tt.min || d > tt.max {
				t.Fatalf("towards the %v: %v", tt.to, d)
			}
			seen[d] = true
		}
		if len(seen) < 50 {
			t.Errorf("towards the %v only %d different waits in 500 calls", tt.to, len(seen))
		}
	}
}

// RINV-05: the Retry-After of a 500 is random between 0 and 10 s, and never left out.
func TestRetryAfter(t *testing.T) {
	seen := map[uint16]bool{}
	for seed := range uint32(500) {
		s := New(nil, seed).retryAfter()
		if s < 1 || s > 10 {
			t.Fatalf("Retry-After: %d", s)
		}
		seen[s] = true
	}
	if len(seen) != 10 {
		t.Errorf("only %d different values", len(seen))
	}
}
