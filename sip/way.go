package sip

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// Way returns where requests to a trunk's nth address (counted round its list)
// leave and go, and our Contact value there. It reports false when the trunk has
// no address or no listener suits it.
func (e *Edge) Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool) {
	if len(t.Servers) == 0 {
		return transport.Flow{}, "", false
	}
	f := transport.Flow{Proto: protoOf(t.Transport), Remote: t.Servers[nth%len(t.Servers)], Peer: e.ways.Load().peers.byTrunk[t.Name]}
	socket, ok := e.socketFor(t, f)
	if !ok {
		return transport.Flow{}, "", false
	}
	f.Socket = socket
	return f, string(e.contact(f)), true
}

// Choose returns which of a trunk's servers a request goes to next, by index; -1:
// none is left. Bits of tried mark those not to be taken. The server where the
// trunk is registered comes first, then the others as SRV orders them, those that
// are down or failed lately last.
func (e *Edge) Choose(t *trunks.Trunk, tried uint64) int {
	tried |= e.Avoid(t, tried)
	if i := e.registered(t, tried); i >= 0 {
		return i
	}
	return t.Choose(tried, rand.Uint64())
}

// Avoid marks the servers of a trunk that no listener suits and, as long as others
// than those of tried are left, those that are down or failed lately.
func (e *Edge) Avoid(t *trunks.Trunk, tried uint64) uint64 {
	now, proto := time.Now(), protoOf(t.Transport)
	avoided := e.avoid(now, t, t.Servers, proto, tried, func(nth int) bool { return t.ServerDown(now, nth) })
	if t.Choose(tried|avoided, 0) < 0 {
		avoided = e.avoid(now, t, t.Servers, proto, tried, nil)
	}
	return avoided
}

// avoid marks servers that no listener suits or that are down and, as long as
// others are left, those that failed lately (RTE-05). A single server is never
// avoided. t is nil for the servers of an agent. down tells of the nth server; nil:
// none is.
func (e *Edge) avoid(now time.Time, t *trunks.Trunk, servers []netip.AddrPort, p transport.Proto, tried uint64, down func(nth int) bool) uint64 {
	if len(servers) < 2 {
		return 0
	}
	var unsuited, resting, dead, all uint64
	for i := range servers[:min(len(servers), 64)] {
		all |= 1 << i
		_, suits := e.socketFor(t, transport.Flow{Proto: p, Remote: servers[i]})
		switch {
		case !suits:
			unsuited |= 1 << i
		case down != nil && down(i):
			dead |= 1 << i
		case e.rests.Resting(now, servers[i]):
			resting |= 1 << i
		}
	}
	switch {
	case unsuited == all:
		return 0 // the attempt fails and says why
	case all&^(tried|unsuited|dead|resting) != 0:
		return unsuited | dead | resting
	}
	return unsuited | dead
}

// Peer returns what is demanded of, and shown to, the server of a trunk over TCP or
// TLS. For a trunk of the snapshot in force it is the one of its calls; for another
// its files are read, and the same ones give the same peer, so that its requests
// share a connection. It is nil where there is nothing to demand.
func (e *Edge) Peer(t *trunks.Trunk) (*transport.Peer, error) {
	if e.snapshot.Load().Trunk(t.Name) == t {
		return e.ways.Load().peers.byTrunk[t.Name], nil
	}
	if t.Transport != config.TLSTransport {
		return nil, nil
	}
	id, fresh, err := peerOf(t)
	if err != nil {
		return nil, err
	}
	id.ping, fresh.Ping = 0, 0
	if known, ok := e.peers.Load(id); ok {
		return known.(*transport.Peer), nil
	}
	if e.peerCount.Add(1) > maxStrangePeers { // connections of forgotten ones end when they are idle
		e.peers.Clear()
		e.peerCount.Store(1)
	}
	e.peers.Store(id, fresh)
	return fresh, nil
}

const maxStrangePeers = 1000

// socketFor returns the listener that requests to a trunk leave from: the one it
// names, else the first that suits.
func (e *Edge) socketFor(t *trunks.Trunk, f transport.Flow) (uint16, bool) {
	if t != nil && t.Listener != "" {
		for i := range e.listeners {
			if l := &e.listeners[i]; strings.ToLower(l.Proto.String())+"://"+l.Addr.String() == t.Listener {
				return uint16(i), true
			}
		}
	}
	return transport.Pick(e.listeners, f.Proto, f.Remote.Addr())
}
