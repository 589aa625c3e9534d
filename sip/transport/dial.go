package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// dial opens the connection and serves it until it ends. The source port is the kernel's choice, never a listener's; the source
// address is that of the listener unless it listens on all.
func (c *conn) dial(local netip.Addr) {
	ctx, cancel := context.WithTimeout(c.ctx, c.s.n.options.ConnectTimeout)
	defer cancel()
	d := net.Dialer{Control: c.s.control}
	if !local.IsUnspecified() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	remote := c.key.remote
	raw, err := d.DialContext(ctx, "tcp", remote.String())
	if err != nil {
		c.close(ClosedError, fmt.Errorf("connect to %s: %w", remote, plain(err)))
		return
	}
	if !c.connected(raw) {
		return
	}
	if c.key.proto != TLS {
		c.serve(raw)
		return
	}
	cfg, bare := c.s.clientTLS(remote, c.key.peer)
	secured := tls.Client(raw, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		c.close(ClosedError, tlsError(remote, err, *bare))
		return
	}
	c.certificate.Store(secured.ConnectionState().PeerCertificates[0]) // which verify has found good
	c.serve(secured)
}

// control sets what every TCP socket of ours has.
func (s *streams) control(_, _ string, rc syscall.RawConn) error {
	var set error
	err := rc.Control(func(fd uintptr) { set = limitUnacked(fd, int(s.n.options.UnackedTimeout.Milliseconds())) })
	if err != nil {
		return err
	}
	return set
}
