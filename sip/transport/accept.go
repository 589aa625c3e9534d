package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// streamListener is one TCP or TLS listener.
type streamListener struct {
	net.Listener
	proto Proto
	index uint16
}

// listen binds a TCP or TLS listener; connections are taken once serve is called.
func (s *streams) listen(index uint16, p Proto, addr netip.AddrPort) (bound netip.AddrPort, err error) {
	if p == TLS && s.tls.Load().certificate == nil {
		return bound, errors.New("a TLS listener needs a certificate and its key")
	}
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	lc := net.ListenConfig{Control: s.control}
	nl, err := lc.Listen(context.Background(), network, addr.String())
	if err != nil {
		return bound, err
	}
	s.listeners = append(s.listeners, &streamListener{Listener: nl, proto: p, index: index})
	return netip.AddrPortFrom(addr.Addr(), addrPortOf(nl.Addr()).Port()), nil
}

// serve starts accepting.
func (s *streams) serve() {
	for _, l := range s.listeners {
		s.all.Go(func() { s.acceptFrom(l) })
	}
}

// acceptFrom runs until the listener is closed. Any other error, most likely a lack of file descriptors, passes: the listener stays.
func (s *streams) acceptFrom(l *streamListener) {
	const longest = time.Second
	pause := time.Duration(0)
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accept(l, nc)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			if pause == 0 {
				s.n.options.Log.Warn("accept", "listener", l.Addr().String(), "error", err)
			}
			pause = min(max(2*pause, 5*time.Millisecond), longest)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
				return
			}
		}
	}
}

// greet completes an accepted connection and serves it until it ends.
func (c *conn) greet(raw net.Conn) {
	if !c.connected(raw) {
		return
	}
	if c.key.proto != TLS {
		c.serve(raw)
		return
	}
	secured, leaf, err := c.s.handshakeServer(c.ctx, raw)
	if err != nil {
		c.s.n.shared.dropped[DropHandshake].Add(1)
		c.close(ClosedError, err)
		return
	}
	c.certificate.Store(leaf)
	c.serve(secured)
}
