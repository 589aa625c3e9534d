package media

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// portableEngine reads each socket in its own goroutine, on package net. It serves where the raw engine does not
// exist, and the tests run on both.
type portableEngine struct {
	clock func() time.Duration
	wg    sync.WaitGroup
}

func (e *portableEngine) threads() int { return 0 }

func (e *portableEngine) open(rtp, rtcp *socket) openResult {
	for _, s := range []*socket{rtp, rtcp} {
		if s == nil {
			continue
		}
		conn, err := listen(s.local)
		if err != nil {
			if s == rtcp {
				rtp.conn.Close()
				rtp.conn = nil
			}
			return openResultOf(err)
		}
		s.conn = conn
	}
	e.wg.Go(func() { e.read(rtp) }) // ends when the connection is closed
	if rtcp != nil {
		e.wg.Go(func() { e.read(rtcp) })
	}
	return opened
}

func listen(local netip.AddrPort) (*net.UDPConn, error) {
	network := "udp4"
	if local.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
	if err == nil {
		err = conn.SetReadBuffer(receiveRoom)
	}
	return conn, err
}

func openResultOf(err error) openResult {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return portTaken
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return noAddress
	}
	return noSockets
}

func (e *portableEngine) read(s *socket) {
	packet := make([]byte, 2048) // longer ones cannot be told from cut ones here; RTP over UDP stays under 1500
	for {
		n, source, err := s.conn.ReadFromUDPAddrPort(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.discard(Malformed)
			continue
		}
		out := s.take(packet[:n], netip.AddrPortFrom(source.Addr().Unmap(), source.Port()), e.clock())
		if out == nil {
			continue
		}
		if _, err := s.other.Load().conn.WriteToUDPAddrPort(packet[:n], out.dest); err != nil {
			s.drop(packet[:n], SendFailed)
		}
	}
}

func (e *portableEngine) close(s *socket) {
	if s.conn != nil && !s.closed.Swap(true) {
		s.conn.Close()
	}
}

func (e *portableEngine) stop() { e.wg.Wait() }

// noEngine counts ports and opens nothing.
type noEngine struct{}

func (noEngine) open(*socket, *socket) openResult { return opened }
func (noEngine) close(s *socket)                  { s.closed.Store(true) }
func (noEngine) stop()                            {}
func (noEngine) threads() int                     { return 0 }
