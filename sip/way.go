package sip

import (
	"strings"

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
	f := transport.Flow{Proto: protoOf(t.Transport), Remote: t.Servers[nth%len(t.Servers)], Peer: e.ways.Load().peers[t.Name]}
	socket, ok := e.socketFor(t, f)
	if !ok {
		return transport.Flow{}, "", false
	}
	f.Socket = socket
	return f, string(e.contact(f)), true
}

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
