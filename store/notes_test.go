package store

import (
	"fmt"
	"testing"
	"time"

	"trunkline/trunks/account"
)

// Events of calls are trimmed by their number, other events stay; an organization that is gone is no reason to fail.
func TestNotesAreTrimmed(t *testing.T) {
	db := openWithOrgs(t, t.TempDir())
	s, err := account.New(account.Options{Repository: db})
	if err != nil {
		t.Fatal(err)
	}
	happen(t, db, oneOrg.Org, "number.verified")
	changed := s.EventsChanged()
	for i := range 20 {
		var events []account.Event
		for j := range 10 {
			events = append(events, account.Event{Org: oneOrg.Org, Type: "call.ended", Subject: fmt.Sprintf("call/%d", i*10+j), At: time.Now(), Data: []byte("{}")})
		}
		events = append(events, account.Event{Org: "gone", Type: "call.ended", Subject: "call/x", At: time.Now(), Data: []byte("{}")})
		if err := s.Note(t.Context(), events, map[string]int64{"call.ended": 50}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	all, err := s.Events(t.Context(), oneOrg, account.EventFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 51 || all[0].Type != "number.verified" || all[1].Subject != "call/150" || all[50].Subject != "call/199" {
		t.Errorf("%d events are left, from %s to %s", len(all), all[0].Subject, all[len(all)-1].Subject)
	}
}
