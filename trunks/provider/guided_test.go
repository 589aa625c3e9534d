package provider

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"trunkline/internal/providerfake"
)

// steps notes how a set-up goes, as "connection pass".
type steps []string

func (s *steps) hear(step string, f Finding) { *s = append(*s, step+" "+string(f.Verdict)) }

func emptyTelnyx(numbers int) account {
	fake := providerfake.NewTelnyx(telnyxKey)
	for i := range numbers {
		fake.Numbers = append(fake.Numbers, &providerfake.TelnyxNumber{ID: fmt.Sprint(i), Number: fmt.Sprintf("+1555%07d", 100+i), Status: "active"})
	}
	return account{Telnyx, fake, Credentials{"apiKey": telnyxKey}}
}

func TestGuidedSetUpOfAnEmptyAccount(t *testing.T) {
	a := emptyTelnyx(2)
	fake := a.fake.(*providerfake.Telnyx)
	var heard steps
	got, err := a.open(t, nil).(Guided).SetUp(t.Context(), Guide{Name: "Acme", Reference: "r1", Numbers: []string{"+15550000100"}, Destinations: []string{"US", "IE"}, Progress: heard.hear})
	if err != nil {
		t.Fatal(err)
	}
	if want := (steps{"account pass", "connection pass", "outbound_profile pass", "numbers pass", "inbound_target pass"}); !slices.Equal(heard, want) {
		t.Errorf("steps %q, want %q", heard, want)
	}
	made := fake.Connections[0]
	if len(fake.Connections) != 1 || made.Name != "Acme" || made.Profile != fake.Profiles[0].ID || made.Password == "" {
		t.Errorf("made %+v", made)
	}
	if got["apiKey"] != telnyxKey || got["connectionId"].Reveal() != made.ID || got["sipUsername"].Reveal() != made.UserName || got["sipPassword"].Reveal() != made.Password {
		t.Error("the credentials are not those of the connection")
	}
	if err := Check(Telnyx, got); err != nil {
		t.Errorf("the credentials cannot be stored: %v", err)
	}
	if fake.Numbers[0].ConnectionID != made.ID || fake.Numbers[1].ConnectionID != "" {
		t.Error("not the number that was named, or more than that, is on the connection")
	}
	if !slices.Equal(fake.Profiles[0].Destinations, []string{"US", "IE"}) {
		t.Errorf("destinations %q", fake.Profiles[0].Destinations)
	}
	fake.Registered = func(user string) string {
		if user == made.UserName {
			return "203.0.113.7"
		}
		return ""
	}
	p := a.open(t, got)
	line := Line{Number: "+15550000100", Username: made.UserName, Addresses: here()}
	if found, err := p.Inbound(t.Context(), line); err != nil || found.Verdict != Pass {
		t.Errorf("inbound after the set-up: %+v, %v", found, err)
	}
	if found, err := p.Outbound(t.Context(), line); err != nil || found.Verdict != Pass {
		t.Errorf("outbound after the set-up: %+v, %v", found, err)
	}
}

// Whatever step fails, the next try goes on with what was made and makes nothing twice.
func TestGuidedSetUpGoesOnAfterAFailure(t *testing.T) {
	for _, path := range []string{"/v2/outbound_voice_profiles", "/v2/phone_numbers/"} {
		a := emptyTelnyx(1)
		fake := a.fake.(*providerfake.Telnyx)
		fake.Fail(providerfake.Fault{Path: path, Status: 422})
		guide := Guide{Name: "Acme", Reference: "r1", Numbers: []string{"+15550000100"}}
		var heard steps
		guide.Progress = heard.hear
		p := a.open(t, nil).(Guided)
		got, err := p.SetUp(t.Context(), guide)
		if err == nil || got["sipPassword"] == "" {
			t.Fatalf("%s: %v; what was made must be told", path, err)
		}
		if last := heard[len(heard)-1]; !strings.HasSuffix(last, string(Inconclusive)) {
			t.Errorf("%s: the failed step is %q", path, last)
		}
		fake.Mend()
		if _, err := p.SetUp(t.Context(), guide); err != nil {
			t.Fatalf("%s: second try: %v", path, err)
		}
		if len(fake.Connections) != 1 || len(fake.Profiles) != 1 {
			t.Errorf("%s: %d connections and %d profiles, want one each", path, len(fake.Connections), len(fake.Profiles))
		}
	}
}

func TestGuidedSetUpLeavesOthersAlone(t *testing.T) {
	a := emptyTelnyx(0)
	fake := a.fake.(*providerfake.Telnyx)
	guide := Guide{Name: "Acme", Reference: "r1"}
	first, err := a.open(t, nil).(Guided).SetUp(t.Context(), guide)
	if err != nil {
		t.Fatal(err)
	}
	guide.InUse = func(id string) bool { return id == first["connectionId"].Reveal() }
	second, err := a.open(t, nil).(Guided).SetUp(t.Context(), guide)
	if err != nil {
		t.Fatal(err)
	}
	if second["connectionId"] == first["connectionId"] || fake.Connections[0].Password != first["sipPassword"].Reveal() {
		t.Error("a connection in use was taken over")
	}
}

func TestGuidedSetUpWithTheCustomersConnection(t *testing.T) {
	a := accountAt(t, Telnyx, 1)
	_, err := a.open(t, Credentials{"connectionId": "77"}).(Guided).SetUp(t.Context(), Guide{})
	if known, ok := errors.AsType[*Error](err); !ok || known.Class != Incomplete || !strings.Contains(known.Fix(), "sipPassword") {
		t.Errorf("without its password: %v, want a hint at sipPassword", err)
	}
	got, err := a.open(t, Credentials{"connectionId": "77", "sipUsername": "acmeuser", "sipPassword": "customers"}).(Guided).SetUp(t.Context(), Guide{})
	if err != nil {
		t.Fatal(err)
	}
	if got["sipUsername"] != "acmeuser" || got["sipPassword"] != "customers" {
		t.Error("the customer's own credentials have changed")
	}
	if n := len(a.fake.(*providerfake.Telnyx).Connections); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
