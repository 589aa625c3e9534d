package sip_test

import (
	"testing"
	"time"

	"trunkline/sip"
	"trunkline/sip/wire"
)

func TestLiveCallsAreShownToThoseTheyBelongTo(t *testing.T) {
	run(t, nil, func(w *world) {
		for n := range 3 {
			w.call(n, "+15550001234")
			if m := w.next(w.app); m.Method != wire.INVITE {
				t.Fatalf("%s came where INVITE was due", m.MethodName)
			}
		}
		show := func(limit int, keep func(trunk, agent string) bool) []sip.LiveCall {
			found, err := w.edge.Live(w.t.Context(), limit, keep)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		all := show(10, func(trunk, agent string) bool { return trunk == "carrier" && agent == "app" })
		if len(all) != 3 {
			t.Fatalf("%d calls, want 3", len(all))
		}
		if c := all[0]; c.State != "inviting" || c.Caller != "+14155550199" || c.Called != "+15550001234" || c.Started.IsZero() || !c.Answered.IsZero() {
			t.Errorf("%+v", c)
		}
		if some := show(2, func(string, string) bool { return true }); len(some) != 2 {
			t.Errorf("%d calls, the limit is 2", len(some))
		}
		if others := show(10, func(trunk, _ string) bool { return trunk == "other" }); len(others) != 0 {
			t.Errorf("calls of another trunk: %+v", others)
		}
		if ended, err := w.edge.HangUp(w.t.Context(), all[0].ID); !ended || err != nil {
			t.Errorf("hang up: %v %v", ended, err)
		}
		time.Sleep(5 * time.Minute)
		if left := show(10, func(string, string) bool { return true }); len(left) != 0 {
			t.Errorf("calls that have ended: %+v", left)
		}
	})
}
