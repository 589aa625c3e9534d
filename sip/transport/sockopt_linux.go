package transport

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tuneUDP sets what every UDP socket of ours has: large buffers (one lost 200 can cost a call), ICMP errors told per datagram,
// fragmentation instead of errors for what exceeds a path's MTU, and the address each datagram came to on wildcard sockets.
// The warning says that the buffers are smaller than asked.
func tuneUDP(fd int, addr netip.Addr, buffer int) (warning string, err error) {
	v6 := addr.Is6()
	type option struct {
		name       string
		level, opt int
		value      int
	}
	var options []option
	if v6 {
		options = []option{
			{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			{"IPV6_RECVERR", unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1},
			{"IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT},
		}
		if addr.IsUnspecified() {
			options = append(options, option{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1})
		}
	} else {
		options = []option{
			{"IP_RECVERR", unix.IPPROTO_IP, unix.IP_RECVERR, 1},
			{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT},
		}
		if addr.IsUnspecified() {
			options = append(options, option{"IP_PKTINFO", unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
		}
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return "", os.NewSyscallError(o.name, err)
		}
	}
	received := setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, buffer)
	sent := setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, buffer)
	if received < buffer || sent < buffer {
		warning = fmt.Sprintf("socket buffers are %d and %d bytes, wanted %d: raise net.core.rmem_max and wmem_max", received, sent, buffer)
	}
	return warning, nil
}

// setBuffer asks for a buffer size, over the system's limit if we may, and returns what was given.
func setBuffer(fd, force, plain, size int) int {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size) // the size read back below tells
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, plain)
	if err != nil {
		return 0
	}
	return got / 2 // the kernel reports twice the size, for its own overhead
}

// nextICMP takes one entry from a socket's error queue. ok is false when the queue is empty; err is nil for entries that do not mean
// that the datagram to remote was lost for good. quoted, inside buf, is what the error quoted of that datagram.
func nextICMP(fd int, buf []byte) (remote netip.AddrPort, quoted []byte, err error, ok bool) {
	var extra [512]byte
	n, extraLen, _, to, rerr := unix.Recvmsg(fd, buf, extra[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if rerr == unix.EINTR {
		return remote, nil, nil, true
	}
	if rerr != nil {
		return remote, nil, nil, false
	}
	switch to := to.(type) {
	case *unix.SockaddrInet4:
		remote = netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port))
	case *unix.SockaddrInet6:
		remote = netip.AddrPortFrom(netip.AddrFrom16(to.Addr), uint16(to.Port))
	}
	for level, kind, data, rest := nextControl(extra[:extraLen]); data != nil; level, kind, data, rest = nextControl(rest) {
		isError := level == unix.IPPROTO_IP && kind == unix.IP_RECVERR || level == unix.IPPROTO_IPV6 && kind == unix.IPV6_RECVERR
		if !isError || len(data) < int(unsafe.Sizeof(unix.SockExtendedErr{})) {
			continue
		}
		errno := syscall.Errno(binary.NativeEndian.Uint32(data))
		origin := data[4]
		if (origin == unix.SO_EE_ORIGIN_ICMP || origin == unix.SO_EE_ORIGIN_ICMP6) && errno != unix.EMSGSIZE {
			err = errno
		}
	}
	return remote, buf[:n:n], err, true
}

// arrivalAddress reads from a datagram's control data which of our addresses it came to.
func arrivalAddress(control []byte) (netip.Addr, bool) {
	for level, kind, data, rest := nextControl(control); data != nil; level, kind, data, rest = nextControl(rest) {
		switch {
		case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(data[8:12])), true
		case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(data[:16])), true
		}
	}
	return netip.Addr{}, false
}

// putDepartureAddress writes the control data that make a datagram leave from one of our addresses and returns its length; 0 when the kernel may
// choose.
func putDepartureAddress(control []byte, local netip.Addr, v6 bool) int {
	local = local.Unmap()
	if !local.IsValid() || local.IsUnspecified() || local.IsMulticast() || local.Is6() != v6 {
		return 0
	}
	size := unix.SizeofInet4Pktinfo
	level, kind := unix.IPPROTO_IP, unix.IP_PKTINFO
	if v6 {
		size = unix.SizeofInet6Pktinfo
		level, kind = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	}
	clear(control[:unix.CmsgSpace(size)])
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(size))
	data := control[unix.CmsgLen(0):]
	if v6 {
		ip := local.As16()
		copy(data[:16], ip[:])
	} else {
		ip := local.As4()
		copy(data[4:8], ip[:]) // ipi_spec_dst
	}
	return unix.CmsgSpace(size)
}

// nextControl splits off the first control message; data is nil when there is none.
func nextControl(b []byte) (level, kind int32, data, rest []byte) {
	if len(b) < unix.SizeofCmsghdr {
		return 0, 0, nil, nil
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	size := int(h.Len)
	if size < unix.SizeofCmsghdr || size > len(b) {
		return 0, 0, nil, nil
	}
	data = b[unix.CmsgLen(0):size:size]
	if next := unix.CmsgSpace(size - unix.CmsgLen(0)); next < len(b) {
		rest = b[next:]
	}
	return h.Level, h.Type, data, rest
}

// limitUnacked breaks a TCP connection whose peer has not acknowledged our bytes for that many milliseconds.
func limitUnacked(fd uintptr, milliseconds int) error {
	return os.NewSyscallError("TCP_USER_TIMEOUT", unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, milliseconds))
}
