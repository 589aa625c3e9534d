package resolve

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Options of a Resolver.
type Options struct {
	Servers []netip.AddrPort // recursive resolvers, tried in this order; none: those of the system
	Timeout time.Duration    // for one server's answer; 0: 1 s, and twice that the second time round
	Cache   int              // answers kept, good and bad; 0: 4,096

	resolvConf, hosts string // files of the system; empty: /etc/resolv.conf, /etc/hosts
}

// Resolver looks names up. Its methods may be called concurrently.
type Resolver struct {
	timeout time.Duration
	system  *system
	slots   chan struct{} // exchanges in flight

	mu      sync.Mutex
	cache   cache
	flights map[question]*flight
	closed  bool

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup // one goroutine per flight
}

// New makes a Resolver. It reads the system's files only when it is asked, so that it cannot fail.
func New(o Options) *Resolver {
	if o.Timeout <= 0 {
		o.Timeout = time.Second
	}
	if o.Cache <= 0 {
		o.Cache = 4096
	}
	r := &Resolver{
		timeout: o.Timeout,
		system:  newSystem(o),
		slots:   make(chan struct{}, 64),
		cache:   newCache(o.Cache),
		flights: map[question]*flight{},
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close ends look-ups in progress and waits for them. Resolve fails with ErrUnavailable from then on, but for what is kept.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.cancel()
	r.running.Wait()
}
