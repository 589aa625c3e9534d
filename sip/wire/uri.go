package wire

import (
	"bytes"
	"net/netip"
)

// URI is a SIP, SIPS or tel URI taken apart (RFC 3261 §19.1, RFC 3966). Every field is a part of the original
// bytes: nothing is unescaped, so a user part can be carried to the other leg as it came.
// For any other scheme only Scheme is set.
type URI struct {
	Scheme, User, Password []byte // for tel: User is the number
	Host                   []byte // an IPv6 reference keeps its brackets
	Port                   int    // 1 to 65535; 0 without one
	Params                 []byte // with the leading ';'
	Headers                []byte // with the leading '?'
}

// ParseURI reads a URI that fills b. It returns a *Error with CauseURI if it is broken; a scheme we do not know
// is not an error.
func ParseURI(b []byte) (URI, error) {
	var u URI
	if !u.parse(b) {
		return URI{}, failures[failURI].answer
	}
	return u, nil
}

// IsSIP reports whether the scheme is sip or sips.
func (u *URI) IsSIP() bool {
	return equalFold(u.Scheme, "sip") || equalFold(u.Scheme, "sips")
}

// Param returns the value of a URI parameter; its name is compared without case (RFC 3261 §19.1.4).
// The value is nil if there is none.
func (u URI) Param(name string) (value []byte, ok bool) {
	for rest := u.Params; len(rest) > 0; {
		param, _, _ := cutByte(rest[1:], ';')
		rest = rest[1+len(param):]
		n, v, _ := cutByte(param, '=')
		if equalFoldAny(n, name) {
			return v, true
		}
	}
	return nil, false
}

func (u *URI) parse(b []byte) bool {
	*u = URI{}
	i := 0
	if len(b) == 0 || (b[0]|0x20)-'a' >= 26 {
		return false
	}
	for i < len(b) && charClass[b[i]]&schemeChar != 0 {
		i++
	}
	if i == len(b) || b[i] != ':' {
		return false
	}
	u.Scheme = b[:i]
	i++
	switch {
	case u.IsSIP():
		return u.parseSIP(b, i)
	case equalFold(u.Scheme, "tel"):
		end := uriRun(b, i, ';')
		u.User = b[i:end]
		if end < len(b) {
			u.Params = b[end:]
		}
		return len(u.User) > 0 && uriRun(b, end, 0) == len(b)
	}
	return i < len(b) && uriRun(b, i, 0) == len(b)
}

// parseSIP reads what follows "sip:". The first '@' ends the user part: unescaped, it cannot stand elsewhere,
// while ';' and '?' can stand before it.
func (u *URI) parseSIP(b []byte, i int) bool {
	if at := bytes.IndexByte(b[i:], '@'); at >= 0 {
		at += i
		end := userRun(b, i)
		u.User = b[i:end]
		if end < at && b[end] == ':' {
			i = end + 1
			end = userRun(b, i)
			for end < at && b[end] == ':' {
				end = userRun(b, end+1)
			}
			u.Password = b[i:end]
		}
		if end != at || len(u.User) == 0 {
			return false
		}
		i = at + 1
	}
	end, port, ok := hostPort(b, i, &u.Host, false)
	if !ok {
		return false
	}
	u.Port = port
	i = end
	if i < len(b) && b[i] == ';' {
		end = uriRun(b, i, '?')
		u.Params = b[i:end]
		i = end
	}
	if i < len(b) && b[i] == '?' {
		u.Headers = b[i:]
		i = uriRun(b, i, 0)
	}
	return i == len(b)
}

// userRun returns the end of the user characters and escapes from i on.
func userRun(b []byte, i int) int {
	for i < len(b) {
		if charClass[b[i]]&userChar != 0 {
			i++
		} else if b[i] == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			i += 3
		} else {
			break
		}
	}
	return i
}

// uriRun returns the end of the URI characters and escapes from i on, or the index of stop if that comes first.
func uriRun(b []byte, i int, stop byte) int {
	for i < len(b) && b[i] != stop {
		if charClass[b[i]]&uriChar != 0 {
			i++
		} else if b[i] == '%' && i+2 < len(b) && isHex(b[i+1]) && isHex(b[i+2]) {
			i += 3
		} else {
			break
		}
	}
	return i
}

// hostPort reads host[:port] at i and returns the index behind it. With blanks, LWS may stand round the colon,
// as in a Via's sent-by (RFC 3261 §25.1).
func hostPort(b []byte, i int, host *[]byte, blanks bool) (end, port int, ok bool) {
	start := i
	if i < len(b) && b[i] == '[' {
		for i++; i < len(b) && charClass[b[i]]&ipv6Char != 0; i++ {
		}
		if i == len(b) || b[i] != ']' || i < start+3 {
			return i, 0, false
		}
		i++
	} else {
		for i < len(b) && charClass[b[i]]&hostChar != 0 {
			i++
		}
	}
	*host = b[start:i:i]
	if i == start {
		return i, 0, false
	}
	colon := i
	if blanks {
		colon = skipBlank(b, i)
	}
	if colon == len(b) || b[colon] != ':' {
		return i, 0, true
	}
	i = colon + 1
	if blanks {
		i = skipBlank(b, i)
	}
	start = i
	for i < len(b) && b[i]-'0' <= 9 {
		port = min(port*10+int(b[i]-'0'), 65536)
		i++
	}
	return i, port, i > start && port > 0 && port <= 65535
}

// HostAddr returns the IP address a URI's or a Via's host or received parameter spells, with or without
// brackets, and false for a host name. IPv4 costs no allocation.
func HostAddr(host []byte) (netip.Addr, bool) {
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	if bytes.IndexByte(host, ':') >= 0 {
		a, err := netip.ParseAddr(string(host))
		return a, err == nil
	}
	var a [4]byte
	field, digits, value := 0, 0, 0
	for i := 0; i <= len(host); i++ {
		if i < len(host) && host[i]-'0' <= 9 {
			value = value*10 + int(host[i]-'0')
			if digits++; digits > 3 {
				return netip.Addr{}, false
			}
			continue
		}
		if digits == 0 || value > 255 || field == 4 || i < len(host) && host[i] != '.' {
			return netip.Addr{}, false
		}
		a[field] = byte(value)
		field, digits, value = field+1, 0, 0
	}
	return netip.AddrFrom4(a), field == 4
}
