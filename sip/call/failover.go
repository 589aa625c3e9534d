package call

// Failover says what takes a call on to its next target, instead of to the caller (RFC 3263 §4.3). The zero Failover is
// every 5xx and timeout. It can be compared.
type Failover [5]uint64

// The first bits stand for 400 to 699.
const (
	firstFailover   = 400
	lastFailover    = 699
	failoverTimeout = lastFailover - firstFailover + 1
	failoverGiven   = failoverTimeout + 1 // tells an empty set from the zero Failover
)

// FailoverOn returns the Failover of nothing but timeout, if that is wanted, and the codes from 400 to 699 given to add.
func FailoverOn(timeout bool, codes ...int) (f Failover) {
	f.set(failoverGiven)
	if timeout {
		f.set(failoverTimeout)
	}
	for _, code := range codes {
		if code >= firstFailover && code <= lastFailover {
			f.set(code - firstFailover)
		}
	}
	return f
}

func (f *Failover) set(i int)      { f[i/64] |= 1 << (i % 64) }
func (f *Failover) has(i int) bool { return f[i/64]&(1<<(i%64)) != 0 }

// On reports whether a final response of the callee takes the call on.
func (f *Failover) On(code uint16) bool {
	if !f.has(failoverGiven) {
		return code/100 == 5
	}
	return code >= firstFailover && code <= lastFailover && f.has(int(code)-firstFailover)
}

// OnTimeout reports whether a callee that cannot be reached or never answers does.
func (f *Failover) OnTimeout() bool { return !f.has(failoverGiven) || f.has(failoverTimeout) }
