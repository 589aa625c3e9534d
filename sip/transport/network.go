package transport

import (
	"context"
	"crypto/x509"
	"net/netip"
)

// Listener is one address the network listens on.
type Listener struct {
	Proto  Proto
	Addr   netip.AddrPort // as bound, with the real port; a wildcard stays one
	Local  netip.AddrPort // Addr, or for a wildcard the address of this host that its traffic most likely leaves from
	SentBy string         // host:port for Via and Contact: the public address or Local
}

// Network is every socket of the edge, with one Port per shard.
type Network struct {
}

// Listen opens all listeners, or none: the error names the URL and says what is wrong with it.
func Listen(o Options) (*Network, error) { return nil, nil }

// Listeners returns the listeners in the order of Options.Listen; Flow.Socket indexes it.
func (n *Network) Listeners() []Listener { return nil }

// Port returns the door of shard 0 … Shards-1.
func (n *Network) Port(shard int) Port { return nil }

// PeerCertificate returns the verified leaf certificate the other end of a TLS connection has shown, nil if none or if the
// connection is gone.
func (n *Network) PeerCertificate(conn uint64) *x509.Certificate { return nil }

// ReloadTLS reads certificate, key and authorities again. Connections that are open stay as they are. On error the old ones stay in use.
func (n *Network) ReloadTLS() error { return nil }

// Close stops accepting, lets connections write out what is queued until ctx ends, and closes every socket. From then on each
// Port's Receive returns false at once and Send ErrClosed. The error is ctx's if something had to be cut short.
func (n *Network) Close(ctx context.Context) error { return nil }

// Pick returns the first of ls that suits a request of ours to remote: same protocol, same address family, and loopback only
// for loopback. False: there is none. A stream may also be dialled from a UDP listener's address, so for TCP and TLS
// any listener of the family will do when none of the protocol exists.
func Pick(ls []Listener, p Proto, remote netip.Addr) (socket uint16, ok bool) { return 0, false }
