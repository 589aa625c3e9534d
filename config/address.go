package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Listener is one socket to take SIP on: "udp://192.0.2.1:5060", and with another address to show outside
// "udp://10.0.0.5:5060?public=203.0.113.7".
type Listener struct {
	Transport Transport
	Addr      netip.AddrPort // port 0: any free one
	Public    netip.Addr     // shown in Via, Contact and SDP; invalid: sip.public_address, else Addr
}

// UnmarshalText reads the form of String.
func (l *Listener) UnmarshalText(text []byte) error {
	scheme, rest, ok := strings.Cut(string(text), "://")
	transport, known := transportOf(scheme)
	switch {
	case !ok:
		return fmt.Errorf("%q has no transport before the address", text)
	case !known:
		return fmt.Errorf("unknown transport %q", scheme)
	}
	addr, query, _ := strings.Cut(rest, "?")
	parsed := Listener{Transport: transport}
	var err error
	if parsed.Addr, err = netip.ParseAddrPort(addr); err != nil {
		if _, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
			return fmt.Errorf("%q has no port", text)
		}
		return fmt.Errorf("%q is not an address with a port", addr)
	}
	parsed.Addr = netip.AddrPortFrom(parsed.Addr.Addr().Unmap(), parsed.Addr.Port())
	if query != "" {
		name, value, _ := strings.Cut(query, "=")
		if name != "public" {
			return fmt.Errorf("unknown parameter %q", name)
		}
		if parsed.Public, err = netip.ParseAddr(value); err != nil {
			return fmt.Errorf("public %q is not an address", value)
		}
		parsed.Public = parsed.Public.Unmap()
	}
	*l = parsed
	return nil
}

// Socket is l without its public address: "udp://192.0.2.1:5060". A trunk names its listener so.
func (l Listener) Socket() string { return string(l.Transport) + "://" + l.Addr.String() }

// String returns l as written in the file.
func (l Listener) String() string {
	if l.Public.IsValid() {
		return l.Socket() + "?public=" + l.Public.String()
	}
	return l.Socket()
}

// MarshalText is String.
func (l Listener) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// Resolver is the address of a DNS server, "192.0.2.53" or "192.0.2.53:5353".
type Resolver netip.AddrPort

// UnmarshalText reads an address with or without a port; without, it is 53.
func (r *Resolver) UnmarshalText(text []byte) error {
	addr, err := netip.ParseAddrPort(string(text))
	if err != nil {
		alone, err := netip.ParseAddr(strings.Trim(string(text), "[]"))
		if err != nil {
			return fmt.Errorf("%q is neither an address nor an address with a port", text)
		}
		addr = netip.AddrPortFrom(alone, 53)
	}
	if addr.Port() == 0 || addr.Addr().IsUnspecified() || addr.Addr().IsMulticast() {
		return fmt.Errorf("%q is no address a resolver can have", text)
	}
	*r = Resolver(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
	return nil
}

// AddrPort returns r as net/netip knows it.
func (r Resolver) AddrPort() netip.AddrPort { return netip.AddrPort(r) }

// String is the address with its port.
func (r Resolver) String() string { return r.AddrPort().String() }

// MarshalText is String.
func (r Resolver) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// transportOf reads a transport in any case.
func transportOf(s string) (Transport, bool) {
	t := Transport(strings.ToLower(s))
	return t, t == UDP || t == TCP || t == TLSTransport
}

// HostPort is a host name or address with an optional port.
type HostPort struct {
	Host string // a name in lower case, or an address without brackets; empty: not set
	Port uint16 // 0: none given, RFC 3263 applies
}

// UnmarshalText reads host, host:port, [v6], [v6]:port and a bare IPv6 address; empty text is the zero HostPort.
func (h *HostPort) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*h = HostPort{}
		return nil
	}
	host, port, err := splitHostPort(string(text))
	if err != nil {
		return err
	}
	*h = HostPort{Host: host, Port: port}
	return nil
}

// IsZero reports whether nothing was given.
func (h HostPort) IsZero() bool { return h.Host == "" }

// Addr returns the host as an address, and false when it is a name.
func (h HostPort) Addr() (netip.Addr, bool) {
	a, err := netip.ParseAddr(h.Host)
	return a.Unmap(), err == nil
}

// String returns h as written in the file, an IPv6 address in brackets.
func (h HostPort) String() string { return joinHostPort(h.Host, h.Port) }

// MarshalText is String.
func (h HostPort) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func joinHostPort(host string, port uint16) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != 0 {
		return host + ":" + strconv.Itoa(int(port))
	}
	return host
}

// splitHostPort reads host, host:port, [v6], [v6]:port and a bare IPv6 address. The host comes back without brackets, a
// name in lower case.
func splitHostPort(s string) (host string, port uint16, err error) {
	if scheme, _, _ := strings.Cut(s, ":"); strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips") {
		return "", 0, fmt.Errorf("%q is a URI, not a host", s)
	}
	rest := ""
	switch {
	case strings.HasPrefix(s, "["):
		var ok bool
		if host, rest, ok = strings.Cut(s[1:], "]"); !ok {
			return "", 0, fmt.Errorf("%q has no closing bracket", s)
		}
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, fmt.Errorf("%q is not an IPv6 address", host)
		}
	case strings.Count(s, ":") > 1:
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return "", 0, fmt.Errorf("%q is neither a host with a port nor an IPv6 address", s)
		}
		host = s
	default:
		host, rest = s, ""
		if i := strings.IndexByte(s, ':'); i >= 0 {
			host, rest = s[:i], s[i:]
		}
	}
	if host == "" {
		return "", 0, errors.New("missing host")
	}
	if rest != "" {
		number, ok := strings.CutPrefix(rest, ":")
		if !ok {
			return "", 0, fmt.Errorf("%q is neither a host nor a host with a port", s)
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("port %q is not a number from 1 to 65535", number)
		}
		port = uint16(n)
	}
	if host, err = cleanHost(host); err != nil {
		return "", 0, err
	}
	return host, port, nil
}

// cleanHost returns an address in its usual form and a name in lower case (RFC 1123 §2.1; '_' is let pass for SRV names).
func cleanHost(host string) (string, error) {
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		return a.Unmap().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	bad := fmt.Errorf("%q is not a host name", host)
	if len(name) == 0 || len(name) > 253 {
		return "", bad
	}
	digitsOnly := true
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return "", bad
		}
		for i := range len(label) {
			switch c := label[i]; {
			case c >= '0' && c <= '9':
			case c >= 'a' && c <= 'z', c == '-', c == '_':
				digitsOnly = false
			default:
				return "", bad
			}
		}
	}
	if digitsOnly {
		return "", fmt.Errorf("%q is neither an address nor a host name", host)
	}
	return name, nil
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

// UnmarshalText reads the forms above.
func (s *Source) UnmarshalText(text []byte) error {
	parsed, rest := Source{}, string(text)
	if scheme, after, ok := strings.Cut(rest, "://"); ok {
		transport, known := transportOf(scheme)
		if !known {
			return fmt.Errorf("unknown transport %q", scheme)
		}
		parsed.Transport, rest = transport, after
	}
	if strings.Contains(rest, "/") {
		network, err := netip.ParsePrefix(rest)
		switch {
		case err != nil:
			return fmt.Errorf("%q is not a network", rest)
		case network.Addr().Is4In6():
			return fmt.Errorf("%q is an IPv4 network in IPv6 clothes", rest)
		case network.Bits() == 0:
			return fmt.Errorf("%q is the whole Internet", rest)
		case network != network.Masked():
			return fmt.Errorf("%q has bits behind the mask; the network is %s", rest, network.Masked())
		}
		parsed.Prefix = network
		*s = parsed
		return nil
	}
	host, port, err := splitHostPort(rest)
	if err != nil {
		return err
	}
	parsed.Port = port
	if a, err := netip.ParseAddr(host); err == nil {
		if a.IsUnspecified() {
			return fmt.Errorf("%q is no address anybody calls from", host)
		}
		parsed.Prefix = netip.PrefixFrom(a, a.BitLen())
	} else {
		parsed.Host = host
	}
	*s = parsed
	return nil
}

// String returns s as written in the file.
func (s Source) String() string {
	text := ""
	if s.Transport != "" {
		text = string(s.Transport) + "://"
	}
	switch {
	case s.Host != "":
		return text + joinHostPort(s.Host, s.Port)
	case s.Prefix.IsSingleIP() && s.Port == 0 && s.Transport == "":
		return s.Prefix.Addr().String()
	case s.Prefix.IsSingleIP():
		return text + joinHostPort(s.Prefix.Addr().String(), s.Port)
	}
	return text + s.Prefix.String()
}

// MarshalText is String.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Overlaps reports whether some request could come from both. A host name overlaps only with itself.
func (s Source) Overlaps(o Source) bool {
	if s.Port != 0 && o.Port != 0 && s.Port != o.Port {
		return false
	}
	if s.Transport != "" && o.Transport != "" && s.Transport != o.Transport {
		return false
	}
	if s.Host != "" || o.Host != "" {
		return s.Host == o.Host
	}
	return s.Prefix.Overlaps(o.Prefix)
}

// URI is the destination of an agent: sip:[user@]host[:port][;transport=udp|tcp|tls], or sips: for tls.
type URI struct {
	User      string // as written, escapes included; empty: the called number goes there
	Host      string // a name in lower case, or an address without brackets
	Port      uint16 // 0: none given, RFC 3263 applies
	Transport Transport
}

// UnmarshalText reads the form above (RFC 3261 §19.1.1).
func (u *URI) UnmarshalText(text []byte) error {
	scheme, rest, ok := strings.Cut(string(text), ":")
	parsed := URI{Transport: UDP}
	switch strings.ToLower(scheme) {
	case "sip":
	case "sips":
		parsed.Transport = TLSTransport
	default:
		return fmt.Errorf("%q is neither a sip: nor a sips: URI", text)
	}
	if !ok {
		return fmt.Errorf("%q is neither a sip: nor a sips: URI", text)
	}
	if user, after, ok := strings.Cut(rest, "@"); ok {
		if user == "" || strings.Trim(user, userCharacters) != "" {
			return fmt.Errorf("user %q holds a character that needs an escape", user)
		}
		parsed.User, rest = user, after
	}
	if strings.Contains(rest, "?") {
		return errors.New("headers after '?' are not supported")
	}
	hostport, params, _ := strings.Cut(rest, ";")
	var err error
	if parsed.Host, parsed.Port, err = splitHostPort(hostport); err != nil {
		return err
	}
	for param := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(param, "=")
		switch strings.ToLower(name) {
		case "":
		case "transport":
			transport, known := transportOf(value)
			if !known {
				return fmt.Errorf("unknown transport %q", value)
			}
			if parsed.Transport == TLSTransport && transport == UDP {
				return errors.New("sips: needs tls")
			}
			if parsed.Transport != TLSTransport {
				parsed.Transport = transport
			}
		case "lr":
		default:
			return fmt.Errorf("unknown parameter %q", name)
		}
	}
	*u = parsed
	return nil
}

// userCharacters may stand in the user part of a URI as they are (RFC 3261 §25.1: unreserved, user-unreserved, '%').
const userCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!~*'()&=+$,/%"

// String returns u as written in the file.
func (u URI) String() string {
	if u.Host == "" {
		return ""
	}
	s := "sip:"
	if u.User != "" {
		s += u.User + "@"
	}
	return s + joinHostPort(u.Host, u.Port) + ";transport=" + string(u.Transport)
}

// MarshalText is String.
func (u URI) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// PortRange is an inclusive range of ports, "20000-29999".
type PortRange struct{ First, Last uint16 }

// UnmarshalText reads the form of String.
func (r *PortRange) UnmarshalText(text []byte) error {
	first, last, ok := strings.Cut(string(text), "-")
	a, errFirst := strconv.ParseUint(strings.TrimSpace(first), 10, 16)
	b, errLast := strconv.ParseUint(strings.TrimSpace(last), 10, 16)
	if !ok || errFirst != nil || errLast != nil {
		return fmt.Errorf("%q is not a range of ports", text)
	}
	*r = PortRange{uint16(a), uint16(b)}
	return nil
}

// String returns r as written in the file.
func (r PortRange) String() string {
	return strconv.Itoa(int(r.First)) + "-" + strconv.Itoa(int(r.Last))
}

// MarshalText is String.
func (r PortRange) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
