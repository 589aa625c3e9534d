package sip

import (
	"time"

	"trunkline/media"
	"trunkline/sip/call"
	"trunkline/sip/wire"
)

// Where one side speaks of digits by INFO and the other by telephone-event (RFC 4733), the edge stands between. An INFO of the
// first that names a digit is answered here, and played to the second by the media bridge; what that one plays the bridge hears,
// and it is said to the first in an INFO of our own, one after the other.

// digits are those still to be said, and the INFO that says one.
type digits struct {
	waiting  []saying
	underway uint16 // serial of the INFO without an answer; 0: none
}

// saying is a digit that a side is to be told.
type saying struct {
	side  call.Side
	digit media.Digit
	since time.Time
}

const (
	maxSayings = 32              // that wait in one call
	sayWithin  = 5 * time.Second // what waited longer would be taken for an answer to something else
)

// The ways digits are converted.
const (
	digitPlayed = iota // from INFO to telephone-event
	digitSaid          // from telephone-event to INFO
	digitWays
)

// What becomes of them.
const (
	digitConverted = iota // taken to be played, or an INFO of ours answered with 2xx
	digitRefused          // an INFO of the peer by us, or one of ours by the peer, by silence too
	digitDropped          // too many or too late, or the side that was to have it was gone, though it was taken
	digitOutcomes
)

var (
	digitWayNames     = [digitWays]string{"info_to_rtp", "rtp_to_info"}
	digitOutcomeNames = [digitOutcomes]string{"converted", "refused", "dropped"}
)

// playsDigit reports whether the message at hand, an INFO of a side, names a digit that is to be played to the other one.
func (c *session) playsDigit(side call.Side) bool {
	return c.bridge != nil && c.bridge.Plays(mediaSide(side)) && c.shard.in.IsDTMF()
}

// playDigit plays the digit in the INFO at hand to the other side, and answers it.
func (c *session) playDigit(now time.Time, a call.Action) {
	s := c.shard
	code, reason := 200, wire.ReasonPhrase(200)
	event, lasts, bad := s.in.DTMF()
	if bad != nil {
		code, reason = bad.Status, bad.Reason
	} else if refusal, refused := asMedia(c.bridge.Play(mediaSide(a.Side), media.Digit{Event: event, Duration: lasts})); refused {
		code, reason = refusal.Status, refusal.Reason
	}
	if code == 200 {
		s.count.digits[digitPlayed][digitConverted]++
	} else {
		s.count.digits[digitPlayed][digitRefused]++
	}
	if c.atHand.joint != 0 {
		c.respondToJoint(now, a.Side, c.atHand.joint, uint16(code), false)
		return
	}
	b := wire.AppendStatusLine(s.out[:0], code, reason)
	b = append(b, c.atHand.head...)
	b = s.appendServer(b)
	if code == 500 { // a moment later there is room again
		b = wire.AppendHeaderString(b, "Retry-After", "1")
	}
	s.out = wire.AppendBody(b, "", nil)
	s.respond(now, c.atHand.server, code, s.out)
}

// listenForDigits has the bridge tell of digits that the other side plays.
func (c *session) listenForDigits() {
	s, token := c.shard, c.token(0)
	c.bridge.OnDigits(func() {
		s.post(func(now time.Time) {
			if c, _ := s.owner(token); c != nil && c.bridge != nil {
				c.bridge.Digits(func(from media.Side, d media.Digit) { c.sayDigit(now, callSide(from.Other()), d) })
			}
		})
	})
}

func callSide(side media.Side) call.Side {
	if side == media.Caller {
		return call.Caller
	}
	return call.Callee
}

// sayDigit has a side told of a digit after those that wait. Another call that stands in its place tells its party.
func (c *session) sayDigit(now time.Time, side call.Side, d media.Digit) {
	if c.leg(side).joint.up {
		c.deliver(side, delivery{kind: deliverDigit, digit: d, nothing: true})
		return
	}
	if c.digits == nil {
		c.digits = new(digits)
	}
	if len(c.digits.waiting) == maxSayings {
		c.shard.count.digits[digitSaid][digitDropped]++
		return
	}
	c.digits.waiting = append(c.digits.waiting, saying{side, d, now})
	c.sayDigits(now)
}

// sayDigits sends the next INFO, when the last one has its answer and there is a dialog to send it in.
func (c *session) sayDigits(now time.Time) {
	q := c.digits
	for len(q.waiting) > 0 && q.underway == 0 {
		next := q.waiting[0]
		fork, ok := c.machine.Reaches(next.side)
		late := now.Sub(next.since) > sayWithin
		if !ok && !late {
			return // a step of the call brings us here again
		}
		q.waiting = append(q.waiting[:0], q.waiting[1:]...)
		if late {
			c.shard.count.digits[digitSaid][digitDropped]++
			continue
		}
		c.sendDigit(now, next, fork)
	}
}

func (c *session) sendDigit(now time.Time, next saying, fork uint8) {
	s := c.shard
	s.body = wire.AppendDTMF(s.body[:0], next.digit.Event, next.digit.Duration)
	s.line = wire.AppendBody(s.line[:0], wire.DTMFType, s.body)
	p := c.add(pending{method: call.INFO, side: next.side, fork: fork, ref: call.OwnInfo})
	c.digits.underway = p.serial
	c.send(now, p, s.line, maxForwards)
}

// digitAnswered takes the end of an INFO of ours, and sends the next.
func (c *session) digitAnswered(now time.Time, p pending, ev call.Event) {
	if c.digits == nil || c.digits.underway != p.serial {
		return
	}
	c.digits.underway = 0
	outcome := digitRefused
	if ev.Kind == call.RequestAnswered && ev.Code < 300 {
		outcome = digitConverted
	}
	c.shard.count.digits[digitSaid][outcome]++
	if !c.finished {
		c.sayDigits(now)
	}
}

// dropDigits forgets those that were not said, when the call is over.
func (c *session) dropDigits() {
	if c.digits != nil {
		c.shard.count.digits[digitSaid][digitDropped] += uint64(len(c.digits.waiting))
		c.digits = nil
	}
}

// countLostDigits counts those that nobody will hear any more.
func (c *session) countLostDigits() {
	heard, unplayed := c.bridge.LostDigits()
	n := &c.shard.count.digits
	n[digitPlayed][digitDropped] += unplayed
	n[digitSaid][digitDropped] += heard
}
