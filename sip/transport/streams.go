package transport

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"trunkline/sip/wire"
)

// streams is the pool of TCP and TLS connections: those that came to us and those we opened.
//
// It is kept by number (Flow.Conn), and by where a connection leads. Accepted connections are never filed under our own
// address, and the key holds the local listener, the remote address and, for what we dialled, the Peer demanded, so that a message can only
// leave over a connection to the very place and name it is meant for.
type streams struct {
	n         *Network
	listeners []*streamListener
	tls       atomic.Pointer[tlsSettings]
	ctx       context.Context // ends when connections must be gone
	stop      context.CancelCauseFunc
	all       sync.WaitGroup // accept loops and connections; they end by closeListeners and close

	mu        sync.Mutex
	closed    bool
	lastID    uint64
	byID      map[uint64]*conn
	byKey     map[connKey]*conn
	perSource map[netip.Addr]int // accepted ones only, so it is bounded by MaxAccepted
	accepted  [TLS + 1]int
	dialled   [TLS + 1]int
}

// connKey says where a connection leads.
type connKey struct {
	proto  Proto
	socket uint16
	remote netip.AddrPort
	peer   *Peer
}

func newStreams(n *Network) (*streams, error) {
	s := &streams{n: n, byID: map[uint64]*conn{}, byKey: map[connKey]*conn{}, perSource: map[netip.Addr]int{}}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	return s, s.reload()
}

// send queues b on the connection the flow asks for, opening one if there is none.
func (s *streams) send(shard int, f Flow, b []byte, ref uint64) error {
	if len(b) > wire.MaxMessage {
		s.n.shared.dropped[DropSendError].Add(1)
		return ErrTooBig
	}
	for {
		c, err := s.find(f)
		if err == nil {
			err = c.queue(shard, b, ref)
		}
		switch err {
		case errGone: // closed in between: it is not in the pool any more
			continue
		case nil:
		case ErrFull:
			s.n.shared.dropped[DropSendFull].Add(1)
		default:
			s.n.shared.dropped[DropSendError].Add(1)
		}
		return err
	}
}

// find returns an open connection for the flow, or one that is being opened.
func (s *streams) find(f Flow) (*conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if c := s.byID[f.Conn]; c != nil {
		return c, nil
	}
	remote := netip.AddrPortFrom(f.Remote.Addr().Unmap(), f.Remote.Port())
	if !remote.IsValid() || remote.Port() == 0 || remote.Addr().IsUnspecified() || int(f.Socket) >= len(s.n.listeners) {
		return nil, ErrNoSocket
	}
	local := s.n.listeners[f.Socket].Addr.Addr()
	if local.Is6() != remote.Addr().Is6() {
		return nil, ErrNoSocket
	}
	k := connKey{proto: f.Proto, socket: f.Socket, remote: remote, peer: f.Peer}
	if c := s.byKey[k]; c != nil && (c.dialled || c.vouchesFor(f.Peer)) {
		return c, nil
	}
	if c := s.byKey[connKey{proto: f.Proto, socket: f.Socket, remote: remote}]; c != nil && !c.dialled && c.vouchesFor(f.Peer) {
		return c, nil
	}
	if s.dialled[TCP]+s.dialled[TLS] >= s.n.options.MaxDialled {
		return nil, ErrLimit
	}
	c := s.add(k, Flow{Proto: f.Proto, Socket: f.Socket, Remote: remote, Peer: f.Peer}, true)
	s.byKey[k] = c
	s.dialled[f.Proto]++
	s.all.Go(func() { c.dial(local) })
	return c, nil
}

// accept takes in a connection that came to a listener, unless there are too many.
func (s *streams) accept(l *streamListener, nc net.Conn) {
	remote := addrPortOf(nc.RemoteAddr())
	s.mu.Lock()
	source := sourceOf(remote.Addr())
	if s.closed || s.accepted[TCP]+s.accepted[TLS] >= s.n.options.MaxAccepted || s.perSource[source] >= s.n.options.MaxPerSource {
		refused := !s.closed
		s.mu.Unlock()
		if refused {
			s.n.shared.dropped[DropConnection].Add(1)
		}
		nc.Close()
		return
	}
	k := connKey{proto: l.proto, socket: l.index, remote: remote}
	c := s.add(k, Flow{Proto: l.proto, Socket: l.index, Local: addrPortOf(nc.LocalAddr()), Remote: remote}, false)
	s.perSource[source]++
	s.accepted[l.proto]++
	s.all.Go(func() { c.greet(nc) })
	s.mu.Unlock()
}

// add makes a connection known by number. The caller holds mu.
func (s *streams) add(k connKey, f Flow, dialled bool) *conn {
	s.lastID++
	f.Conn = s.lastID
	c := &conn{s: s, key: k, flow: f, dialled: dialled, signal: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	s.byID[f.Conn] = c
	return c
}

// file makes an accepted connection known by where it leads, once it has proven who it is. A connection we dialled there keeps its place.
func (s *streams) file(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[c.flow.Conn] == c && s.byKey[c.key] == nil {
		s.byKey[c.key] = c
	}
}

// remove takes a connection out of the pool, so that nobody finds it any more.
func (s *streams) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID[c.flow.Conn] != c {
		return
	}
	delete(s.byID, c.flow.Conn)
	if s.byKey[c.key] == c {
		delete(s.byKey, c.key)
	}
	if c.dialled {
		s.dialled[c.flow.Proto]--
		return
	}
	s.accepted[c.flow.Proto]--
	source := sourceOf(c.flow.Remote.Addr())
	if s.perSource[source]--; s.perSource[source] == 0 {
		delete(s.perSource, source)
	}
}

func (s *streams) certificate(id uint64) *x509.Certificate {
	s.mu.Lock()
	c := s.byID[id]
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.certificate.Load()
}

func (s *streams) count(to *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	to.Accepted, to.Dialled = s.accepted, s.dialled
}

func (s *streams) closeListeners() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// close lets every connection write what it has, until ctx ends, and waits until all are gone.
func (s *streams) close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	open := make([]*conn, 0, len(s.byID))
	for _, c := range s.byID {
		open = append(open, c)
	}
	s.mu.Unlock()
	s.closeListeners()
	for _, c := range open {
		c.finish()
	}
	gone := make(chan struct{})
	go func() { // ends with the connections, at the latest when stop has closed them
		s.all.Wait()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		err = fmt.Errorf("close stream connections: %w", context.Cause(ctx))
	}
	s.stop(ErrClosed)
	for _, c := range open {
		c.close(ClosedShutdown, ErrClosed)
	}
	<-gone
	return err
}

// sourceOf is what MaxPerSource counts by: an IPv4 address, or the /64 that one IPv6 host or site has for itself.
func sourceOf(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	p, _ := a.WithZone("").Prefix(64)
	return p.Addr()
}

func addrPortOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
