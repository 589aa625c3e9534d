package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// Engine sends what a Watcher asks for; *sip.Edge is one.
type Engine interface {
	// Send starts a request outside any call.
	Send(ctx context.Context, key uint64, o sip.Outside) (*sip.Sent, error)
	// Way returns where requests to a trunk's nth address leave and go, and our
	// Contact there; false when no listener or address suits.
	Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool)
	// Judge takes a sign of a trunk's nth server and logs what changes.
	Judge(now time.Time, t *trunks.Trunk, nth int, s trunks.Sign)
}

// Watcher sends OPTIONS to every server of the trunks with health.interval. Its
// methods may be called concurrently.
type Watcher struct {
	engine Engine
	ctx    context.Context // of what waits for the engine; ends with Close
	cancel context.CancelFunc

	mu       sync.Mutex // taken before a watch's
	snapshot *trunks.Snapshot
	watches  map[server]*watch
	closed   bool

	counting sync.Mutex // taken after a watch's
	counts   map[string]*counts
}

// server names one address of a trunk.
type server struct {
	trunk string
	addr  netip.AddrPort
}

// New returns a watcher without trunks.
func New(e Engine) *Watcher {
	w := &Watcher{engine: e, watches: map[server]*watch{}, counts: map[string]*counts{}}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Apply makes the servers watched those of the snapshot. New ones begin somewhere
// within their interval, so that many trunks are spread over it.
func (w *Watcher) Apply(s *trunks.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.snapshot = s
	wanted := map[server]bool{}
	for _, t := range s.Trunks {
		if t.Health.Interval == 0 {
			continue
		}
		for i, addr := range t.Servers {
			name := server{t.Name, addr}
			if wanted[name] {
				continue
			}
			wanted[name] = true
			if known := w.watches[name]; known != nil {
				known.change(t, i)
				continue
			}
			w.watches[name] = newWatch(w, t, i)
		}
	}
	for name, known := range w.watches {
		if !wanted[name] {
			known.stop()
			delete(w.watches, name)
		}
	}
}

// Close ends all watching. Apply does nothing after it.
func (w *Watcher) Close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, known := range w.watches {
		known.stop()
	}
	clear(w.watches)
	w.cancel()
}

// jittered is an interval more or less a tenth, so that servers do not come to be
// asked together.
func jittered(interval time.Duration) time.Duration {
	return interval*9/10 + rand.N(interval/5)
}

// token is a tag or Call-ID of ours.
func token() string { return fmt.Sprintf("%016x", rand.Uint64()) }
