package media

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Engine is the way packets are read and written.
type Engine uint8

// The engines.
const (
	EngineAuto     Engine = iota // raw where it exists, else portable
	EngineRaw                    // Linux: few threads with epoll and raw system calls
	EnginePortable               // a goroutine per socket, on package net
	EngineNone                   // no sockets: ports are counted in a fixed order and nothing flows but by Relay.Inject; for tests in a synctest bubble
)

// Latch says which packet sources are believed besides the one a description names. RFC 7362 §4 and §5.
type Latch uint8

// The latching policies.
const (
	LatchAuto   Latch = iota // any first source if the party seems to be behind a NAT, else as LatchStrict
	LatchStrict              // the described host or the host its SIP comes from, on any port
	LatchAny                 // the first source, whoever it is
)

// Options are the settings of a relay. The zero value works.
type Options struct {
	PortLow, PortHigh int    // UDP ports to use on each local address, both included; 0, 0 = 20000–29999
	Threads           int    // relay threads of the raw engine; 0 = one per CPU. Fewer if the ports are few
	Engine            Engine // how packets are read
	Latch             Latch  // for sides that Bridge.Peer says nothing about
	// Quarantine is how long a port rests before it is used again; 0 = 3 s, negative = not at all. A relay that runs
	// short of ports or descriptors goes down to 200 ms.
	Quarantine time.Duration
	Keep       time.Duration // how long the raw engine keeps a socket open for the next call; 0 = 30 s
	// Advertise maps a local address to the one descriptions show in its place; an address that is not in it shows as itself.
	Advertise map[netip.Addr]netip.Addr
	// Outlet is where packets go with EngineNone, by any goroutine; the slice is good until it returns. nil = nothing flows.
	Outlet func(from, to netip.AddrPort, packet []byte)
	// Random makes session ids and the order of ports; nil = unpredictable. With EngineNone, nil = counted from 1.
	Random func() uint64
}

// Relay owns the media ports and the threads that serve them. Its methods may be called from any goroutine.
type Relay struct {
	options Options
	engine  engine
	pools   portPools
	seed    maphash.Seed
	start   time.Time
	random  func() uint64

	opening sync.RWMutex // held for reading while a path is opened, for writing by Close
	closed  bool

	mu    sync.Mutex
	paths *path  // those open, a list
	gone  totals // what flowed on those closed

	strays atomic.Uint64 // packets to ports that no call uses

	replaced [codecs]atomic.Uint64 // telephone-events of ours that left in place of a packet, by its codec
	inserted atomic.Uint64         // and by themselves
}

// New makes a relay. No socket or thread exists before the first bridge carries an offer. The error says which option is wrong.
func New(o Options) (*Relay, error) {
	if o.PortLow == 0 && o.PortHigh == 0 {
		o.PortLow, o.PortHigh = 20000, 29999
	}
	if o.PortLow < 1024 || o.PortHigh > 65535 || o.PortLow+o.PortLow&1 >= o.PortHigh {
		return nil, fmt.Errorf("media: ports %d–%d: want a range inside 1024–65535 that holds an even port and the odd one above it", o.PortLow, o.PortHigh)
	}
	if o.Threads == 0 {
		o.Threads = runtime.NumCPU()
	}
	if o.Threads < 0 || o.Threads > 256 {
		return nil, fmt.Errorf("media: %d threads: want 1–256, or 0 for one per CPU", o.Threads)
	}
	// Both sides of a call take a pair on the same thread's lane; lanes of a few ports would leave single ones unused.
	o.Threads = max(1, min(o.Threads, (o.PortHigh-o.PortLow+1)/2/leastLane))
	if o.Quarantine == 0 {
		o.Quarantine = 3 * time.Second
	}
	o.Quarantine = max(o.Quarantine, 0)
	if o.Keep == 0 {
		o.Keep = 30 * time.Second
	}
	r := &Relay{options: o, seed: maphash.MakeSeed(), start: time.Now(), random: o.Random}
	shuffle := rand.Shuffle
	if o.Engine == EngineNone {
		shuffle = nil
	}
	if r.random == nil {
		r.random = rand.Uint64
		if o.Engine == EngineNone {
			r.random = counter()
		}
	}
	switch {
	case o.Engine == EngineNone:
		r.engine = &noEngine{clock: r.clock, outlet: o.Outlet, jacks: map[netip.AddrPort]*jack{}}
	case o.Engine == EngineRaw || o.Engine == EngineAuto && haveRaw:
		raw, err := newRawEngine(o.Threads, r.clock, r.trim, r.stray)
		if err != nil {
			return nil, err
		}
		r.engine = raw
	case o.Engine == EnginePortable || o.Engine == EngineAuto:
		r.engine = &portableEngine{clock: r.clock, stray: r.stray}
	default:
		return nil, fmt.Errorf("media: unknown engine %d", o.Engine)
	}
	r.pools = portPools{
		low: o.PortLow, high: o.PortHigh, quarantine: o.Quarantine, least: min(o.Quarantine, 200*time.Millisecond),
		lanes: r.engine.lanes(), shuffle: shuffle, pools: map[netip.Addr][]*ports{},
	}
	return r, nil
}

// leastLane is how many port pairs a thread should have to itself.
const leastLane = 32

// counter counts in steps that leave the session ids, which are the upper bits, at 1, 2, 3 …
func counter() func() uint64 {
	var n atomic.Uint64
	return func() uint64 { return n.Add(1) << 33 }
}

// clock is the time since the relay's start; never 0, which means never.
func (r *Relay) clock() time.Duration { return time.Since(r.start) + 1 }

// stray counts a packet to a port that no call uses, by any reader.
func (r *Relay) stray() { r.strays.Add(1) }

// Threads returns how many scheduler slots (Ps) the relay may keep occupied while it waits for packets.
// Run with GOMAXPROCS = cores + this number, or ordinary goroutines get less than the machine has.
func (r *Relay) Threads() int { return r.engine.threads() }

// Ports returns how many UDP ports are taken, RTP and RTCP, and how many there are on the addresses met so far.
func (r *Relay) Ports() (inUse, limit int) {
	inUse, limit = r.pools.used()
	return 2 * inUse, 2 * limit
}

// Close ends the media of every bridge, and the threads, and returns when they are gone. A closed relay refuses
// offers with 503; its bridges still want to be closed by their owners.
func (r *Relay) Close() {
	r.opening.Lock()
	was := r.closed
	r.closed = true
	r.opening.Unlock()
	if was {
		return
	}
	r.mu.Lock()
	for p := r.paths; p != nil; p = p.next {
		for side := range p.sides {
			if c := p.sides[side].rtp.route.Load().converter; c != nil {
				c.stop()
			}
			p.sides[side].pair.pullOut()
			if !r.engine.keeps() {
				r.engine.close(p.sides[side].pair)
			}
		}
	}
	r.mu.Unlock()
	r.engine.stop()
}

// shown returns what descriptions show for a local address, or the zero address if there is nothing to show.
func (r *Relay) shown(local netip.Addr) netip.Addr {
	if show, ok := r.options.Advertise[local]; ok {
		return show
	}
	if local.IsUnspecified() {
		return netip.Addr{}
	}
	return local
}
