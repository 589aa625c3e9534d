package call

import "time"

// reliable is what the call knows of provisional responses that are confirmed (RFC 3262), on the caller's side, and of
// the offer/answer exchange that they may end before the 2xx does (RFC 3262 §5, RFC 6337 §2.2).
type reliable struct {
	able    bool // the caller takes them
	must    bool // it takes no others
	begun   bool // it got one: all after it are reliable too, so that their order holds
	open    bool // one waits for its PRACK
	told    bool // that one carries a description
	settled bool // the caller has confirmed the answer to its offer: either side may make another
	moved   bool // another was made, if only to be refused, or the offer came in a provisional: the 2xx has no description
	kept    uint8
	telling uint8 // of those kept, oldest in bit 0: they carry a description
	audible uint8 // the fork whose description the caller has; noFork
	offerer uint8 // the fork whose offer waits for the answer in the caller's PRACK; noFork
}

// maxKept bounds the responses that wait for the PRACK of the one before. Ringing beyond is not worth keeping.
const maxKept = 7

// maySee reports whether the description in a provisional is passed on. Without an offer of the caller it is one itself,
// which needs a reliable response on both sides; after the exchange is over it is none at all.
func (c *Call) maySee(ev Event) bool {
	r := &c.reliable
	if r.moved {
		return false
	}
	return !c.late || ev.Reliable && r.able && r.offerer == noFork
}

// describe notes that a fork has described itself in the provisional at hand.
func (c *Call) describe(ev Event) {
	r := &c.reliable
	r.audible = ev.Fork
	if c.late {
		r.offerer = ev.Fork
		return
	}
	c.described |= bit(ev.Fork)
	if ev.Reliable {
		c.settled |= bit(ev.Fork)
	}
}

// respondProvisional passes a provisional on: reliably if the caller wants it so, or can take it and the callee sent it so.
// One at a time is on its way (PRK-02); the next are kept.
func (c *Call) respondProvisional(a Action, asked bool) {
	r := &c.reliable
	a.Reliable = r.must || r.able && (asked || r.begun)
	tells := a.Body != BodyNone
	switch {
	case !a.Reliable:
	case r.open && r.kept == maxKept:
		c.carried = carriedNothing
		if tells {
			c.described &^= bit(a.Fork)
		}
		if r.offerer == a.Fork {
			r.offerer = noFork
		}
		return
	case r.open:
		a.Later = true
		r.keep(tells)
	default:
		r.begun, r.open, r.told = true, true, tells
	}
	c.do(a)
}

func (r *reliable) keep(tells bool) {
	if tells {
		r.telling |= 1 << r.kept
	}
	r.kept++
}

// withholds reports whether a 2xx must wait: a description was not confirmed (RFC 3262 §3).
func (r *reliable) withholds() bool { return r.open && (r.told || r.telling != 0) }

// untold takes back the description of the last response: media could not make it.
func (r *reliable) untold() {
	if r.kept > 0 {
		r.telling &^= 1 << (r.kept - 1)
		return
	}
	r.told = false
}

// pracked takes the caller's PRACK and sends what had to wait for it. An answer in it goes on in our own; an offer goes on
// as an UPDATE (PRK-06).
func (c *Call) pracked(at time.Duration, ev Event) {
	r := &c.reliable
	switch {
	case ev.Side != Caller:
		c.respond(ev, 481)
		return
	case !c.unanswered():
		c.respond(ev, 200)
		return
	case r.offerer != noFork && r.told:
		c.answeredLate(ev)
	case ev.SDP == SDPNone:
		c.respond(ev, 200)
	case ev.SDP == SDPGood && c.pracksOffer():
		c.relayOffer(at, ev, PRACK)
	default:
		c.respond(ev, 488)
	}
	if !r.open {
		return
	}
	r.settled = r.settled || r.told
	r.open, r.told = false, false
	if r.kept > 0 {
		c.respondKept(at)
	}
}

// pracksOffer reports whether an offer in the PRACK at hand can go on: it may follow the answer that it confirms.
func (c *Call) pracksOffer() bool {
	r := &c.reliable
	return c.setup() && !c.exchange.busy() && (r.settled || r.told) && r.audible != noFork && c.settled&bit(r.audible) != 0
}

// answeredLate passes the answer to an offer that came in a provisional (RFC 3262 §5).
func (c *Call) answeredLate(ev Event) {
	r := &c.reliable
	a := Action{Kind: Prack, Fork: r.offerer}
	if ev.SDP == SDPGood {
		a.Body = BodyAtHand
		c.carried, c.carriedFork = carriedPrack, r.offerer
		c.late, r.moved = false, true
		c.described |= bit(r.offerer)
		c.settled |= bit(r.offerer)
	} // else the offer stays without an answer, and the 2xx will be refused
	r.offerer = noFork
	c.do(a)
	c.respond(ev, 200)
}

// respondKept sends the next response, which may be the 2xx.
func (c *Call) respondKept(at time.Duration) {
	r := &c.reliable
	r.kept--
	c.do(Action{Kind: RespondKept})
	if c.state == Withheld && r.kept == 0 {
		c.code, c.answer = 200, at
		c.enter(Answering, at+c.patience())
		return
	}
	r.open, r.told = true, r.telling&1 != 0
	r.telling >>= 1
}

// prackTimeout gives up a caller that does not confirm (PRK-01; RFC 3262 §3).
func (c *Call) prackTimeout(at time.Duration) {
	if !c.unanswered() || !c.reliable.open {
		c.ignore()
		return
	}
	c.respondFinal(Action{Code: 504})
	c.dropCallee(at, Action{})
	c.over(at, TimedOut, Edge, CauseAckTimeout)
}

// dropCallee ends what was begun with the callee of a call that the caller will not get: CANCEL, or BYE to the 2xx that
// was withheld.
func (c *Call) dropCallee(at time.Duration, a Action) {
	if c.state != Withheld {
		a.Cause = CauseNone
		c.cancelCallee(a)
		return
	}
	a.Side, a.Fork = Callee, c.chosen
	c.ackChosen()
	c.bye(at, a)
}

// earlyUpdate passes an offer on that comes before the answer of the call, if each side's own exchange is over and the
// other side can take it (UPD-02; RFC 3311 §5.1, §5.2).
func (c *Call) earlyUpdate(at time.Duration, ev Event) {
	r, x := &c.reliable, &c.exchange
	over := r.settled
	if ev.Side == Callee {
		over = c.settled&bit(ev.Fork) != 0
	}
	switch {
	case x.busy() && x.from == ev.Side:
		c.respondLater(ev) // its last offer has no answer
	case x.busy(), !over && ev.Side == Callee:
		c.respond(ev, 491) // ours has none
	case !over, !r.settled, !c.setup(), r.audible == noFork, c.settled&bit(r.audible) == 0, ev.Side == Callee && ev.Fork != r.audible:
		c.respondLater(ev) // the other side cannot take one yet
	default:
		c.relayOffer(at, ev, UPDATE)
	}
}
