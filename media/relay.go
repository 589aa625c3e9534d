package media

import (
	"net/netip"
	"time"
)

// Engine is the way packets are read and written.
type Engine uint8

// The engines.
const (
	EngineAuto     Engine = iota // raw where it exists, else portable
	EngineRaw                    // Linux: few threads with epoll and raw system calls
	EnginePortable               // a goroutine per socket, on package net
	EngineNone                   // no sockets: ports are counted in a fixed order and nothing flows; for tests in a synctest bubble
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
	PortLow, PortHigh int           // UDP ports to use on each local address, both included; 0, 0 = 20000–29999
	Threads           int           // relay threads of the raw engine; 0 = one per CPU. They start with the first bridge
	Engine            Engine        // how packets are read
	Latch             Latch         // for sides that Bridge.Peer says nothing about
	Quarantine        time.Duration // how long a port rests before it is used again; 0 = 5 s, negative = not at all
	// Advertise maps a local address to the one descriptions show in its place; an address that is not in it shows as itself.
	Advertise map[netip.Addr]netip.Addr
	// Random makes session ids and the order of ports; nil = unpredictable. With EngineNone, nil = counted from 1.
	Random func() uint64
}

// Relay owns the media ports and the threads that serve them. Its methods may be called from any goroutine.
type Relay struct {
	options Options
}

// New makes a relay. No socket or thread exists before the first bridge carries an offer. The error says which option is wrong.
func New(o Options) (*Relay, error) { return &Relay{options: o}, nil }

// Threads returns how many scheduler slots (Ps) the relay may keep occupied while it waits for packets.
// Run with GOMAXPROCS = cores + this number, or ordinary goroutines get less than the machine has.
func (r *Relay) Threads() int { return 0 }

// Close ends every bridge and thread and returns when they are gone. A closed relay refuses offers with 503.
func (r *Relay) Close() {}
