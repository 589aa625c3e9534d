package call

import "time"

// mediaFailed makes up for the one action of the last Step that media could not serve.
func (c *Call) mediaFailed(at time.Duration, ev Event, what carried) {
	code := failure(ev.Code, CauseMedia)
	x := &c.exchange
	switch what {
	case carriedInvite:
		c.unsent++
		c.open &^= bit(c.attempt)
		c.respondFinal(Action{Code: code})
		c.over(at, LocalError, Edge, CauseMedia)
	case carriedProvisional:
		c.provisionalUnusable(at, code)
	case carriedPrack: // the caller's answer to an early offer
		c.do(Action{Kind: Prack, Fork: c.carriedFork})
		c.respondFinal(Action{Code: code})
		c.dropCallee(at, Action{})
		c.over(at, LocalError, Edge, CauseMedia)
	case carriedAnswer:
		c.answerUnusable(at, code)
	case carriedAck: // the caller's answer; the callee has waited long enough for its ACK
		c.do(Action{Kind: AckCallee, Attempt: c.attempt, Fork: c.chosen})
		c.hangUpBoth(at, CauseMedia)
		c.over(at, LocalError, Edge, CauseMedia)
	case carriedReoffer:
		x.open = false
		if x.method == UPDATE { // it is still at hand
			x.done()
			c.do(Action{Kind: Respond, Side: x.from, Method: UPDATE, Fork: c.forkOf(x.from), Code: code})
			return
		}
		c.rejectReinvite(Action{Code: code})
	case carriedReanswer:
		late := x.late
		if late { // the offer of a side that was asked for one: the session stays as it was
			c.ackReinvite(BodyLast)
		}
		c.rejectReinvite(Action{Code: code})
		if !late {
			c.lost(at, CauseMedia)
		}
	case carriedReack:
		c.ackReinvite(BodyLast)
	case carriedUpdate:
		x.done()
		c.do(Action{Kind: Respond, Side: x.from, Method: x.method, Fork: c.forkOf(x.from), Code: code})
	case carriedUpdateAnswer:
		c.do(Action{Kind: RelayResponse, Side: x.from, Method: x.method, Code: 500})
	default:
		c.ignore()
	}
}

// provisionalUnusable passes ringing on without its early media. An offer that cannot be passed on leaves nothing to
// talk about.
func (c *Call) provisionalUnusable(at time.Duration, code uint16) {
	r := &c.reliable
	c.described &^= bit(c.carriedFork)
	c.settled &^= bit(c.carriedFork)
	r.audible = noFork
	if r.offerer == c.carriedFork {
		r.offerer = noFork
		c.do(Action{Kind: Prack, Fork: c.carriedFork})
		c.respondFinal(Action{Code: code})
		c.dropCallee(at, Action{})
		c.over(at, LocalError, Edge, CauseMedia)
		return
	}
	a := Action{Kind: RespondCaller, Code: 100 + uint16(c.provisional), Fork: c.carriedFork}
	if r.begun {
		r.untold()
		a.Reliable, a.Later = true, r.kept > 0
	}
	c.do(a)
}

// answerUnusable is INV-11 for an SDP that parses but cannot be negotiated: the caller's 200 was not sent.
func (c *Call) answerUnusable(at time.Duration, code uint16) {
	c.answer = never
	c.ackChosen()
	c.bye(at, Action{Side: Callee, Fork: c.chosen, Cause: CauseMedia})
	outcome := CarrierError
	if code == 503 { // no ports left, say
		outcome = LocalError
	}
	if code == 400 {
		code = 502
	}
	c.respondFinal(Action{Code: code})
	c.over(at, outcome, Edge, CauseMedia)
}
