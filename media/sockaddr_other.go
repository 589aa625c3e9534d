//go:build !(linux && (amd64 || arm64))

package media

import "net/netip"

// sockaddr is not needed where packets go through package net.
type sockaddr struct{}

func sockaddrOf(netip.AddrPort) sockaddr { return sockaddr{} }
