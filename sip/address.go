package sip

import (
	"bytes"
	"net/netip"
	"strings"

	"trunkline/config"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// protoOf translates the configured transport.
func protoOf(t config.Transport) transport.Proto {
	switch t {
	case config.TCP:
		return transport.TCP
	case config.TLSTransport:
		return transport.TLS
	}
	return transport.UDP
}

// protoOfURI returns the transport a URI asks for (RFC 3263 §4.1, for numeric hosts).
func protoOfURI(u wire.URI) transport.Proto {
	name, _ := u.Param("transport")
	switch {
	case strings.EqualFold(string(u.Scheme), "sips"), strings.EqualFold(string(name), "tls"):
		return transport.TLS
	case strings.EqualFold(string(name), "tcp"):
		return transport.TCP
	}
	return transport.UDP
}

func defaultPort(p transport.Proto) uint16 {
	if p == transport.TLS {
		return 5061
	}
	return 5060
}

// numericHost returns the address of a URI whose host is an IP address.
func numericHost(u wire.URI) (netip.AddrPort, bool) {
	host := string(u.Host)
	if n := len(host); n > 2 && host[0] == '[' {
		host = host[1 : n-1]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, false
	}
	port := uint16(u.Port)
	if port == 0 {
		port = defaultPort(protoOfURI(u))
	}
	return netip.AddrPortFrom(addr.Unmap(), port), true
}

// numericHostNear is numericHost for a host that is most likely near, which saves
// reading it.
func numericHostNear(u wire.URI, near netip.Addr) (netip.AddrPort, bool) {
	var text [48]byte
	if u.Port == 0 || !bytes.Equal(near.AppendTo(text[:0]), u.Host) {
		return numericHost(u)
	}
	return netip.AddrPortFrom(near, uint16(u.Port)), true
}

// appendURI appends sip:user@host;params.
func appendURI(b, user []byte, host, params string) []byte {
	b = append(b, "sip:"...)
	if len(user) > 0 {
		b = append(b, user...)
		b = append(b, '@')
	}
	b = append(b, host...)
	if params != "" {
		if params[0] != ';' {
			b = append(b, ';')
		}
		b = append(b, params...)
	}
	return b
}

// HostPort is host and port of Request-URIs to a trunk: its domain, with the
// server's port when the domain is the server's host.
func HostPort(t *trunks.Trunk) string {
	if own := (config.HostPort{Host: t.Server.Host}); t.Domain == own.String() && t.Server.Port != 0 {
		return t.Server.String()
	}
	return t.Domain
}

// hostOf cuts the port off host:port.
func hostOf(hostPort string) string {
	if i := strings.LastIndexByte(hostPort, ':'); i > 0 && !strings.HasSuffix(hostPort, "]") && (hostPort[0] == '[' || strings.IndexByte(hostPort, ':') == i) {
		return hostPort[:i]
	}
	return hostPort
}
