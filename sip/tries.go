package sip

import (
	"time"

	"trunkline/sip/call"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// try is one thing done to reach a callee: an attempt of the machine, or a trunk
// that was passed over without one.
type try struct {
	attempt uint8         // as the machine numbers it; passedOver: none
	trunk   *trunks.Trunk // nil: one of an agent's destinations
	flow    transport.Flow
	// flowOnly: nothing else leads there, see leg
	flowOnly bool
	began    time.Time
	code     uint16        // final response; 0: none
	cause    call.Cause    // without a final response
	refusal  trunks.Reason // why the trunk was passed over
	taken    bool          // it was tried later all the same, as a last resort
}

// passedOver is no attempt: more than the machine makes.
const passedOver = 255

// tryOf returns the try that an attempt is, or nil.
func (c *session) tryOf(attempt uint8) *try {
	for i := range c.tries {
		if c.tries[i].attempt == attempt {
			return &c.tries[i]
		}
	}
	return nil
}

// lastTry returns the last that was an attempt, or nil.
func (c *session) lastTry() *try {
	for i := len(c.tries) - 1; i >= 0; i-- {
		if c.tries[i].attempt != passedOver {
			return &c.tries[i]
		}
	}
	return nil
}

// triedWith notes what became of an attempt; the first to say so is right about the
// cause, and a final response that comes late is still worth knowing.
func (c *session) triedWith(attempt uint8, code uint16, cause call.Cause) {
	t := c.tryOf(attempt)
	if t == nil {
		return
	}
	if t.code == 0 {
		t.code = code
	}
	if t.cause == call.CauseNone && t.code == 0 {
		t.cause = cause
	}
}

// outcome classifies a try that was left for another.
func (t *try) outcome() call.Outcome {
	if t.code != 0 && t.cause == call.CauseNone {
		return call.OutcomeOf(t.code)
	}
	return call.OutcomeOfCause(t.cause)
}

// triesTold are the tries of a call that was not simply carried by its first
// target; nil for all others.
func (c *session) triesTold(start time.Time) []trunks.Try {
	if len(c.tries) < 2 {
		return nil
	}
	told := make([]trunks.Try, len(c.tries))
	for i := range c.tries {
		t := &c.tries[i]
		told[i] = trunks.Try{Code: int(t.code), Refusal: t.refusal, After: t.began.Sub(start)}
		if t.trunk != nil {
			told[i].Trunk = t.trunk.Name
		}
		if t.flow.Remote.IsValid() {
			told[i].Target = t.flow.Remote.String()
		}
		if t.cause != call.CauseNone {
			told[i].Cause = t.cause.String()
		}
	}
	return told
}

// seat is where a dialog lives and whose it is.
type seat struct {
	flow     transport.Flow
	flowOnly bool          // nothing else leads there, whatever its Contact says
	trunk    *trunks.Trunk // nil: an agent's
}

// seatOf returns the seat of the dialog with a side and fork. A fork of an attempt
// that was left lives with that attempt's trunk.
func (c *session) seatOf(side call.Side, fork uint8) seat {
	if t := c.strayTry(side, fork); t != nil {
		return seat{t.flow, t.flowOnly, t.trunk}
	}
	l := c.leg(side)
	return seat{l.flow, l.flowOnly, l.trunk}
}

// seated reports whether a side's flow is that of the dialog with it and fork: it is neither of an attempt that was left nor of a fork that was
// not chosen.
func (c *session) seated(side call.Side, fork uint8) bool {
	chosen, answered := c.machine.Chosen()
	return side == call.Caller || c.strayTry(side, fork) == nil && (!answered || fork == chosen)
}

// strayTry returns the try that a fork of the callee belongs to when that is not
// the last one; nil for all other dialogs.
func (c *session) strayTry(side call.Side, fork uint8) *try {
	if side != call.Callee || int(fork) >= len(c.forkAttempts) || c.latest(c.forkAttempts[fork]) {
		return nil
	}
	return c.tryOf(c.forkAttempts[fork])
}
