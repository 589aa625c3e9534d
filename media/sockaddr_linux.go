//go:build linux && (amd64 || arm64)

package media

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// sockaddr is a socket address as the kernel reads and writes it: sockaddr_in or sockaddr_in6.
type sockaddr struct {
	bytes  [syscall.SizeofSockaddrInet6]byte
	length uint32
}

// sockaddrOf encodes an address; an invalid one has length 0. Scoped (link-local) addresses lose their zone.
func sockaddrOf(a netip.AddrPort) (s sockaddr) {
	switch {
	case a.Addr().Is4():
		binary.NativeEndian.PutUint16(s.bytes[0:], syscall.AF_INET)
		quad := a.Addr().As4()
		copy(s.bytes[4:], quad[:])
		s.length = syscall.SizeofSockaddrInet4
	case a.Addr().Is6():
		binary.NativeEndian.PutUint16(s.bytes[0:], syscall.AF_INET6)
		full := a.Addr().As16()
		copy(s.bytes[8:], full[:])
		s.length = syscall.SizeofSockaddrInet6
	default:
		return s
	}
	binary.BigEndian.PutUint16(s.bytes[2:], a.Port())
	return s
}

// addrPort decodes what recvfrom wrote.
func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s.bytes[2:])
	if binary.NativeEndian.Uint16(s.bytes[0:]) == syscall.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s.bytes[4:8])), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(s.bytes[8:24])).Unmap(), port)
}
