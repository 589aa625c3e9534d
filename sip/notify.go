package sip

import (
	"strconv"
	"time"

	"trunkline/sip/call"
	"trunkline/sip/wire"
)

// notify tells the side that asked for a transfer how it goes (RFC 3515 §2.4.4, §2.4.5). What happens while a NOTIFY has no
// answer is told when it has, so that a lost one does not come after its successor; the last one does not wait.
func (c *session) notify(now time.Time, a call.Action) {
	if a.Code == 100 { // the first of its subscription
		c.refers++
		c.subscription = subscription{event: c.transfer.event, silent: c.transfer.silent}
	}
	t := &c.subscription
	switch {
	case t.silent:
	case t.underway != 0 && a.Code < 200:
		t.next = a.Code
	default:
		t.next = 0
		c.sendNotify(now, a.Side, a.Fork, a.Code)
	}
}

// notified takes the answer to a NOTIFY, whatever it is.
func (c *session) notified(now time.Time, p pending) {
	t := &c.subscription
	if t.underway != p.serial {
		return
	}
	t.underway = 0
	if code := t.next; code != 0 && !c.leg(p.side).left {
		t.next = 0
		c.sendNotify(now, p.side, p.fork, code)
	}
}

func (c *session) sendNotify(now time.Time, side call.Side, fork uint8, code uint16) {
	s, t := c.shard, &c.subscription
	b := append(s.line[:0], "Event: refer"...)
	if t.event != 0 {
		b = strconv.AppendUint(append(b, ";id="...), uint64(t.event), 10)
	}
	if code < 200 {
		b = append(b, "\r\nSubscription-State: active;expires=180\r\n"...)
	} else {
		b = append(b, "\r\nSubscription-State: terminated;reason=noresource\r\n"...)
	}
	fragment := wire.AppendStatusLine(nil, int(code), wire.ReasonPhrase(int(code)))
	s.line = wire.AppendBody(b, "message/sipfrag;version=2.0", fragment)
	p := c.add(pending{method: call.NOTIFY, side: side, fork: fork, own: true})
	t.underway = p.serial
	c.send(now, p, s.line, maxForwards)
}
