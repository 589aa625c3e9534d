package config

import (
	"net/netip"
	"strconv"
)

// Listener is one socket to take SIP on: "udp://192.0.2.1:5060", and with another address to show outside
// "udp://10.0.0.5:5060?public=203.0.113.7".
type Listener struct {
	Transport Transport
	Addr      netip.AddrPort
	Public    netip.Addr // shown in Via, Contact and SDP; invalid: sip.public_address, else Addr
}

// String returns l as written in the file.
func (l Listener) String() string {
	s := string(l.Transport) + "://" + l.Addr.String()
	if l.Public.IsValid() {
		s += "?public=" + l.Public.String()
	}
	return s
}

// HostPort is a host name or address with an optional port.
type HostPort struct {
	Host string // a name in lower case, or an address without brackets; empty: not set
	Port uint16 // 0: none given, RFC 3263 applies
}

// IsZero reports whether nothing was given.
func (h HostPort) IsZero() bool { return h.Host == "" }

// Addr returns the host as an address, and false when it is a name.
func (h HostPort) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(h.Host)
	return a.Unmap(), err == nil
}

// String returns h as written in the file, an IPv6 address in brackets.
func (h HostPort) String() string {
	s := h.Host
	if a, ok := h.Addr(); ok && a.Is6() {
		s = "[" + s + "]"
	}
	if h.Port != 0 {
		s += ":" + strconv.Itoa(int(h.Port))
	}
	return s
}

// Source says where a trunk or agent calls from: an address, a network or a host name, narrowed to a transport
// or a port where several share one address (RFC 5853 §3.5):
// "192.0.2.7", "192.0.2.0/24", "sip.example.com", "192.0.2.7:5080", "tls://192.0.2.7", "udp://[2001:db8::7]:5060".
type Source struct {
	Transport Transport    // empty: any
	Prefix    netip.Prefix // of the address or network; invalid when Host is a name
	Host      string       // name to resolve; empty when Prefix is valid
	Port      uint16       // 0: any
}

// URI is the destination of an agent: sip:[user@]host[:port][;transport=udp|tcp|tls], or sips: for tls.
type URI struct {
	User      string // as written, escapes included; empty: the called number goes there
	Host      string // a name in lower case, or an address without brackets
	Port      uint16 // 0: none given, RFC 3263 applies
	Transport Transport
}

// PortRange is an inclusive range of ports, "20000-29999".
type PortRange struct{ First, Last uint16 }

// String returns r as written in the file.
func (r PortRange) String() string {
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}
