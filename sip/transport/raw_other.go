//go:build !linux || (!amd64 && !arm64)

package transport

import (
	"net/netip"
	"time"
)

// haveRaw is false where the raw loop was never tried; listenUDP then takes the portable one.
const haveRaw = false

func openRawGroup(netip.AddrPort, *Options) ([]int, netip.AddrPort, string, error) {
	return nil, netip.AddrPort{}, "", errNoRaw
}

func newRawSockets(int, []Listener, map[int]int, time.Duration) sockets { return nil }

func closeRaw(int) {}
