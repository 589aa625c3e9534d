package transport

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
)

// Network is every socket of the edge, with one Port per shard. Its methods may be called concurrently.
type Network struct {
	options   Options
	listeners []Listener
	ports     []*port
	portable  []*portableSocket // by listener; nil entries where the listener is no UDP one, empty with the raw loop
	streams   *streams
	shared    sharedTally
	readers   sync.WaitGroup // of the portable loop; they end when their socket is closed
	closing   sync.Once
	closed    error // what Close returned, once it did
}

// Listen opens all listeners, or none: the error names the URL and says what is wrong with it. Messages are taken from then on;
// those no Receive asks for wait in bounded queues.
func Listen(o Options) (*Network, error) {
	o, err := o.complete()
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	n := &Network{options: o}
	if n.streams, err = newStreams(n); err != nil {
		return nil, err
	}
	fds := make([]map[int]int, o.Shards) // per shard: listener → file descriptor
	for i := range fds {
		fds[i] = map[int]int{}
	}
	n.portable = make([]*portableSocket, len(o.Listen))
	abandon := func() {
		for _, byListener := range fds {
			for _, fd := range byListener {
				closeRaw(fd)
			}
		}
		for _, k := range n.portable {
			if k != nil {
				k.conn.Close()
			}
		}
		n.streams.closeListeners()
	}
	for i, url := range o.Listen {
		if err := n.open(i, url, fds); err != nil {
			abandon()
			return nil, fmt.Errorf("listen on %s: %w", url, plain(err))
		}
	}
	for shard := range o.Shards {
		p := &port{n: n, shard: shard, in: newInbox(o.QueueMessages, o.QueueBytes)}
		if len(fds[shard]) > 0 {
			p.sockets = newRawSockets(shard, n.listeners, fds[shard], o.Tick)
		} else {
			p.sockets = newPortableSockets(n.portable, o.Tick)
		}
		p.gate = newGate(p.sockets.close)
		n.ports = append(n.ports, p)
	}
	for _, k := range n.portable {
		if k != nil {
			n.readers.Go(k.run)
		}
	}
	n.streams.serve()
	return n, nil
}

// open binds one listener.
func (n *Network) open(i int, url string, fds []map[int]int) error {
	address, public, own := strings.Cut(url, "?public=")
	if !own {
		public = n.options.PublicAddress
	}
	proto, addr, err := parseListen(address)
	if err != nil {
		return err
	}
	warning := ""
	switch {
	case proto.Reliable():
		addr, err = n.streams.listen(uint16(i), proto, addr)
	case n.options.Loop == LoopRaw:
		var group []int
		group, addr, warning, err = openRawGroup(addr, &n.options)
		for shard, fd := range group {
			fds[shard][i] = fd
		}
	default:
		addr, warning, err = n.openPortable(i, addr)
	}
	if err != nil {
		return err
	}
	l := describe(proto, addr, public)
	if warning != "" {
		n.options.Log.Warn("sip socket", "listener", url, "warning", warning)
	}
	n.listeners = append(n.listeners, l)
	return nil
}

func (n *Network) openPortable(i int, addr netip.AddrPort) (bound netip.AddrPort, warning string, err error) {
	conn, warning, err := openPortable(addr, &n.options)
	if err != nil {
		return bound, "", err
	}
	bound = netip.AddrPortFrom(addr.Addr(), conn.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	k := &portableSocket{n: n, conn: conn, index: uint16(i), local: bound, v6: addr.Addr().Is6(), pktinfo: addr.Addr().IsUnspecified()}
	n.portable[i] = k
	k.raw, err = conn.SyscallConn()
	return bound, warning, err
}

// Shards returns the number of ports.
func (n *Network) Shards() int { return len(n.ports) }

// Listeners returns the listeners in the order of Options.Listen; Flow.Socket indexes it.
func (n *Network) Listeners() []Listener { return n.listeners }

// Port returns the door of shard 0 … Shards-1.
func (n *Network) Port(shard int) Port { return n.ports[shard] }

// PeerCertificate returns the verified leaf certificate the other end of a TLS connection has shown, nil if none or if the
// connection is gone.
func (n *Network) PeerCertificate(conn uint64) *x509.Certificate { return n.streams.certificate(conn) }

// ReloadTLS reads certificate, key and authorities again. Connections that are open stay as they are. On error the old ones stay in use.
func (n *Network) ReloadTLS() error { return n.streams.reload() }

// Stats returns what was counted so far. The numbers of a shard are as of its last tick or thousand messages.
func (n *Network) Stats() Stats {
	var s Stats
	s.addShared(&n.shared)
	for _, p := range n.ports {
		s.add(p.public.load())
		messages, news := p.in.drops()
		s.Dropped[DropQueueFull] += messages
		s.Dropped[DropNewsLost] += news
		if p.gate.enter() {
			s.Dropped[DropSocketBuffer] += p.sockets.kernelDrops()
			p.gate.leave()
		}
	}
	n.streams.count(&s)
	return s
}

// Close stops accepting, lets connections write out what is queued until ctx ends, and closes every socket. From then on each
// Port's Receive returns false at once and Send ErrClosed. The error is ctx's if something had to be cut short.
func (n *Network) Close(ctx context.Context) error {
	n.closing.Do(func() { n.closed = n.close(ctx) })
	return n.closed
}

func (n *Network) close(ctx context.Context) error {
	for _, p := range n.ports {
		p.in.close() // so that no reader waits for room
	}
	err := n.streams.close(ctx)
	for _, p := range n.ports {
		p.Wake()
		p.gate.shut()
	}
	for _, k := range n.portable {
		if k != nil {
			k.conn.Close()
		}
	}
	n.readers.Wait()
	for _, p := range n.ports {
		<-p.gate.done // a Receive leaves within a tick
	}
	return err
}

// home returns the shard for a message that arrived on no shard's own socket.
func (n *Network) home(b []byte) int {
	if len(n.ports) == 1 || n.options.Dispatch == nil {
		return 0
	}
	if shard := n.options.Dispatch(b); shard >= 0 && shard < len(n.ports) {
		return shard
	}
	return 0
}

// broadcast tells every shard but one of a failure whose sender is not known.
func (n *Network) broadcast(except int, pk Packet) {
	for _, p := range n.ports {
		if p.shard != except {
			p.fail(pk.Flow, pk.Bytes, pk.Err, pk.Ref)
		}
	}
}

// plain takes package net's decoration off an error, whose address the caller names anyway.
func plain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok && call.Syscall == "bind" {
		err = call.Err
	}
	return err
}
