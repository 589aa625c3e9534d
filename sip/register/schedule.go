package register

import "time"

// State is where the registration of a trunk stands.
type State string

// The states, a closed set: label values of trunkline_registration_state.
const (
	Disabled    State = "disabled"    // the trunk does not register
	Registering State = "registering" // a REGISTER is under way and no binding is known
	Registered  State = "registered"
	AuthFailed  State = "auth_failed" // the credentials were refused, or there are none
	Rejected    State = "rejected"    // any other final response
	Unreachable State = "unreachable" // no response, or none could be sent to
)

// States lists them in a fixed order.
var States = []State{Disabled, Registering, Registered, AuthFailed, Rejected, Unreachable}

const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	rarest     = time.Hour            // between tries with refused credentials, and the most that Retry-After is obeyed
	startPause = 5 * time.Millisecond // between the first REGISTERs of two trunks: 200 a second
	startLeast = 500 * time.Millisecond
	startMany  = 10 * time.Second // over which those of more than 10 trunks are spread at least
	stopPause  = time.Millisecond // between the last REGISTERs of two trunks, in groups of stopTogether
	returning  = 5 * time.Minute  // after which a better server than the one in use is asked, at the latest
)

const stopTogether = 20

// startAfter returns how long the nth of several trunks that start together waits
// before its first REGISTER: each has a place of its own, and stands in it by
// random (0 to 1), so that the registrar sees an even stream and no two edges that start together agree.
func startAfter(nth, trunks int, random float64) time.Duration {
	spread := startLeast
	if trunks > 10 {
		spread = max(startMany, time.Duration(trunks)*startPause)
	}
	return time.Duration(float64(spread) * (float64(nth) + random) / float64(trunks))
}

// refreshAfter returns when to refresh a binding that was granted for the given
// time: well before its end, so that several repetitions fit, and spread by
// random (0 to 1), so far that trunks registered together are mixed after two rounds.
func refreshAfter(granted time.Duration, random float64) time.Duration {
	return time.Duration(float64(granted) * (0.5 + 0.35*random))
}

// returnAfter returns when to ask the better server, by random (0 to 1), for a
// binding that is to be refreshed at the given time anyhow.
func returnAfter(refresh time.Duration, random float64) time.Duration {
	return min(refresh, time.Duration(float64(returning)*(0.8+0.2*random)))
}

// pingAfter returns when to send the next keep-alive through an address
// translation, by random (0 to 1): those that are common forget UDP after 30 s.
func pingAfter(random float64) time.Duration {
	return time.Duration(float64(25*time.Second) * (0.8 + 0.2*random))
}

// retryAfter returns how long to wait after the given number of failures in a
// row (1 or more): 5 s doubling to 5 min. Refused credentials and 403 wait 5 min
// from the start, doubling to an hour: trying on would lock the account. All that
// ±20 % by random (0 to 1). What the carrier asks for by Retry-After is a lower
// bound, and trunks that were told the same spread over a fifth more of it.
func retryAfter(s State, code, failures int, asked time.Duration, random float64) time.Duration {
	first, last := firstRetry, lastRetry
	if s == AuthFailed || code == 403 {
		first, last = lastRetry, rarest
	}
	wait := last
	if failures < 8 { // further on the shift alone is above last
		wait = min(first<<(failures-1), last)
	}
	wait = time.Duration(float64(wait) * (0.8 + 0.4*random))
	asked = min(asked, rarest)
	return max(wait, time.Duration(float64(asked)*(1+0.2*random)))
}
