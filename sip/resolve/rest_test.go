package resolve

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

func TestRest(t *testing.T) {
	type failure struct{ at, retryAfter time.Duration }
	const s = time.Second
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name     string
		failures []failure
		want     time.Duration // until when it rests
	}{
		{"none", nil, 0},
		{"the first", []failure{{0, 0}}, 30 * s},
		{"each doubles the rest", []failure{{0, 0}, {30 * s, 0}, {90 * s, 0}}, 210 * s},
		{"up to five minutes", []failure{{0, 0}, {100 * s, 0}, {300 * s, 0}, {600 * s, 0}, {1000 * s, 0}, {2000 * s, 0}}, 2300 * s},
		{"failures of requests sent before do not count", []failure{{0, 0}, {1 * s, 0}, {29 * s, 0}}, 30 * s},
		{"a wish is granted", []failure{{0, 7 * s}}, 7 * s},
		{"but not for ever", []failure{{0, 1000 * time.Hour}}, time.Hour},
		{"a wish does not shorten the rest", []failure{{0, 0}, {1 * s, 2 * s}}, 30 * s},
		{"a wish lengthens the rest", []failure{{0, 0}, {1 * s, 60 * s}}, 61 * s},
	} {
		t.Run(test.name, func(t *testing.T) {
			var r Rest
			for _, f := range test.failures {
				r = r.Failed(start.Add(f.at), f.retryAfter)
			}
			until := start.Add(test.want)
			if r.Resting(until) || test.want > 0 && !r.Resting(until.Add(-1)) {
				t.Errorf("rests until %s, want %s", r.Until.Sub(start), test.want)
			}
		})
	}
}

func TestRestsAreBounded(t *testing.T) {
	var m Rests
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(i int) netip.AddrPort {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], uint32(0x0a000000+i))
		return netip.AddrPortFrom(netip.AddrFrom4(a), 5060)
	}
	if m.Resting(now, at(0)) {
		t.Error("rests before it failed")
	}
	for i := range 2 * maxRests {
		m.Failed(now, at(i), 0)
	}
	if n := m.Count(now); n != maxRests {
		t.Errorf("%d are remembered, want %d", n, maxRests)
	}
	if !m.Resting(now, at(0)) || m.Resting(now, at(maxRests)) {
		t.Error("not the first ones are remembered")
	}
	m.Worked(at(0))
	if m.Resting(now, at(0)) {
		t.Error("rests though it has answered")
	}
	later := now.Add(time.Hour)
	m.Failed(later, at(0), 0)
	m.Failed(later, at(maxRests), 0)
	if n := m.Count(later); n != 2 {
		t.Errorf("%d rest after an hour, want 2", n)
	}
}
