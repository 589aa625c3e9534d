//go:build !linux

package transport

import "net/netip"

// Outside Linux the system's defaults serve: no ICMP errors per datagram, and replies on wildcard sockets leave from the address
// that the system's routing chooses.

func tuneUDP(int, netip.Addr, int) (warning string, err error) { return "", nil }

func nextICMP(int, []byte) (remote netip.AddrPort, quoted []byte, err error, ok bool) {
	return remote, nil, nil, false
}

func arrivalAddress([]byte) (netip.Addr, bool) { return netip.Addr{}, false }

func putDepartureAddress([]byte, netip.Addr, bool) int { return 0 }

func limitUnacked(uintptr, int) error { return nil }
