package sip

import (
	"encoding/binary"
	"net/netip"
)

// putAddrPort and getAddrPort store an address in 18 bytes. A zone is lost.
func putAddrPort(b []byte, a netip.AddrPort) {
	raw := a.Addr().As16()
	copy(b, raw[:])
	binary.LittleEndian.PutUint16(b[16:], a.Port())
}

func getAddrPort(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[:16])).Unmap(), binary.LittleEndian.Uint16(b[16:]))
}
