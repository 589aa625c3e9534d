package trunks

import (
	"strings"
	"testing"
	"time"

	"trunkline/config"
)

func tollRoute(t config.Toll) Route {
	a := &Agent{Agent: config.Agent{Name: "app", Toll: t}, usage: new(usage)}
	return Route{Agent: a, Number: &Number{E164: "+15550001234", Trunk: &Trunk{Plan: Plan{CountryCode: "1", NationalPrefix: "1"}}}}
}

func TestBarred(t *testing.T) {
	tests := []struct {
		name   string
		toll   config.Toll
		called string
		why    string // empty: it may be called
	}{
		{"any country unless some are listed", config.Toll{}, "+442079460000", ""},
		{"a country that is listed", config.Toll{Countries: []string{"1", "44"}}, "+442079460000", ""},
		{"one that is not", config.Toll{Countries: []string{"1", "44"}}, "+4930123456", "not among 1, 44"},
		{"a longer beginning", config.Toll{Countries: []string{"4930"}}, "+4930123456", ""},
		{"another city", config.Toll{Countries: []string{"4930"}}, "+4940123456", "not among"},
		{"national form is completed first", config.Toll{Countries: []string{"1"}}, "15551234567", ""},
		{"with 011 before it, it is another country", config.Toll{Countries: []string{"1"}}, "011442079460000", "not among"},
		{"parameters and separators hide nothing", config.Toll{Countries: []string{"1"}}, "+44(20)7946-0000;phone-context=+1", "not among"},
		{"a service code where countries are listed", config.Toll{Countries: []string{"1"}}, "611", "not among"},
		{"a name where none are", config.Toll{}, "alice", ""},
		{"premium rate, by default", config.Toll{}, "+19005551234", "premium rate"},
		{"premium rate in national form", config.Toll{}, "19005551234", "premium rate"},
		{"a satellite", config.Toll{}, "+881612345678", "satellite"},
		{"a shared cost number beyond Britain's", config.Toll{Countries: []string{"44"}}, "+448712345678", "premium rate"},
		{"premium rate with more digits than a number has, which networks leave out", config.Toll{}, "1900555123400000", "premium rate"},
		{"the same with a plus, many more and separators", config.Toll{}, "+1-900-555-1234" + strings.Repeat("0", 40), "premium rate"},
		{"the same with escapes", config.Toll{}, "%31%39%30%30%35%35%35%31%32%33%34%30%30%30%30%30", "premium rate"},
		{"a satellite after 011", config.Toll{}, "0118816123456780000000", "satellite"},
		{"more digits than a number has, and not premium rate", config.Toll{}, "1415555123400000", ""},
		{"the same where countries are listed", config.Toll{Countries: []string{"1"}}, "1415555123400000", "not among"},
		{"premium rate where it is wanted", config.Toll{Premium: true}, "+19005551234", ""},
	}
	for _, test := range tests {
		r := tollRoute(test.toll).Barred([]byte(test.called))
		switch {
		case r == nil && test.why != "":
			t.Errorf("%s: %s may be called", test.name, test.called)
		case r != nil && (test.why == "" || r.Reason != TollBarred || !strings.Contains(r.Detail(), test.why)):
			t.Errorf("%s: %v", test.name, r)
		}
	}
}

func TestBarredAllocatesNothing(t *testing.T) {
	r, called := tollRoute(config.Toll{Countries: []string{"1", "44"}}), []byte("+442079460000")
	if n := testing.AllocsPerRun(100, func() { r.Barred(called) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Never more than the limit begin within any rolling minute.
func TestCallsPerMinute(t *testing.T) {
	a := tollRoute(config.Toll{CallsPerMinute: 3}).Agent
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		at time.Duration
		ok bool
	}{{0, true}, {30 * time.Second, true}, {50 * time.Second, true}, {59 * time.Second, false}, {60 * time.Second, true}, {89 * time.Second, false},
		{90 * time.Second, true}, {109 * time.Second, false}, {110 * time.Second, true}, {110 * time.Second, false}} {
		if r := a.Spend(now.Add(step.at)); (r == nil) != step.ok {
			t.Errorf("after %s: %v", step.at, r)
		} else if r != nil && (r.Reason != TollSpent || !strings.Contains(r.Detail(), "3 calls a minute have begun; the next may in ")) {
			t.Errorf("after %s: %v", step.at, r)
		}
	}
	a.Toll.CallsPerMinute = 1 // a reload
	if a.Spend(now.Add(111*time.Second)) != nil || a.Spend(now.Add(112*time.Second)) == nil {
		t.Error("the new limit does not hold")
	}
}

// Minutes count while calls go on, and begin anew at midnight UTC.
func TestMinutesPerDay(t *testing.T) {
	a := tollRoute(config.Toll{MinutesPerDay: 10}).Agent
	midnight := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	at := func(minutes float64) time.Time { return midnight.Add(time.Duration(minutes * float64(time.Minute))) }
	may := func(minutes float64, want bool) {
		t.Helper()
		if r := a.Spend(at(minutes)); (r == nil) != want {
			t.Errorf("at minute %g: %v", minutes, r)
		}
	}
	a.Answered(at(-30))
	a.Ended(at(-30), at(-26)) // four
	may(-20, true)
	a.Answered(at(-20))
	a.Answered(at(-19))
	may(-17, true) // 4 + 3 + 2
	may(-16, false)
	a.Ended(at(-20), at(-16)) // 8 are spent, and the other goes on
	may(-16, false)
	may(1, true)            // one minute of the call that goes on is today's
	may(11, false)          // eleven are
	a.Ended(at(-19), at(9)) // it was nine
	may(9, true)
	a.Answered(at(9))
	may(10, false)
	a.Ended(at(9), at(9.5))
	may(20, true)
}

// guarded is a snapshot with two agents of one organization and one of another.
func guarded(t *testing.T, acme config.Toll, any config.Toll) *Snapshot {
	t.Helper()
	agent := func(name, organization string) config.Agent {
		a := config.DefaultAgent()
		a.Name, a.Organization = name, organization
		return a
	}
	s, err := Build(config.Config{
		Trunks:        []config.Trunk{{Name: "carrier"}},
		Organizations: []config.Organization{{Name: "acme", Toll: acme}, {Name: config.AnyOrganization, Toll: any}},
		Agents:        []config.Agent{agent("app", "acme"), agent("desk", "acme"), agent("shop", "globex"), agent("lone", "")},
		Numbers:       []config.Number{{Number: "+15550001234", Trunk: "carrier", OutboundAgent: "app"}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOrganizationBars(t *testing.T) {
	s := guarded(t, config.Toll{Countries: []string{"1"}}, config.Toll{Countries: []string{"44"}})
	for _, test := range []struct{ agent, called, why string }{
		{"app", "+14155550100", ""},
		{"app", "+442079460000", "agent app may not call +442079460000: for organization acme, its first digits are not among 1"},
		{"shop", "+442079460000", ""},
		{"shop", "+14155550100", "for organization globex, its first digits are not among 44"},
		{"lone", "+14155550100", ""},
	} {
		r := Route{Agent: s.Agent(test.agent), Number: s.Numbers[0]}.Barred([]byte(test.called))
		if (r == nil) != (test.why == "") || r != nil && !strings.Contains(r.Detail(), test.why) {
			t.Errorf("%s calls %s: %v, want %q", test.agent, test.called, r, test.why)
		}
	}
	premium := guarded(t, config.Toll{Premium: true}, config.Toll{})
	if r := (Route{Agent: premium.Agent("app"), Number: s.Numbers[0]}).Barred([]byte("+19005551234")); r == nil || strings.Contains(r.Detail(), "acme") {
		t.Errorf("the organization's premium does not stand for the agent's: %v", r)
	}
}

func TestOrganizationSharesItsLimits(t *testing.T) {
	s := guarded(t, config.Toll{CallsPerMinute: 2, MinutesPerDay: 10}, config.Toll{CallsPerMinute: 1})
	app, desk, shop, lone := s.Agent("app"), s.Agent("desk"), s.Agent("shop"), s.Agent("lone")
	now := time.Date(2026, 11, 23, 23, 0, 0, 0, time.UTC)
	if app.Spend(now) != nil || app.MaySpend(now) != nil || desk.Spend(now.Add(10*time.Second)) != nil {
		t.Error("two calls of three may begin")
	}
	const rate = "agent app may not call now: organization acme's 2 calls a minute have begun; the next may in 40s"
	if r := app.Spend(now.Add(20 * time.Second)); r == nil || r.Detail() != rate {
		t.Errorf("%v, want %s", r, rate)
	}
	if shop.Spend(now) != nil || shop.Spend(now) == nil || lone.Spend(now) != nil {
		t.Error("each organization is bounded by itself, and who has none by none")
	}
	app.Answered(now)
	desk.Answered(now)
	now = now.Add(5 * time.Minute)
	const minutes = "agent desk may not call now: organization acme's 10 minutes of today are used up; new ones come at 00:00 UTC, in 55m0s"
	if r := desk.Spend(now); r == nil || r.Detail() != minutes {
		t.Errorf("%v, want %s", r, minutes)
	}
	const state = "organization acme has used 10.0 of 10 minutes today; organization acme has begun 0 of 2 calls in the last minute"
	if text := app.TollNow(now); text != state {
		t.Errorf("%s, want %s", text, state)
	}
	if _, ends := app.Left(now); ends {
		t.Error("calls in progress go on unless configured otherwise")
	}
}

// Calls that must end look again when the limit could be reached at the earliest.
func TestLeft(t *testing.T) {
	s := guarded(t, config.Toll{MinutesPerDay: 10, WhenSpent: config.SpentEnd}, config.Toll{})
	app, now := s.Agent("app"), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	app.Answered(now)
	app.Answered(now)
	for _, step := range []struct{ after, left time.Duration }{{0, 5 * time.Minute}, {4 * time.Minute, time.Minute}, {5 * time.Minute, 0}, {time.Hour, 0}} {
		if left, ends := app.Left(now.Add(step.after)); !ends || left != step.left {
			t.Errorf("after %s: %s, %t", step.after, left, ends)
		}
	}
}

// What was used is carried over to the next process, on the same day only, and to whoever still has the name.
func TestSpendingsAreRestored(t *testing.T) {
	limits := config.Toll{MinutesPerDay: 10}
	before, now := guarded(t, limits, config.Toll{}), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	before.Agent("app").Answered(now)
	now = now.Add(4 * time.Minute)
	spent := before.Spendings(now)
	want := []Spent{{Organization: true, Name: "acme", Day: now.Unix() / 86400, Used: 4 * time.Minute}}
	if len(spent) != 1 || spent[0] != want[0] {
		t.Fatalf("%+v, want %+v", spent, want)
	}
	spent = append(spent, Spent{Name: "gone", Day: spent[0].Day, Used: time.Hour}, Spent{Organization: true, Name: "globex", Day: spent[0].Day - 1, Used: time.Hour})
	after := guarded(t, limits, limits)
	after.Restore(spent, now)
	if text := after.Agent("desk").TollNow(now); !strings.Contains(text, "4.0 of 10") {
		t.Error(text)
	}
	if text := after.Agent("shop").TollNow(now); !strings.Contains(text, "0.0 of 10") {
		t.Errorf("yesterday counts: %s", text)
	}
	next, err := after.Rebuild(after.made, nil) // a reload
	if err != nil {
		t.Fatal(err)
	}
	if text := next.Agent("app").TollNow(now); !strings.Contains(text, "4.0 of 10") {
		t.Errorf("a reload forgets: %s", text)
	}
}

func BenchmarkSpend(b *testing.B) {
	a := tollRoute(config.Toll{CallsPerMinute: 100_000, MinutesPerDay: 1_000_000}).Agent
	a.Organization = &Organization{Toll: a.Toll, spending: new(spending)}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		a.Spend(now)
		a.Answered(now)
		a.Ended(now, now)
	}
}
