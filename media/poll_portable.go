package media

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// portableEngine reads each jack in its own goroutine, on package net. It serves where the raw engine does not
// exist, and the tests run on both.
type portableEngine struct {
	clock func() time.Duration
	stray func()
	wg    sync.WaitGroup
}

// portableDatagram is the largest datagram it relays, in bytes: each goroutine needs a buffer of its own.
const portableDatagram = 2048

func (e *portableEngine) lanes() int   { return 1 }
func (e *portableEngine) keeps() bool  { return false }
func (e *portableEngine) threads() int { return 0 }

func (e *portableEngine) open(_ int, p *pair) openResult {
	var err error
	if p.rtp.conn, err = listen(p.rtp.local); err != nil {
		return openResultOf(err)
	}
	if p.rtcp.conn, err = listen(p.rtcp.local); err != nil {
		p.rtp.conn.Close()
		return openResultOf(err)
	}
	e.wg.Go(func() { e.read(&p.rtp) }) // both end when the jacks are closed
	e.wg.Go(func() { e.read(&p.rtcp) })
	return opened
}

func listen(local netip.AddrPort) (*net.UDPConn, error) {
	network := "udp4"
	if local.Addr().Is6() {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	conn.SetReadBuffer(receiveRoom) // a smaller buffer than wanted is no reason to refuse a call
	return conn, nil
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

func (e *portableEngine) read(j *jack) {
	buffer := make([]byte, portableDatagram+1+sealRoom)
	for {
		n, source, err := j.conn.ReadFromUDPAddrPort(buffer[:portableDatagram+1])
		if errors.Is(err, net.ErrClosed) {
			return
		}
		user := j.user.Load()
		switch {
		case user == nil:
			e.stray()
			continue
		case err != nil || n > portableDatagram:
			user.discard(Malformed)
			continue
		}
		out, packet := user.take(buffer[:n], netip.AddrPortFrom(source.Addr().Unmap(), source.Port()), e.clock())
		if out == nil {
			continue
		}
		if _, err := user.other.Load().jack.conn.WriteToUDPAddrPort(packet, out.dest); err != nil {
			user.drop(packet, SendFailed)
		}
	}
}

func (e *portableEngine) write(j *jack, to *route, packet []byte) bool {
	_, err := j.conn.WriteToUDPAddrPort(packet, to.dest)
	return err == nil
}

func (e *portableEngine) close(p *pair) {
	p.rtp.conn.Close()
	p.rtcp.conn.Close()
}

func (e *portableEngine) stop() { e.wg.Wait() }
