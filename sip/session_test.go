package sip

import (
	"testing"

	"trunkline/sip/call"
)

// The number of a pending request never says something else in a token, however many a call has had, and is nobody else's.
func TestSerialsBeginAnew(t *testing.T) {
	var c session
	long := c.add(pending{method: call.INFO, side: call.Caller}).serial
	for range 3 * lastSerial {
		p := c.add(pending{method: call.INFO, side: call.Callee})
		if p.serial == 0 || p.serial > lastSerial || p.serial == long {
			t.Fatalf("serial is %#x", p.serial)
		}
		c.remove(p.serial)
	}
	if p := c.request(long); p == nil || p.side != call.Caller {
		t.Errorf("the oldest request is %+v", p)
	}
}
