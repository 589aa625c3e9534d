package register

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// Engine sends what a Keeper asks for; *sip.Edge is one.
type Engine interface {
	// Send starts a request outside any call.
	Send(ctx context.Context, key uint64, o sip.Outside) (*sip.Sent, error)
	// Way returns where requests to a trunk's nth address leave and go, and our
	// Contact there; false when no listener or address suits.
	Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool)
}

// Status is what is known of one trunk's registration.
type Status struct {
	Trunk   string
	State   State
	Code    int       // last final response; 0: none
	Cause   string    // one sentence on the last failure; empty when registered
	Since   time.Time // of State
	Expires time.Time // end of the binding; zero: none
	Next    time.Time // next REGISTER; zero: none planned
}

// Keeper keeps every trunk with register: true registered. Its methods may be
// called concurrently.
type Keeper struct {
	engine Engine
	log    *slog.Logger
	ctx    context.Context // of what waits for the engine; ends with Close
	cancel context.CancelFunc

	mu     sync.Mutex // taken before a registration's
	trunks map[string]*registration
	closed bool

	counting sync.Mutex // taken after a registration's
	counts   map[countKey]uint64
}

type countKey struct{ trunk, result string }

// New returns a keeper without trunks.
func New(e Engine, log *slog.Logger) *Keeper {
	k := &Keeper{engine: e, log: log, trunks: map[string]*registration{}, counts: map[countKey]uint64{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Apply makes the registrations those of the snapshot: new trunks are registered,
// spread over some seconds when there are many; changed ones are registered again
// while their binding holds; those that are gone, or another user's now, take
// their binding back; the others only learn the addresses their next REGISTER may
// go to.
func (k *Keeper) Apply(s *trunks.Snapshot) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	wanted := map[string]*trunks.Trunk{}
	for _, t := range s.Trunks {
		if t.Register {
			wanted[t.Name] = t
		}
	}
	for name, r := range k.trunks {
		if t := wanted[name]; t == nil || !r.sameRecord(t) {
			r.stop()
			delete(k.trunks, name)
		}
	}
	for name, t := range wanted {
		if r := k.trunks[name]; r != nil {
			r.change(t)
			continue
		}
		r := newRegistration(k, t)
		k.trunks[name] = r
		delay := time.Duration(0)
		if len(wanted) > 10 {
			delay = time.Duration(rand.Int64N(int64(spread)))
		}
		r.mu.Lock()
		r.plan(delay)
		r.mu.Unlock()
	}
}

// Status returns the registrations, by name of trunk.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	all := make([]Status, 0, len(k.trunks))
	for _, r := range k.trunks {
		all = append(all, r.current())
	}
	k.mu.Unlock()
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Trunk, b.Trunk) })
	return all
}

// Close takes every binding back (RFC 3261 §10.2.2) and waits for the answers
// until ctx ends. Apply does nothing after it.
func (k *Keeper) Close(ctx context.Context) {
	k.mu.Lock()
	k.closed = true
	var gone []<-chan struct{}
	for _, r := range k.trunks {
		gone = append(gone, r.stop())
	}
	clear(k.trunks)
	k.mu.Unlock()
	defer k.cancel()
	for _, done := range gone {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}

func (k *Keeper) counted(trunk, result string) {
	k.counting.Lock()
	k.counts[countKey{trunk, result}]++
	k.counting.Unlock()
}
