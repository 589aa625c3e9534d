//go:build linux && (amd64 || arm64)

package main

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// load is the traffic of all calls, from one thread.
type load struct {
	epoll          int
	sockets        []int
	packets        [][172]byte
	sent, received int
	delays         []time.Duration
	start          time.Time
	next           int // tick
}

const ticksPerFrame = 20 // a tick is 1 ms, a frame of G.711 20 ms

func newLoad(calls int, open func(caller, callee netip.AddrPort) (int, int, error)) (*load, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	l := &load{epoll: epoll, packets: make([][172]byte, 2*calls)}
	for range calls {
		var pair [2]int
		var at [2]netip.AddrPort
		for i := range pair {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
			if err != nil {
				return nil, err
			}
			if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				return nil, err
			}
			name, err := syscall.Getsockname(fd)
			if err != nil {
				return nil, err
			}
			v4 := name.(*syscall.SockaddrInet4)
			pair[i], at[i] = fd, netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port))
			event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
			if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
				return nil, err
			}
		}
		toCaller, toCallee, err := open(at[0], at[1])
		if err != nil {
			return nil, err
		}
		for i, port := range []int{toCaller, toCallee} {
			if err := syscall.Connect(pair[i], &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
				return nil, err
			}
		}
		l.sockets = append(l.sockets, pair[0], pair[1])
	}
	for i := range l.packets {
		l.packets[i][0] = 0x80
		binary.BigEndian.PutUint32(l.packets[i][8:], uint32(i+1))
	}
	l.start = time.Now()
	return l, nil
}

// run sends and receives for a while, spinning, so that reading adds no delay of its own.
func (l *load) run(length time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var events [256]syscall.EpollEvent
	var buffer [2048]byte
	end := time.Now().Add(length)
	l.next = int(time.Since(l.start) / time.Millisecond)
	for {
		now := time.Now()
		if now.After(end.Add(50 * time.Millisecond)) {
			return
		}
		if tick := int(now.Sub(l.start) / time.Millisecond); now.Before(end) && l.next <= tick {
			l.speak(l.next)
			l.next++
		}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno != 0 {
			runtime.Gosched()
			continue
		}
		for _, event := range events[:n] {
			size, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(event.Fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0, 0, 0)
			if errno == 0 && size == 172 {
				l.received++
				l.delays = append(l.delays, time.Since(l.start)-time.Duration(binary.BigEndian.Uint64(buffer[12:])))
			}
		}
	}
}

// speak sends the packets of one tick.
func (l *load) speak(tick int) {
	for i := tick % ticksPerFrame; i < len(l.sockets); i += ticksPerFrame {
		packet := &l.packets[i]
		binary.BigEndian.PutUint16(packet[2:], binary.BigEndian.Uint16(packet[2:])+1)
		binary.BigEndian.PutUint32(packet[4:], binary.BigEndian.Uint32(packet[4:])+160)
		binary.BigEndian.PutUint64(packet[12:], uint64(time.Since(l.start)))
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(l.sockets[i]), uintptr(unsafe.Pointer(packet)), 172, 0, 0, 0); errno == 0 {
			l.sent++
		}
	}
}

// close ends the sockets of the calls.
func (l *load) close() {
	for _, fd := range l.sockets {
		syscall.Close(fd)
	}
	syscall.Close(l.epoll)
}
