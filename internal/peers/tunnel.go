package peers

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// tunnel gives TLS to a peer that speaks only TCP, as Debian's SIPp does. Bytes pass unchanged.
type tunnel struct {
	listener net.Listener
	dial     func() (net.Conn, error)
	copying  sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
}

// TunnelOut listens on plain TCP at listen and speaks TLS to remote, leaving from the host of listen.
func TunnelOut(t testing.TB, listen, remote netip.AddrPort, config *tls.Config) {
	t.Helper()
	dialer := &tls.Dialer{Config: config, NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: listen.Addr().AsSlice()}}}
	startTunnel(t, listenTCP(t, listen), func() (net.Conn, error) { return dialer.Dial("tcp", remote.String()) })
}

// TunnelIn listens on TLS at listen and speaks plain TCP to remote.
func TunnelIn(t testing.TB, listen, remote netip.AddrPort, config *tls.Config) {
	t.Helper()
	startTunnel(t, tls.NewListener(listenTCP(t, listen), config), func() (net.Conn, error) { return net.Dial("tcp", remote.String()) })
}

// Wire passes TCP on unchanged from listen to remote, leaving from the host of listen, until cut.
type Wire struct{ tunnel *tunnel }

// NewWire opens a wire.
func NewWire(t testing.TB, listen, remote netip.AddrPort) Wire {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: listen.Addr().AsSlice()}}
	return Wire{startTunnel(t, listenTCP(t, listen), func() (net.Conn, error) { return dialer.Dial("tcp", remote.String()) })}
}

// Cut resets the connections there are; new ones may be opened.
func (w Wire) Cut() {
	w.tunnel.mu.Lock()
	defer w.tunnel.mu.Unlock()
	for c := range w.tunnel.open {
		if c, ok := c.(*net.TCPConn); ok {
			c.SetLinger(0) // RST in place of FIN
		}
		c.Close()
	}
}

func listenTCP(t testing.TB, at netip.AddrPort) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// startTunnel runs until the test ends.
func startTunnel(t testing.TB, listener net.Listener, dial func() (net.Conn, error)) *tunnel {
	u := &tunnel{listener: listener, dial: dial, open: map[net.Conn]bool{}}
	u.copying.Go(func() { // ends when the listener closes
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			u.copying.Go(func() { u.join(t, near) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		u.mu.Lock()
		for c := range u.open {
			c.Close()
		}
		u.mu.Unlock()
		u.copying.Wait()
	})
	return u
}

// join copies both ways until either side closes.
func (u *tunnel) join(t testing.TB, near net.Conn) {
	far, err := u.dial()
	if err != nil {
		t.Logf("tunnel: %v", err)
		near.Close()
		return
	}
	u.mu.Lock()
	u.open[near], u.open[far] = true, true
	u.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			io.Copy(way[0], way[1])
			way[0].Close()
			way[1].Close()
		})
	}
	both.Wait()
	u.mu.Lock()
	delete(u.open, near)
	delete(u.open, far)
	u.mu.Unlock()
}
