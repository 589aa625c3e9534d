package provider

import (
	"context"
	"net/netip"
	"slices"
	"strings"
)

// pointsAtUs reports whether a SIP URI, or a plain host, leads to one of the line's addresses or hosts. A name that cannot be
// looked up does not.
func pointsAtUs(ctx context.Context, resolve Resolve, uri string, l Line) bool {
	host := hostOf(uri)
	if host == "" {
		return false
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return slices.Contains(l.Addresses, address.Unmap())
	}
	if slices.ContainsFunc(l.Hosts, func(ours string) bool { return strings.EqualFold(ours, host) }) {
		return true
	}
	found, err := resolve(ctx, host)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(found, func(a netip.Addr) bool { return slices.Contains(l.Addresses, a.Unmap()) })
}

// hostOf returns the host of "sip:user@host:port;param", "host:port" or "[v6]:port", in lower case without the last dot;
// empty when there is none.
func hostOf(uri string) string {
	rest := strings.TrimSpace(uri)
	for _, scheme := range []string{"sip:", "sips:"} {
		if len(rest) >= len(scheme) && strings.EqualFold(rest[:len(scheme)], scheme) {
			rest = rest[len(scheme):]
			break
		}
	}
	if end := strings.IndexAny(rest, ";?>"); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if v6, ok := strings.CutPrefix(rest, "["); ok {
		host, _, closed := strings.Cut(v6, "]")
		if !closed {
			return ""
		}
		return strings.ToLower(host)
	}
	if strings.Count(rest, ":") == 1 {
		rest, _, _ = strings.Cut(rest, ":")
	}
	return strings.ToLower(strings.TrimSuffix(rest, "."))
}

// e164 returns number with its plus when it is plus and digits or digits alone; empty otherwise.
func e164(number string) string {
	digits := strings.TrimPrefix(number, "+")
	if len(digits) < 3 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return "+" + digits
}

// publicOnes reports whether any of addresses can be reached from the internet.
func publicOnes(addresses []netip.Addr) bool {
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool {
		return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLoopback()
	})
}
