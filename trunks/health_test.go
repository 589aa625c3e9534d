package trunks

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/config"
)

// RTE-09: what takes a server down, and up again.
func TestHealth(t *testing.T) {
	words := map[byte]Sign{'a': OptionsAnswered, 'r': OptionsRefused, 's': OptionsSilent, 'u': OptionsUnreachable, 'A': CallAnswered, 'S': CallSilent, 'U': CallUnreachable}
	for _, test := range []struct {
		name  string
		signs string
		want  string // after each sign: + up, - down
	}{
		{"silence alone proves nothing", "ssssssss", "++++++++"},
		{"silence after an answer does", "asss", "+++-"},
		{"refusals and errors do", "rur", "++-"},
		{"any answer in between begins anew", "assassas", "++++++++"},
		{"two hits take it up", "asssaa", "+++--+"},
		{"a miss in between begins anew", "asssasaa", "+++----+"},
		{"a call's answer is a hit as well", "asssaA", "+++--+"},
		{"calls without answer take it down where OPTIONS are ignored", "sSsSsS", "+++++-"},
		{"and the first that is answered takes it up", "SSSsA", "++--+"},
		{"an error of a call counts", "SUS", "++-"},
		{"calls that are answered hide silence", "aAsAsAsAs", "+++++++++"},
		{"one miss short", "assAuu", "++++++"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var h Health
			var got strings.Builder
			for _, c := range []byte(test.signs) {
				h = h.After(words[c], config.Health{Misses: 3, Hits: 2})
				got.WriteByte(map[bool]byte{false: '+', true: '-'}[h.Down()])
			}
			if got.String() != test.want {
				t.Errorf("%s\ngot  %s\nwant %s", test.signs, got.String(), test.want)
			}
		})
	}
}

const watched = `trunks: [{name: a, server: two.example, health: {interval: 30s, misses: 1, hits: 1}}, {name: b, server: 192.0.2.9}]`

var twoServers = Names{{Name: "two.example", Transport: config.UDP}: {at("192.0.2.1:5060"), at("192.0.2.2:5060")}}

// RTE-09, RTE-10: a trunk is down when all its servers are; it stays so through a reload, by address.
func TestTrunkIsDownWithAllItsServers(t *testing.T) {
	s := build(t, watched, twoServers)
	a, now := s.Trunk("a"), time.Now()
	if server, trunk := a.Judge(now, 0, OptionsRefused); !server || trunk || a.Down() || !a.ServerDown(now, 0) || a.ServerDown(now, 1) {
		t.Errorf("after the first: %t %t %t", server, trunk, a.Down())
	}
	if server, trunk := a.Judge(now, 1, OptionsUnreachable); !server || !trunk || !a.Down() {
		t.Errorf("after the second: %t %t %t", server, trunk, a.Down())
	}
	if server, trunk := a.Judge(now, 1, OptionsUnreachable); server || trunk {
		t.Error("nothing changed, but was said to")
	}
	cfg := load(t, watched)
	next, err := s.Rebuild(cfg, Names{{Name: "two.example", Transport: config.UDP}: {at("192.0.2.2:5060"), at("192.0.2.3:5060")}})
	if err != nil {
		t.Fatal(err)
	}
	if moved := next.Trunk("a"); !moved.ServerDown(now, 0) || moved.ServerDown(now, 1) || moved.Down() {
		t.Error("the health did not follow the address")
	}
	b := s.Trunk("b")
	for range 10 {
		b.Judge(now, 0, OptionsUnreachable)
	}
	if b.Down() || b.Usable(now) != NoReason {
		t.Error("a trunk without health.interval is down")
	}
}

// RTE-09: where OPTIONS are ignored, one call each interval may find out.
func TestTrials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := build(t, strings.Replace(watched, "two.example", "192.0.2.1", 1), nil).Trunk("a")
		a.Judge(time.Now(), 0, CallSilent)
		if !a.Down() || a.Usable(time.Now()) != TrunkDown {
			t.Fatal("up")
		}
		time.Sleep(30 * time.Second)
		if !a.Down() || a.Usable(time.Now()) != NoReason {
			t.Error("no call may try")
		}
		a.Tried(time.Now(), 0)
		if a.Usable(time.Now()) != TrunkDown {
			t.Error("a second call may try")
		}
		time.Sleep(30 * time.Second)
		a.Tried(time.Now(), 0)
		if _, up := a.Judge(time.Now(), 0, CallAnswered); !up || a.Usable(time.Now()) != NoReason {
			t.Error("still down")
		}
		a.Judge(time.Now(), 0, OptionsAnswered)
		a.Judge(time.Now(), 0, OptionsSilent)
		time.Sleep(10 * time.Minute)
		if a.Usable(time.Now()) != TrunkDown {
			t.Error("OPTIONS are answered there: no call is to be risked")
		}
	})
}
