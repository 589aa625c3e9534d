package sip

import (
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	l := limiter{rate: 10}
	now := time.Unix(1000, 0)
	passed := 0
	for i := range 5000 { // five seconds, a thousand a second
		if l.allow(now.Add(time.Duration(i) * time.Millisecond)) {
			passed++
		}
	}
	if passed < 55 || passed > 60 {
		t.Errorf("%d passed in 5 s at 10 a second with 10 at once", passed)
	}
}
