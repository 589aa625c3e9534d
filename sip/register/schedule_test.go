package register

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestRefreshAfter(t *testing.T) {
	for _, granted := range []time.Duration{time.Second, time.Minute, time.Hour, 1<<32*time.Second - time.Second} {
		for _, random := range []float64{0, 0.5, 0.999} {
			if got := refreshAfter(granted, random); got < granted/100*49 || got > granted/100*86 {
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

// REG-14: thousands of trunks that start together come in an even stream, and the longer the more even.
func TestHerdIsSpread(t *testing.T) {
	const trunks, granted = 5000, time.Minute
	random := rand.New(rand.NewPCG(1, 2))
	busiest := func(at []time.Duration) (most int) {
		slices.Sort(at)
		for i, j := 0, 0; j < len(at); j++ {
			for at[j]-at[i] >= time.Second {
				i++
			}
			most = max(most, j-i+1)
		}
		return most
	}
	at := make([]time.Duration, trunks)
	for n := range at {
		at[n] = startAfter(n, trunks, random.Float64())
	}
	if most := busiest(at); most > 210 {
		t.Errorf("%d trunks start within one second", most)
	}
	for round := range 6 {
		for n := range at {
			at[n] += refreshAfter(granted, random.Float64())
		}
		if most := busiest(slices.Clone(at)); most > 220 {
			t.Errorf("round %d: %d refreshes within one second", round, most)
		}
	}
}
