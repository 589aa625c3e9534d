package sip

import (
	"errors"

	"trunkline/sip/call"
	"trunkline/sip/wire"
)

const sdpType = "application/sdp"

// exchange says which half of an offer/answer pair a body is (RFC 3264).
type exchange uint8

const (
	offer exchange = iota
	answer
)

// errNoBody: an action wants a session description that the message at hand
// does not have.
var errNoBody = errors.New("no session description at hand")

// crossBody takes the session description of m, which came from a side, through
// the media bridge and returns what the other side gets. The result is valid
// until the next call. Without a bridge the body passes as it is.
func (c *session) crossBody(m *wire.Message, from call.Side, x exchange) (kind string, body []byte, err error) {
	if c.bridge == nil {
		if len(m.Body) == 0 {
			return "", nil, errNoBody
		}
		return string(m.Get(wire.HContentType)), m.Body, nil
	}
	sdp := sdpIn(m)
	if sdp == nil {
		return "", nil, errNoBody
	}
	s := c.shard
	if x == offer {
		s.sdp, err = c.bridge.Offer(mediaSide(from), sdp, s.sdp[:0])
	} else {
		s.sdp, err = c.bridge.Answer(mediaSide(from), sdp, s.sdp[:0])
	}
	return sdpType, s.sdp, err
}

// chooseBody returns the body an action asks for, and remembers it as the last
// one sent to the side.
func (c *session) chooseBody(b call.Body, m *wire.Message, to call.Side, x exchange) (kind string, body []byte, err error) {
	l := c.leg(to)
	switch b {
	case call.BodyAtHand:
		switch from := to.Other(); {
		case c.leg(from).joint.theirs:
			kind, body = sdpType, c.bodyFromJoint(from)
		case l.joint.theirs: // as it came: the other call's bridge is what it passes
			kind, body = string(m.Get(wire.HContentType)), m.Body
		default:
			kind, body, err = c.crossBody(m, from, x)
		}
		if err == nil {
			if x == offer {
				l.sdp, l.before = l.before, l.sdp
			}
			l.sdp = append(l.sdp[:0], body...)
		}
		return kind, body, err
	case call.BodyLast:
		if len(l.sdp) == 0 {
			return "", nil, errNoBody
		}
		return sdpType, l.sdp, nil
	}
	return "", nil, nil
}

// withdraw takes back the offer of a request that was refused, or not answered: the session stays as it was, and what is sent again
// of it, to refresh it, is what it was (RFC 3261 §14.1).
func (c *session) withdraw(p *pending) {
	if l := c.leg(p.side); p.fresh {
		l.sdp, l.before = l.before, l.sdp
	}
	if p.offer && c.bridge != nil {
		c.bridge.Withdraw()
	}
}

// sdpOf says what a message carries, for the machine.
func (c *session) sdpOf(m *wire.Message) call.SDP {
	if len(m.Body) == 0 {
		return call.SDPNone
	}
	if sdpIn(m) == nil {
		return call.SDPBad
	}
	return call.SDPGood
}

// sdpIn returns the session description in a message, alone or in a multipart
// body (RFC 5621), or nil.
func sdpIn(m *wire.Message) []byte { return wire.SDP(m.Get(wire.HContentType), m.Body) }
