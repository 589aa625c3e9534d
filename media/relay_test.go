package media

import "testing"

func TestMediaFlowsBothWays(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		for range 3 {
			c.caller.speak(c.forCaller, "hello")
			c.callee.expect("hello")
			c.callee.speak(c.forCallee, "hi")
			c.caller.expect("hi")
		}
	})
}
