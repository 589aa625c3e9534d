package register

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Engine sends what a Keeper asks for; *sip.Edge is one.
type Engine interface {
	// Send starts a request outside any call.
	Send(ctx context.Context, key uint64, o sip.Outside) (*sip.Sent, error)
	// Way returns where requests to a trunk's nth address leave and go, and our
	// Contact there; false when no listener or address suits.
	Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool)
	// Avoid marks the servers of a trunk that are not to be asked while others than those of tried are left.
	Avoid(t *trunks.Trunk, tried uint64) uint64
	// Seen returns our address as a response to a request on f shows it, where we must show that one.
	Seen(f transport.Flow, m *wire.Message) netip.AddrPort
	// Ping sends a keep-alive from the shard that key falls to.
	Ping(key uint64, f transport.Flow)
	// Bound says what the registrar of a trunk holds from now on, for its calls; nil: nothing.
	Bound(trunk string, b *sip.Binding)
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

	Server   netip.AddrPort // asked last; the one that holds the binding when registered
	Contact  string         // that the registrar holds; empty: none
	Seen     netip.AddrPort // our address as the registrar sees it, where Contact shows that one; else invalid
	Routes   []string       // Service-Route
	Failures int            // tries in a row that have failed
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
	others []Status // of trunks that do not register
	closed bool

	counting sync.Mutex // taken after a registration's
	counts   map[countKey]uint64
	delays   map[string]*delays // by trunk
}

type countKey struct{ trunk, result string }

// New returns a keeper without trunks.
func New(e Engine, log *slog.Logger) *Keeper {
	k := &Keeper{engine: e, log: log, trunks: map[string]*registration{}, counts: map[countKey]uint64{}, delays: map[string]*delays{}}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k
}

// Apply makes the registrations those of the snapshot: new trunks are registered,
// spread in time; changed ones are registered again
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
	k.others = nil
	for _, t := range s.Trunks {
		if t.Register {
			wanted[t.Name] = t
		} else {
			k.others = append(k.others, Status{Trunk: t.Name, State: Disabled})
		}
	}
	for name, r := range k.trunks {
		if t := wanted[name]; t == nil || !r.sameRecord(t) {
			r.stop()
			delete(k.trunks, name)
		}
	}
	starting := 0
	for name, t := range wanted {
		if r := k.trunks[name]; r != nil {
			r.change(t)
			delete(wanted, name)
		} else {
			starting++
		}
	}
	nth := 0
	for name, t := range wanted {
		r := newRegistration(k, t)
		k.trunks[name] = r
		r.mu.Lock()
		r.plan(startAfter(nth, starting, rand.Float64()))
		r.mu.Unlock()
		nth++
	}
}

// Status returns the registrations, by name of trunk, with those trunks that do not
// register as Disabled.
func (k *Keeper) Status() []Status {
	k.mu.Lock()
	all := append(make([]Status, 0, len(k.trunks)+len(k.others)), k.others...)
	for _, r := range k.trunks {
		all = append(all, r.current())
	}
	k.mu.Unlock()
	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.Trunk, b.Trunk) })
	return all
}

// Close takes every binding back (RFC 3261 §10.2.2), a thousand a second, and waits
// for the answers until ctx ends. Apply does nothing after it.
func (k *Keeper) Close(ctx context.Context) {
	k.mu.Lock()
	k.closed = true
	all := slices.Collect(maps.Values(k.trunks))
	clear(k.trunks)
	k.mu.Unlock()
	defer k.cancel()
	var gone []<-chan struct{}
	for n, r := range all {
		gone = append(gone, r.stop())
		if n%stopTogether == stopTogether-1 {
			select {
			case <-time.After(stopTogether * stopPause):
			case <-ctx.Done():
				return
			}
		}
	}
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

// granted counts a try that went well.
func (k *Keeper) granted(trunk string, took time.Duration) {
	k.counting.Lock()
	k.counts[countKey{trunk, "ok"}]++
	d := k.delays[trunk]
	if d == nil {
		d = new(delays)
		k.delays[trunk] = d
	}
	d.add(took)
	k.counting.Unlock()
}

// Of returns the registration of one trunk, by its name; false when it does not register.
func (k *Keeper) Of(trunk string) (Status, bool) {
	k.mu.Lock()
	r := k.trunks[trunk]
	k.mu.Unlock()
	if r == nil {
		return Status{}, false
	}
	return r.current(), true
}
