package register

import (
	"testing"
	"time"
)

func TestRefreshAfter(t *testing.T) {
	for _, granted := range []time.Duration{time.Second, time.Minute, time.Hour, 1<<32*time.Second - time.Second} {
		for _, random := range []float64{0, 0.5, 0.999} {
			if got := refreshAfter(granted, random); got < granted/100*69 || got > granted/100*86 {
				t.Errorf("of %s, after %s", granted, got)
			}
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for _, test := range []struct {
		name     string
		state    State
		code     int
		failures int
		asked    time.Duration
		random   float64
		want     time.Duration
	}{
		{"the first failure", Unreachable, 0, 1, 0, 0.5, 5 * time.Second},
		{"at the earliest", Unreachable, 0, 1, 0, 0, 4 * time.Second},
		{"doubled", Rejected, 500, 4, 0, 0.5, 40 * time.Second},
		{"up to five minutes", Rejected, 500, 7, 0, 0.5, 5 * time.Minute},
		{"after a thousand failures", Unreachable, 0, 1000, 0, 0.5, 5 * time.Minute},
		{"refused credentials", AuthFailed, 401, 1, 0, 0.5, 5 * time.Minute},
		{"refused credentials again", AuthFailed, 401, 3, 0, 0.5, 20 * time.Minute},
		{"refused credentials for ever", AuthFailed, 401, 1000, 0, 0.5, time.Hour},
		{"403", Rejected, 403, 2, 0, 0.5, 10 * time.Minute},
		{"Retry-After is longer", Rejected, 503, 1, time.Minute, 0, time.Minute},
		{"Retry-After is spread upwards", Rejected, 503, 1, time.Minute, 0.5, 66 * time.Second},
		{"Retry-After is shorter", Rejected, 503, 5, time.Second, 0.5, 80 * time.Second},
		{"Retry-After of an age", Rejected, 503, 1, 1000 * time.Hour, 0, time.Hour},
	} {
		if got := retryAfter(test.state, test.code, test.failures, test.asked, test.random).Round(time.Millisecond); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
