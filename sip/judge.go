package sip

import (
	"time"

	"trunkline/sip/call"
	"trunkline/sip/transaction"
	"trunkline/trunks"
)

// Judge takes a sign of a trunk's nth server, from OPTIONS or from a call, and
// logs what changes. It may be called from anywhere.
func (e *Edge) Judge(now time.Time, t *trunks.Trunk, nth int, s trunks.Sign) {
	server, trunk := t.Judge(now, nth, s)
	if server {
		e.logServer(t, nth, s)
	}
	if trunk {
		e.logTrunk(t)
	}
}

// logServer tells that a server of a trunk has gone down or come up.
func (e *Edge) logServer(t *trunks.Trunk, nth int, s trunks.Sign) {
	server := t.Servers[nth].String()
	if s == trunks.OptionsAnswered || s == trunks.CallAnswered {
		e.options.Log.Info("server of a trunk is up", "trunk", t.Name, "server", server)
		return
	}
	e.options.Log.Warn("server of a trunk is down", "trunk", t.Name, "server", server, "after", s.String())
}

// logTrunk tells that the last server has gone down, or the first come up.
func (e *Edge) logTrunk(t *trunks.Trunk) {
	if t.Down() {
		e.options.Log.Error("trunk is down: calls pass it over", "trunk", t.Name)
		return
	}
	e.options.Log.Info("trunk is up", "trunk", t.Name)
}

// judgeAnswer tells the trunk's health of a response to an INVITE. What is no
// server of the trunk, as a contact of a redirection, is judged by nobody.
func (c *session) judgeAnswer(now time.Time, status int) {
	if t := c.callee.trunk; t != nil && c.server > 0 && status != 503 && status != 408 {
		c.shard.edge.Judge(now, t, c.server-1, trunks.CallAnswered)
	}
}

// judgeFailure tells it of an INVITE that nothing came back for.
func (c *session) judgeFailure(now time.Time, cause call.Cause) {
	t := c.callee.trunk
	if t == nil || c.server == 0 {
		return
	}
	sign := trunks.CallSilent
	if cause == causeOf(transaction.TransportError) {
		sign = trunks.CallUnreachable
	}
	c.shard.edge.Judge(now, t, c.server-1, sign)
}
