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

// Room is made for many at once: sources that are all new cost a look at all of them now and then, and not one look each.
func TestMakeRoom(t *testing.T) {
	shares := map[int]bool{}
	for i := range maxSourcesKept {
		shares[i] = i%8 == 0
	}
	makeRoom(shares, func(quiet bool) bool { return quiet })
	if n := len(shares); n != maxSourcesKept*3/4 {
		t.Errorf("%d are left", n)
	}
	for i, quiet := range shares {
		if quiet {
			t.Fatalf("%d is quiet and was kept", i)
		}
	}
}
