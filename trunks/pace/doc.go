// Package pace keeps calls inside a carrier's calls-per-second limit, exactly.
//
// Carriers count calls in any rolling second and answer 503 above the limit. A
// token bucket of capacity N refilled at N/s lets 2N-1 through in one second; a
// Key here does not: admissions are spaced evenly, and a ring of the last ones
// guards the rolling second whatever the burst.
//
// A key is shared by all trunks that name it. Each gets its turn: callers who wait
// are served round robin by trunk, first come first served within one. A wait
// ends by admission, by its deadline, or because the caller gave up, and only an
// admission costs anything.
//
// The package knows no clock, no SIP and no goroutine: whoever owns a Key passes
// the time and asks when to come back. All methods may be called concurrently.
package pace
