package call

import "time"

// callerCancelled ends a call that nobody answered yet (RFC 3261 §9.2, CAN-01). After our final
// response a CANCEL changes nothing (CAN-04).
func (c *Call) callerCancelled(at time.Duration, ev Event) {
	if !c.unanswered() {
		c.ignore()
		return
	}
	c.reason = ev.Reason
	c.respondFinal(Action{Code: 487})
	c.dropCallee(at, Action{Reason: ev.Reason, AtHand: true})
	c.over(at, Cancelled, Caller, CauseCancel)
}

// cancelCallee cancels the attempt that may still win. Its 487 or its crossing 2xx is awaited in Ending.
func (c *Call) cancelCallee(a Action) {
	if c.open&bit(c.attempt) == 0 {
		return // over already, by a 2xx under the number of another dialog
	}
	a.Kind, a.Attempt = CancelCallee, c.attempt
	c.do(a)
}
