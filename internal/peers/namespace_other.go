//go:build !linux

package peers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
)

// Namespace is a network of its own; only Linux has them. A nil one is the test's own network.
type Namespace struct{ Addr netip.Addr }

// JoinNamespaces makes two networks and a bad line between them.
func JoinNamespaces(testing.TB, BadLine) (a, b *Namespace, count *Carried, err error) {
	return nil, nil, nil, errors.New("network namespaces need Linux")
}

// JoinBehindNAT makes a private network and one outside.
func JoinBehindNAT(testing.TB) (inside, outside *Namespace, nat *NAT, err error) {
	return nil, nil, nil, errors.New("network namespaces need Linux")
}

// Do runs f in the network.
func (n *Namespace) Do(f func()) { f() }

// Dial connects to an address of the network.
func (n *Namespace) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}
