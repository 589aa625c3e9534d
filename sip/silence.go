package sip

import (
	"time"

	"trunkline/media"
	"trunkline/sip/call"
)

// patience is how long the call may go on without RTP from either party; 0: for ever.
func (c *session) patience() time.Duration {
	if c.machine.State() == call.Connected {
		return c.shard.edge.options.MediaTimeout
	}
	return c.shard.edge.options.MediaEarlyTimeout
}

// watchMedia sets when to look for silence next. Nothing has come since then, as far as was looked.
func (c *session) watchMedia(since time.Time) {
	o := &c.shard.edge.options
	shortest := o.MediaTimeout // the answer may come at any time, and brings the other limit
	if shortest == 0 || o.MediaEarlyTimeout > 0 && o.MediaEarlyTimeout < shortest {
		shortest = o.MediaEarlyTimeout
	}
	if limit := c.patience(); limit > 0 {
		shortest = limit
	}
	if shortest > 0 {
		c.quietSince = since
		c.shard.wheel.Start(&c.silence, since.Add(shortest))
	}
}

// checkSilence ends a call whose parties have both sent nothing for too long. A call on hold in any direction, or whose media
// is not for us to relay, waits anew.
func (c *session) checkSilence(now time.Time) {
	if c.bridge == nil {
		return
	}
	latest := c.quietSince
	for _, side := range [...]media.Side{media.Caller, media.Callee} {
		heard, expected := c.bridge.Heard(side)
		if !expected && c.machine.State() == call.Connected {
			latest = now
		}
		if heard.After(latest) {
			latest = heard
		}
	}
	if limit := c.patience(); limit == 0 || now.Sub(latest) < limit {
		c.watchMedia(latest)
		return
	}
	if c.counts != nil {
		c.counts.mediaTimeouts++
	}
	c.step(now, call.Event{Kind: call.HangUp, Cause: call.CauseMediaTimeout, Code: 480})
}
