package sip

import (
	"testing"
	"time"

	"trunkline/sip/transport"
)

func TestOverload(t *testing.T) {
	type invite struct {
		at      time.Duration // since the first
		waited  time.Duration
		filled  float64
		refused bool
	}
	const limit = 200 * time.Millisecond
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	for _, test := range []struct {
		name    string
		invites []invite
	}{
		{"INVITEs in time are taken", []invite{{ms(0), ms(0), 0, false}, {ms(500), ms(199), .1, false}, {ms(5000), ms(199), .4, false}}},
		{"a stop of the process refuses nobody while it is made up for", []invite{{ms(0), ms(900), .2, false}, {ms(100), ms(400), .1, false}, {ms(199), ms(250), .1, false}, {ms(260), ms(10), 0, false}}},
		{"one in time begins the count anew", []invite{{ms(0), ms(300), 0, false}, {ms(190), ms(10), 0, false}, {ms(300), ms(300), 0, false}, {ms(499), ms(300), 0, false}, {ms(500), ms(300), 0, true}}},
		{"late for as long: then each late one is refused, and each in time taken", []invite{{ms(0), ms(300), 0, false}, {ms(210), ms(320), 0, true}, {ms(220), ms(190), 0, false}, {ms(230), ms(201), 0, true}}},
		{"a small buffer overflows before anything is late", []invite{{ms(0), ms(3), .6, false}, {ms(210), ms(3), .9, true}, {ms(220), ms(3), .3, false}}},
		{"late ones far apart are a coincidence", []invite{{ms(0), ms(300), 0, false}, {ms(1000), ms(300), 0, false}, {ms(2000), ms(300), 0, false}, {ms(2200), ms(300), 0, true}}},
		{"what comes late after a second of calm gets its time again", []invite{{ms(0), ms(300), 0, false}, {ms(210), ms(300), 0, true}, {ms(700), ms(10), 0, false}, {ms(1300), ms(300), 0, false}, {ms(1500), ms(300), 0, true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, start := overload{limit: limit}, time.Unix(1000, 0)
			for i, in := range test.invites {
				now := start.Add(in.at)
				o.over(now)
				refused := o.late(now, transport.Backlog{Waited: in.waited, Filled: in.filled})
				if refused != in.refused {
					t.Errorf("INVITE %d at %s, waited %s: refused %t, want %t", i, in.at, in.waited, refused, in.refused)
				}
				if refused {
					o.refuse(now, uint64(i+1))
				}
			}
		})
	}
}

// TestOverloadAsksSeldom: a hundred INVITEs a second while all is well, each one when it is not.
func TestOverloadAsksSeldom(t *testing.T) {
	o, start, asked := overload{limit: time.Second}, time.Unix(1000, 0), 0
	for i := range 10_000 { // a second
		if o.asks(start.Add(time.Duration(i) * 100 * time.Microsecond)) {
			asked++
		}
	}
	if asked != 100 {
		t.Errorf("asked %d times", asked)
	}
	now := start.Add(time.Minute)
	o.late(now, transport.Backlog{Waited: 2 * time.Second})
	for range 2 {
		if !o.asks(now) {
			t.Error("not asked after a late one")
		}
	}
}

// TestOverloadIsBehind: what may lie in the queue is waited for before anything is repeated, but only in an overload.
func TestOverloadIsBehind(t *testing.T) {
	o, now := overload{limit: time.Second}, time.Unix(1000, 0)
	if o.late(now, transport.Backlog{Waited: 2 * time.Second}); o.behind() != 0 {
		t.Errorf("behind by %s before there is an overload", o.behind())
	}
	o.refuse(now, 1)
	if o.behind() != 2*time.Second {
		t.Errorf("behind by %s", o.behind())
	}
	o.late(now, transport.Backlog{Waited: time.Millisecond})
	if o.behind() != time.Millisecond {
		t.Errorf("behind by %s when nearly caught up", o.behind())
	}
}

// TestOverloadRemembersWhomItRefused: copies of refused INVITEs are known until calm, and cost nothing after it.
func TestOverloadRemembersWhomItRefused(t *testing.T) {
	o, now := overload{limit: time.Second}, time.Unix(1000, 0)
	for hash := range uint64(1000) {
		o.lastLate = now
		if begins := o.refuse(now, hash+1); begins != (hash == 0) {
			t.Fatalf("refusal %d begins an overload: %t", hash, begins)
		}
	}
	for hash := range uint64(1000) {
		if !o.copied(hash + 1) {
			t.Fatalf("refusal %d is forgotten", hash)
		}
	}
	if o.copied(5000) || o.over(now.Add(calmAfter-1)) || !o.over(now.Add(calmAfter)) || o.copies != nil || o.over(now.Add(time.Hour)) {
		t.Errorf("%+v", o)
	}
	if o.refuse(now, 0); o.copied(1) {
		t.Error("an earlier overload is remembered")
	}
}
