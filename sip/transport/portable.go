package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// portableSocket is one UDP listener read by a goroutine of its own, for all shards.
type portableSocket struct {
	n     *Network
	conn  *net.UDPConn
	raw   syscall.RawConn
	index uint16
	local netip.AddrPort

	errs    sync.Mutex // guards quoted
	quoted  [2048]byte
	v6      bool
	pktinfo bool
}

// openPortable binds a UDP listener. Datagrams are read once run is called.
func openPortable(addr netip.AddrPort, o *Options) (conn *net.UDPConn, warning string, err error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var tuned error
		if err := c.Control(func(fd uintptr) { warning, tuned = tuneUDP(int(fd), addr.Addr(), o.SocketBuffer) }); err != nil {
			return err
		}
		return tuned
	}}
	pc, err := lc.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, "", err
	}
	conn = pc.(*net.UDPConn)
	if runtime.GOOS != "linux" {
		if err := errors.Join(conn.SetReadBuffer(o.SocketBuffer), conn.SetWriteBuffer(o.SocketBuffer)); err != nil {
			warning = err.Error()
		}
	}
	return conn, warning, nil
}

// run reads until the socket is closed.
func (k *portableSocket) run() {
	buf := make([]byte, 1<<16)
	var extra [64]byte
	for {
		n, extraLen, _, remote, err := k.conn.ReadMsgUDPAddrPort(buf, extra[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			k.takeErrors()
			continue
		}
		b := buf[:n]
		if isKeepAlive(b) {
			k.n.shared.keepAlives[UDP].Add(1)
			continue
		}
		local := k.local
		if k.pktinfo {
			if a, ok := arrivalAddress(extra[:extraLen]); ok {
				local = netip.AddrPortFrom(a, local.Port())
			}
		}
		k.n.shared.received[UDP].add(n)
		p := k.n.ports[k.n.home(b)]
		if p.in.post(Flow{Proto: UDP, Socket: k.index, Local: local, Remote: remote}, b, 0, time.Now()) {
			p.Wake()
		}
	}
}

// takeErrors tells all shards what ICMP said about earlier datagrams.
func (k *portableSocket) takeErrors() {
	k.errs.Lock()
	defer k.errs.Unlock()
	for more := true; more; {
		var remote netip.AddrPort
		var quoted []byte
		var icmp error
		if k.raw.Control(func(fd uintptr) { remote, quoted, icmp, more = nextICMP(int(fd), k.quoted[:]) }) != nil {
			return
		}
		if icmp == nil {
			continue
		}
		k.n.shared.failed[FailICMP].Add(1)
		k.n.broadcast(-1, Packet{
			Flow:  Flow{Proto: UDP, Socket: k.index, Local: k.local, Remote: remote},
			Bytes: quoted,
			Err:   fmt.Errorf("send to %s: %w", remote, icmp),
		})
	}
}

// portableSockets is one shard's share of them: datagrams come through the shard's queue, and a channel wakes it.
type portableSockets struct {
	byIndex []*portableSocket
	tick    time.Duration
	signal  chan struct{}
	timer   *time.Timer
	extra   [64]byte
}

func newPortableSockets(byIndex []*portableSocket, tick time.Duration) *portableSockets {
	s := &portableSockets{byIndex: byIndex, tick: tick, signal: make(chan struct{}, 1), timer: time.NewTimer(tick)}
	s.timer.Stop()
	return s
}

func (s *portableSockets) receive(block bool) (Packet, event) {
	if !block {
		select {
		case <-s.signal:
			return Packet{}, woken
		default:
			return Packet{}, quiet
		}
	}
	s.timer.Reset(s.tick)
	select {
	case <-s.signal:
		s.timer.Stop()
		return Packet{}, woken
	case <-s.timer.C:
		return Packet{}, quiet
	}
}

func (s *portableSockets) send(f Flow, b []byte) error {
	if int(f.Socket) >= len(s.byIndex) || s.byIndex[f.Socket] == nil {
		return ErrNoSocket
	}
	k := s.byIndex[f.Socket]
	remote := netip.AddrPortFrom(f.Remote.Addr().Unmap(), f.Remote.Port())
	if !remote.IsValid() || remote.Addr().Is6() != k.v6 || remote.Port() == 0 {
		return ErrNoSocket
	}
	extra := 0
	if k.pktinfo {
		extra = putDepartureAddress(s.extra[:], f.Local.Addr(), k.v6)
	}
	var err error
	for range 3 {
		// net waits for room in the socket buffer; this bounds the wait to a tick.
		if err = k.conn.SetWriteDeadline(time.Now().Add(s.tick)); err != nil {
			return err
		}
		_, _, err = k.conn.WriteMsgUDPAddrPort(b, s.extra[:extra], remote)
		var errno syscall.Errno
		switch {
		case err == nil:
			return nil
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.EAGAIN):
			return ErrFull
		case errors.Is(err, syscall.EMSGSIZE):
			k.takeErrors()
			return ErrTooBig
		case !errors.As(err, &errno):
			return err
		}
		k.takeErrors() // most likely the news about an earlier datagram; try again
	}
	return err
}

func (s *portableSockets) wake() bool {
	select {
	case s.signal <- struct{}{}:
	default:
	}
	return true
}

// backlog: datagrams come through the queue, which tells it.
func (s *portableSockets) backlog(time.Time) Backlog { return Backlog{} }

func (s *portableSockets) kernelDrops() uint64 { return 0 }

// close leaves the sockets to the network: all shards share them.
func (s *portableSockets) close() {}
