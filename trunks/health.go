package trunks

import (
	"sync"
	"sync/atomic"
	"time"

	"trunkline/config"
)

// Sign is something that tells whether a server of a trunk works.
type Sign uint8

const (
	OptionsAnswered    Sign = iota // any response to our OPTIONS but 503 and 408
	OptionsRefused                 // 503 or 408 to it
	OptionsSilent                  // no response to it
	OptionsUnreachable             // it could not be delivered: ICMP, a connection refused
	CallAnswered                   // any response to an INVITE but 503 and 408
	CallSilent                     // no response to an INVITE
	CallUnreachable                // it could not be delivered
)

var signNames = [...]string{"options_answered", "options_refused", "options_silent", "options_unreachable", "call_answered", "call_silent", "call_unreachable"}

// String is the sign in words for logs.
func (s Sign) String() string {
	if int(s) < len(signNames) {
		return signNames[s]
	}
	return "unknown"
}

// Health judges one server of a trunk by the signs it gives. The zero Health is up, and nothing is known of it.
//
// A server goes down after so many bad signs in a row and up after so many good ones (config.Health). Silence on
// OPTIONS counts only where OPTIONS were answered once: many carriers ignore them. Such a server goes down by calls alone, and up by
// the first call that it answers: one is let through each interval. A 503 to a call counts for nothing: carriers
// say so to pace calls.
type Health struct {
	misses, hits uint16 // in a row
	answers      bool   // OPTIONS were answered before
	down         bool
}

// After returns h after one more sign.
func (h Health) After(s Sign, p config.Health) Health {
	switch s {
	case OptionsAnswered, OptionsRefused:
		h.answers = true
	case OptionsSilent:
		if !h.answers {
			return h
		}
	}
	if s == OptionsAnswered || s == CallAnswered {
		return h.hit(p)
	}
	h.hits = 0
	h.misses = min(h.misses+1, 1<<15)
	if int(h.misses) >= p.Misses {
		h.down = true
	}
	return h
}

func (h Health) hit(p config.Health) Health {
	h.misses = 0
	h.hits = min(h.hits+1, 1<<15)
	if !h.answers || int(h.hits) >= p.Hits {
		h.down = false
	}
	return h
}

// Down reports whether no call should go to the server.
func (h Health) Down() bool { return h.down }

// serverHealth is the health of one server as it lives on through reloads.
type serverHealth struct {
	down  atomic.Bool
	trial atomic.Int64 // when a call may try a server that only calls can prove up, in Unix nanoseconds; 0: never

	clean atomic.Bool // a good sign would change nothing

	mu     sync.Mutex
	health Health
}

// Judge takes a sign of the trunk's nth server and reports whether that changed anything: the server's state, and the trunk's.
// Without health.interval it does nothing. It may be called concurrently.
func (t *Trunk) Judge(now time.Time, nth int, s Sign) (server, trunk bool) {
	if t.Health.Interval == 0 || nth < 0 || nth >= len(t.health) {
		return false, false
	}
	h := t.health[nth]
	if s == CallAnswered && h.clean.Load() {
		return false, false // the usual case, on every call
	}
	before := t.Down()
	h.mu.Lock()
	was := h.health.down
	h.health = h.health.After(s, t.Health)
	is := h.health.down
	h.down.Store(is)
	trial := int64(0)
	if is && !h.health.answers {
		trial = now.Add(t.Health.Interval.D()).UnixNano()
	}
	h.trial.Store(trial)
	h.clean.Store(!is && h.health.misses == 0)
	h.mu.Unlock()
	return was != is, before != t.Down()
}

// Tried notes that a call goes to the nth server, so that the next trial of a server that is down waits for its turn.
func (t *Trunk) Tried(now time.Time, nth int) {
	if nth < len(t.health) && t.health[nth].down.Load() && t.health[nth].trial.Load() != 0 {
		t.health[nth].trial.Store(now.Add(t.Health.Interval.D()).UnixNano())
	}
}

// ServerDown reports whether no call should go to the nth server at now.
func (t *Trunk) ServerDown(now time.Time, nth int) bool {
	if t.Health.Interval == 0 || nth >= len(t.health) || !t.health[nth].down.Load() {
		return false
	}
	trial := t.health[nth].trial.Load()
	return trial == 0 || now.UnixNano() < trial
}

// Down reports whether every server of t is down. A trunk without health.interval, or without any address, is not.
func (t *Trunk) Down() bool {
	if t.Health.Interval == 0 || len(t.health) == 0 {
		return false
	}
	for _, h := range t.health {
		if !h.down.Load() {
			return false
		}
	}
	return true
}

// usableServer reports whether a call at now may go to some server of t.
func (t *Trunk) usableServer(now time.Time) bool {
	for i := range t.health {
		if !t.ServerDown(now, i) {
			return true
		}
	}
	return false
}

// keepHealth gives t the health of those of its servers that before, the trunk of that name in the snapshot before, had too.
func (t *Trunk) keepHealth(before *Trunk) {
	t.health = make([]*serverHealth, len(t.Servers))
	for i, addr := range t.Servers {
		t.health[i] = new(serverHealth)
		if before == nil {
			continue
		}
		for j, known := range before.Servers {
			if known == addr {
				t.health[i] = before.health[j]
			}
		}
	}
}
