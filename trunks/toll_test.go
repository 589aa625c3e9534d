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
		} else if r != nil && (r.Reason != TollSpent || !strings.Contains(r.Detail(), "within a minute")) {
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
