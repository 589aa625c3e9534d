package sip

import (
	"time"

	"trunkline/sip/call"
)

// tollLook is how often a call looks whether the minutes of its agent or organization are used up: other calls may have been
// answered meanwhile, which use them faster. It is how long a call may outlast them.
const tollLook = 10 * time.Second

// watchToll sets when to look next, where a toll ends calls. An emergency call is ended by none.
func (c *session) watchToll(now time.Time) {
	if c.emergency {
		return
	}
	if left, ends := c.route.Agent.Left(now); ends {
		c.shard.wheel.Start(&c.toll, now.Add(min(max(left, time.Second), tollLook)))
	}
}

// checkToll ends a call that goes on when the minutes of the day are used up.
func (c *session) checkToll(now time.Time) {
	if !c.talking {
		return
	}
	if left, ends := c.route.Agent.Left(now); ends && left == 0 {
		c.step(now, call.Event{Kind: call.HangUp, Cause: call.CauseTollSpent})
		return
	}
	c.watchToll(now)
}
