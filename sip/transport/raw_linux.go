//go:build linux && (amd64 || arm64)

package transport

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const haveRaw = true

// rawSockets waits in the kernel without telling the runtime, so that the P stays with the thread and a datagram costs two system
// calls and nothing else. docs/decisions/0002-raw-receive.md says what that demands:
//   - every wait ends by itself (SO_RCVTIMEO, the timeout of ppoll). That also makes the runtime's preemption signal end it with
//     EINTR; without a timeout the kernel would restart the call (SA_RESTART) and the next garbage collection would wait for ever.
//   - after EINTR, and now and then under load, the shard calls runtime.Gosched.
//   - GOMAXPROCS is raised by one for each shard, see ReserveProcs.
type rawSockets struct {
	byIndex []*rawSocket // by Flow.Socket; nil where the listener is no UDP one
	all     []*rawSocket
	polls   []unix.PollFd
	tick    unix.Timespec
	last    *rawSocket // that the datagram returned last came from; nil before the first
	ready   uint64     // bit per socket that ppoll found readable and that has not been found empty since
	turn    int
	locked  bool

	to      [unix.SizeofSockaddrInet6]byte
	from    [unix.SizeofSockaddrInet6]byte
	fromLen uint32
	buf     []byte
	came    unix.Timespec     // for backlog
	info    [2]uint32         // for backlog
	scopes  map[string]uint32 // interface numbers by zone; no more entries than this host has interfaces
	zones   map[uint32]string
}

// rawSocket is one shard's socket of one UDP listener.
type rawSocket struct {
	fd       int
	index    uint16
	local    netip.AddrPort
	v6       bool
	wildcard bool // then each datagram says which of our addresses it came to, or shall leave from

	self      netip.AddrPort // where wake-ups are sent, and come from
	selfName  [unix.SizeofSockaddrInet6]byte
	selfLen   uint32
	wakeBytes [1]byte
	pending   atomic.Bool // the error queue may hold something

	in, out           unix.Msghdr // with wildcard only
	inVec, outVec     unix.Iovec
	inExtra, outExtra [64]byte
}

// newRawSockets takes over the file descriptors of one shard, one per UDP listener.
func newRawSockets(shard int, listeners []Listener, fds map[int]int, tick time.Duration) sockets {
	s := &rawSockets{
		byIndex: make([]*rawSocket, len(listeners)),
		tick:    unix.NsecToTimespec(int64(tick)),
		buf:     make([]byte, 1<<16),
		scopes:  map[string]uint32{},
		zones:   map[uint32]string{},
	}
	for i, l := range listeners {
		fd, ok := fds[i]
		if !ok {
			continue
		}
		k := &rawSocket{fd: fd, index: uint16(i), local: l.Addr, v6: l.Addr.Addr().Is6(), wildcard: l.Addr.Addr().IsUnspecified()}
		k.self = l.Addr
		if k.wildcard {
			k.self = netip.AddrPortFrom(loopback(k.v6), l.Addr.Port())
			k.in.Iov, k.in.Control = &k.inVec, &k.inExtra[0]
			k.in.SetIovlen(1)
			k.inVec.Base = &s.buf[0]
			k.inVec.SetLen(len(s.buf))
			k.in.Name = &s.from[0]
			k.out.Iov, k.out.Control = &k.outVec, &k.outExtra[0]
			k.out.SetIovlen(1)
			k.out.Name = &s.to[0]
		}
		k.selfLen = s.sockaddr(&k.selfName, k.self)
		k.wakeBytes[0] = byte(shard)
		s.byIndex[i] = k
		s.all = append(s.all, k)
		s.polls = append(s.polls, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	return s
}

func (s *rawSockets) receive(block bool) (Packet, event) {
	if !s.locked {
		runtime.LockOSThread() // for good: the shard's goroutine ends with its thread
		s.locked = true
	}
	if len(s.all) == 1 {
		flags := uintptr(0)
		if !block {
			flags = unix.MSG_DONTWAIT
		}
		return s.read(s.all[0], flags)
	}
	if s.ready == 0 {
		if ev := s.poll(block); ev != message {
			return Packet{}, ev
		}
	}
	for s.ready != 0 {
		// The next ready socket after the one served last, so that a busy one does not starve the others.
		i := bits.TrailingZeros64(s.ready >> s.turn << s.turn)
		if i == 64 {
			i = bits.TrailingZeros64(s.ready)
		}
		s.turn = i + 1
		pk, ev := s.read(s.all[i], unix.MSG_DONTWAIT)
		if ev != quiet {
			return pk, ev
		}
		s.ready &^= 1 << i
	}
	return Packet{}, skipped
}

// poll waits for any socket to become readable and marks those that are; message says some are.
func (s *rawSockets) poll(block bool) event {
	timeout := unix.Timespec{}
	if block {
		timeout = s.tick
	}
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&s.polls[0])), uintptr(len(s.polls)), uintptr(unsafe.Pointer(&timeout)), 0, 0, 0)
	switch {
	case errno == unix.EINTR:
		return interrupted
	case errno != 0 || n == 0:
		return quiet
	}
	for i := range s.polls {
		if s.polls[i].Revents != 0 {
			s.ready |= 1 << i
		}
		if s.polls[i].Revents&unix.POLLERR != 0 {
			s.all[i].pending.Store(true)
		}
	}
	return message
}

// read takes one datagram, or one error, from a socket.
func (s *rawSockets) read(k *rawSocket, flags uintptr) (Packet, event) {
	if k.pending.Load() {
		k.pending.Store(false)
		pk, ev := s.readError(k)
		if ev != quiet {
			k.pending.Store(true) // there may be more
			return pk, ev
		}
	}
	var n uintptr
	var errno syscall.Errno
	if k.wildcard {
		k.in.Namelen = uint32(len(s.from))
		k.in.SetControllen(len(k.inExtra))
		n, _, errno = syscall.RawSyscall6(unix.SYS_RECVMSG, uintptr(k.fd), uintptr(unsafe.Pointer(&k.in)), flags, 0, 0, 0)
	} else {
		s.fromLen = uint32(len(s.from))
		n, _, errno = syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(k.fd), uintptr(unsafe.Pointer(&s.buf[0])), uintptr(len(s.buf)), flags,
			uintptr(unsafe.Pointer(&s.from[0])), uintptr(unsafe.Pointer(&s.fromLen)))
	}
	switch errno {
	case 0:
	case unix.EAGAIN:
		return Packet{}, quiet
	case unix.EINTR:
		return Packet{}, interrupted
	default:
		if isUnreachable(errno) {
			k.pending.Store(true)
		}
		return Packet{}, skipped
	}
	remote := s.addrPort(&s.from)
	b := s.buf[:n:n]
	if len(b) < 4 || b[0] < 'A' {
		if len(b) <= 1 && remote == k.self {
			return Packet{}, woken
		}
		if isKeepAlive(b) {
			return Packet{}, keepAlive
		}
	}
	local := k.local
	if k.wildcard {
		if a, ok := arrivalAddress(k.inExtra[:k.in.Controllen]); ok {
			local = netip.AddrPortFrom(a, local.Port())
		}
	}
	s.last = k
	return Packet{Flow: Flow{Proto: UDP, Socket: k.index, Local: local, Remote: remote}, Bytes: b}, message
}

// backlog asks the kernel when the datagram came that was received last, and what lies behind it. In SO_MEMINFO the first number is
// what the socket's buffer holds, the second its size.
func (s *rawSockets) backlog(now time.Time) (b Backlog) {
	k := s.last
	if k == nil {
		return b
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(k.fd), unix.SIOCGSTAMPNS, uintptr(unsafe.Pointer(&s.came)))
	if errno == 0 {
		b.Waited = max(0, time.Duration(now.UnixNano()-s.came.Nano()))
	}
	s.fromLen = uint32(unsafe.Sizeof(s.info))
	_, _, errno = syscall.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(k.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&s.info[0])), uintptr(unsafe.Pointer(&s.fromLen)), 0)
	if errno == 0 && s.info[1] > 0 {
		b.Filled = min(1, float64(s.info[0])/float64(s.info[1]))
	}
	return b
}

// keepTimes makes the kernel note when each datagram came, for backlog: it begins when it is first asked. A kernel that will not leaves
// the time a datagram waited unknown.
func keepTimes(fd int) {
	var none unix.Timespec
	_, _, _ = syscall.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCGSTAMPNS, uintptr(unsafe.Pointer(&none)))
}

// readError takes one error from the socket's error queue; quiet: it is empty.
func (s *rawSockets) readError(k *rawSocket) (Packet, event) {
	remote, quoted, err, ok := nextICMP(k.fd, s.buf)
	switch {
	case !ok:
		return Packet{}, quiet
	case err == nil:
		return Packet{}, skipped
	}
	return Packet{
		Flow:  Flow{Proto: UDP, Socket: k.index, Local: k.local, Remote: remote},
		Bytes: quoted,
		Err:   fmt.Errorf("send to %s: %w", remote, err),
	}, failure
}

func (s *rawSockets) send(f Flow, b []byte) error {
	if int(f.Socket) >= len(s.byIndex) || s.byIndex[f.Socket] == nil {
		return ErrNoSocket
	}
	k := s.byIndex[f.Socket]
	size := s.sockaddr(&s.to, f.Remote)
	if size == 0 || k.v6 != (size == unix.SizeofSockaddrInet6) || f.Remote.Port() == 0 {
		return ErrNoSocket
	}
	var errno syscall.Errno
	for range 3 {
		if k.wildcard {
			errno = s.sendFrom(k, f.Local.Addr(), size, b)
		} else {
			_, _, errno = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(k.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
				unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&s.to[0])), uintptr(size))
		}
		switch errno {
		case 0:
			return nil
		case unix.EAGAIN, unix.ENOBUFS:
			return ErrFull
		case unix.EMSGSIZE:
			k.pending.Store(true) // the kernel queues this as an error, too
			return ErrTooBig
		}
		if !isUnreachable(errno) {
			return errno
		}
		// Most likely the news about an earlier datagram, told to whoever uses the socket next. This one was not sent.
		k.pending.Store(true)
	}
	return errno
}

// sendFrom sends from one of our addresses through a socket bound to all of them (RFC 3261 §18.2.2, RFC 3581 §4).
func (s *rawSockets) sendFrom(k *rawSocket, local netip.Addr, nameLen uint32, b []byte) syscall.Errno {
	k.out.Namelen = nameLen
	k.outVec.Base = unsafe.SliceData(b)
	k.outVec.SetLen(len(b))
	n := putDepartureAddress(k.outExtra[:], local, k.v6)
	k.out.SetControllen(n)
	k.out.Control = nil
	if n > 0 {
		k.out.Control = &k.outExtra[0]
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDMSG, uintptr(k.fd), uintptr(unsafe.Pointer(&k.out)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0, 0)
	k.outVec.Base = nil
	return errno
}

func (s *rawSockets) wake() bool {
	k := s.all[0]
	for range 3 {
		_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(k.fd), uintptr(unsafe.Pointer(&k.wakeBytes[0])), 1,
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&k.selfName[0])), uintptr(k.selfLen))
		if errno == 0 {
			return true
		}
		if !isUnreachable(errno) {
			return false
		}
		k.pending.Store(true)
	}
	return false
}

// kernelDrops asks the kernel; the ninth number of SO_MEMINFO counts the socket's drops.
func (s *rawSockets) kernelDrops() uint64 {
	var total uint64
	for _, k := range s.all {
		var info [9]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := syscall.Syscall6(unix.SYS_GETSOCKOPT, uintptr(k.fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 && size >= uint32(unsafe.Sizeof(info)) {
			total += uint64(info[8])
		}
	}
	return total
}

func (s *rawSockets) close() {
	for _, k := range s.all {
		unix.Close(k.fd)
	}
}

// sockaddr writes a in the kernel's form and returns its length; 0 when a is no usable address.
func (s *rawSockets) sockaddr(to *[unix.SizeofSockaddrInet6]byte, a netip.AddrPort) uint32 {
	addr := a.Addr().Unmap()
	binary.BigEndian.PutUint16(to[2:], a.Port())
	switch {
	case addr.Is4():
		binary.NativeEndian.PutUint16(to[0:], unix.AF_INET)
		ip := addr.As4()
		copy(to[4:8], ip[:])
		clear(to[8:16])
		return unix.SizeofSockaddrInet4
	case addr.Is6():
		binary.NativeEndian.PutUint16(to[0:], unix.AF_INET6)
		clear(to[4:8])
		ip := addr.As16()
		copy(to[8:24], ip[:])
		scope, ok := s.scope(addr.Zone())
		if !ok {
			return 0
		}
		binary.NativeEndian.PutUint32(to[24:], scope)
		return unix.SizeofSockaddrInet6
	}
	return 0
}

// addrPort reads an address in the kernel's form.
func (s *rawSockets) addrPort(from *[unix.SizeofSockaddrInet6]byte) netip.AddrPort {
	port := binary.BigEndian.Uint16(from[2:])
	if binary.NativeEndian.Uint16(from[0:]) == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(from[4:8])), port)
	}
	addr := netip.AddrFrom16([16]byte(from[8:24]))
	if scope := binary.NativeEndian.Uint32(from[24:]); scope != 0 && addr.IsLinkLocalUnicast() {
		addr = addr.WithZone(s.zone(scope))
	}
	return netip.AddrPortFrom(addr, port)
}

// scope returns the interface number of a zone.
func (s *rawSockets) scope(zone string) (uint32, bool) {
	if zone == "" {
		return 0, true
	}
	if n, ok := s.scopes[zone]; ok {
		return n, true
	}
	i, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, false
	}
	s.scopes[zone] = uint32(i.Index)
	return uint32(i.Index), true
}

// zone returns the name of an interface.
func (s *rawSockets) zone(scope uint32) string {
	if name, ok := s.zones[scope]; ok {
		return name
	}
	i, err := net.InterfaceByIndex(int(scope))
	if err != nil {
		return ""
	}
	s.zones[scope] = i.Name
	return i.Name
}

// isUnreachable recognises the errors that ICMP brings.
func isUnreachable(errno syscall.Errno) bool {
	switch errno {
	case unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENOPROTOOPT, unix.EPROTO, unix.EACCES, unix.EMSGSIZE:
		return true
	}
	return false
}

// openRaw opens and binds the socket of one shard of one listener. With share the other shards have theirs on the same address.
func openRaw(addr netip.AddrPort, share bool, o *Options) (fd int, bound netip.AddrPort, warning string, err error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, "", os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if share {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return -1, bound, "", os.NewSyscallError("SO_REUSEPORT", err)
		}
	}
	tick := unix.NsecToTimeval(int64(o.Tick))
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick); err != nil {
		return -1, bound, "", os.NewSyscallError("SO_RCVTIMEO", err)
	}
	if warning, err = tuneUDP(fd, addr.Addr(), o.SocketBuffer); err != nil {
		return -1, bound, "", err
	}
	keepTimes(fd)
	if err = unix.Bind(fd, unixSockaddr(addr)); err != nil {
		return -1, bound, "", err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return -1, bound, "", os.NewSyscallError("getsockname", err)
	}
	port := addr.Port()
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		port = uint16(name.Port)
	case *unix.SockaddrInet6:
		port = uint16(name.Port)
	}
	return fd, netip.AddrPortFrom(addr.Addr(), port), warning, nil
}

// openRawGroup opens one socket per shard on one address.
func openRawGroup(addr netip.AddrPort, o *Options) (fds []int, bound netip.AddrPort, warning string, err error) {
	if o.Shards > 1 && addr.Port() != 0 {
		// With SO_REUSEPORT a second process of ours would quietly take half of the traffic; ask without it first.
		fd, _, _, err := openRaw(addr, false, o)
		if err != nil {
			return nil, bound, "", err
		}
		unix.Close(fd)
	}
	for range o.Shards {
		fd, at, w, err := openRaw(addr, o.Shards > 1, o)
		if err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, bound, "", err
		}
		fds, addr, warning = append(fds, fd), at, w
	}
	if o.Shards > 1 {
		steerWakeUps(fds[0])
	}
	return fds, addr, warning, nil
}

// steerWakeUps makes datagrams of one byte go to the socket of the group with that number; a wake-up comes from the group's own
// address, so that the kernel's hash would take it to the same shard always. Without it (an old kernel) the tick does the waking.
func steerWakeUps(fd int) {
	const elsewhere = 0xffffffff // no such socket: the kernel falls back to its hash
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 1, Jf: 2},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_RET | unix.BPF_A},
		{Code: unix.BPF_RET | unix.BPF_K, K: elsewhere},
	}
	_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

func unixSockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	sa := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if zone := a.Addr().Zone(); zone != "" {
		if i, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(i.Index)
		}
	}
	return sa
}

func closeRaw(fd int) { unix.Close(fd) }
