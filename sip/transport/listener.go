package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is one address the network listens on.
type Listener struct {
	Proto  Proto
	Addr   netip.AddrPort // as bound, with the real port; a wildcard stays one
	Local  netip.AddrPort // Addr, or for a wildcard the address of this host that its traffic most likely leaves from
	SentBy string         // host:port for Via and Contact: the public address or Local
}

// Pick returns the first of ls that suits a request of ours to remote: same protocol, same address family, and loopback only
// for loopback. False: there is none. A stream may also be dialled from a UDP listener's address, so for TCP and TLS
// any listener of the family will do when none of the protocol exists.
func Pick(ls []Listener, p Proto, remote netip.Addr) (socket uint16, ok bool) {
	remote = remote.Unmap()
	best, rank := 0, 0
	for i, l := range ls {
		a := l.Addr.Addr()
		if a.Is6() != remote.Is6() || l.Proto != p && !p.Reliable() {
			continue
		}
		r := 1
		if l.Proto == p {
			r += 2
		}
		switch {
		case a.IsUnspecified():
		case a.IsLoopback() == remote.IsLoopback():
			r++
		case a.IsLoopback():
			continue // nothing outside can be reached from a loopback address
		}
		if r > rank {
			best, rank = i, r
		}
	}
	return uint16(best), rank > 0
}

// parseListen reads "proto://address[:port]".
func parseListen(url string) (Proto, netip.AddrPort, error) {
	scheme, rest, found := strings.Cut(url, "://")
	if !found {
		return 0, netip.AddrPort{}, errors.New("want udp://, tcp:// or tls:// and an address")
	}
	var p Proto
	port := uint16(5060)
	switch strings.ToLower(scheme) {
	case "udp":
		p = UDP
	case "tcp":
		p = TCP
	case "tls":
		p, port = TLS, 5061
	default:
		return 0, netip.AddrPort{}, fmt.Errorf("unknown transport %q: want udp, tcp or tls", scheme)
	}
	if a, err := netip.ParseAddr(unbracket(rest)); err == nil {
		return p, netip.AddrPortFrom(a.Unmap(), port), nil
	}
	a, err := netip.ParseAddrPort(rest)
	if err != nil {
		return 0, netip.AddrPort{}, fmt.Errorf("%q is not an IP address with a port", rest)
	}
	return p, netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), nil
}

// describe completes a listener that is bound to addr.
func describe(p Proto, addr netip.AddrPort, public string) Listener {
	l := Listener{Proto: p, Addr: addr, Local: addr}
	if addr.Addr().IsUnspecified() {
		l.Local = netip.AddrPortFrom(likelySource(addr.Addr().Is6()), addr.Port())
	}
	l.SentBy = sentBy(public, l.Local)
	return l
}

// sentBy applies the public address to a listener's own.
func sentBy(public string, local netip.AddrPort) string {
	own := netip.AddrPortFrom(local.Addr().WithZone(""), local.Port()).String()
	if public == "" {
		return own
	}
	port := strconv.Itoa(int(local.Port()))
	host := unbracket(public)
	if _, err := netip.ParseAddr(host); err != nil {
		if h, p, err := net.SplitHostPort(public); err == nil {
			host, port = h, p
		}
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is6() != local.Addr().Is6() {
		return own
	}
	return net.JoinHostPort(host, port)
}

// unbracket takes the brackets off an IPv6 address without a port.
func unbracket(s string) string {
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		return s[1 : len(s)-1]
	}
	return s
}

// likelySource asks the kernel which address of this host a packet to a far address would leave from. Nothing is sent.
func likelySource(v6 bool) netip.Addr {
	network, far := "udp4", "192.0.2.1:9"
	if v6 {
		network, far = "udp6", "[2001:db8::1]:9"
	}
	c, err := (&net.Dialer{}).DialContext(context.Background(), network, far)
	if err != nil {
		return loopback(v6)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}

func loopback(v6 bool) netip.Addr {
	if v6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
