package transaction

import "time"

// Timers are the waits of one request, or the defaults of a layer. Zero fields
// mean the layer's default, and there the value of RFC 3261 §17.1.1.1.
type Timers struct {
	T1 time.Duration // round-trip estimate: first repetition; default 500 ms
	T2 time.Duration // longest pause between repetitions of a non-INVITE or a final response; default 4 s
	T4 time.Duration // longest life of a message in the network; default 5 s
	B  time.Duration // INVITE without any response: Timeout; default 64*T1
	F  time.Duration // non-INVITE without a final response: Timeout; default 64*T1
	C  time.Duration // INVITE ringing without news: RingTimeout; default 3 min (RFC 3261 §16.6)
}

var defaultTimers = Timers{T1: 500 * time.Millisecond, T2: 4 * time.Second, T4: 5 * time.Second, C: 3 * time.Minute}

// over returns t with its zero fields taken from base. B and F follow T1 when t
// sets T1 alone.
func (t Timers) over(base Timers) Timers {
	if t.B == 0 && t.T1 == 0 {
		t.B = base.B
	}
	if t.F == 0 && t.T1 == 0 {
		t.F = base.F
	}
	if t.T1 == 0 {
		t.T1 = base.T1
	}
	if t.T2 == 0 {
		t.T2 = base.T2
	}
	if t.T4 == 0 {
		t.T4 = base.T4
	}
	if t.C == 0 {
		t.C = base.C
	}
	if t.B == 0 {
		t.B = 64 * t.T1
	}
	if t.F == 0 {
		t.F = 64 * t.T1
	}
	return t
}
