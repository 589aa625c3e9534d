package wire

import (
	"net/netip"
	"strconv"
	"strings"
)

// AppendRequestLine writes "METHOD uri SIP/2.0".
func AppendRequestLine(b []byte, method string, uri []byte) []byte {
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, uri...)
	return append(b, " SIP/2.0\r\n"...)
}

// AppendStatusLine writes "SIP/2.0 status reason". An empty reason stands for ReasonPhrase(status).
func AppendStatusLine(b []byte, status int, reason string) []byte {
	b = append(b, "SIP/2.0 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	if reason == "" {
		reason = ReasonPhrase(status)
	}
	b = append(b, reason...)
	return append(b, "\r\n"...)
}

// AppendHeader writes one header line. name and value must be free of control characters; values out of a parsed
// Message are, anything from elsewhere must have passed ValidValue.
func AppendHeader(b []byte, name string, value []byte) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// AppendHeaderString is AppendHeader for a value that is a string.
func AppendHeaderString(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// AppendHeaderInt is AppendHeader for a value that is a number.
func AppendHeaderInt(b []byte, name string, value int64) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = strconv.AppendInt(b, value, 10)
	return append(b, "\r\n"...)
}

// AppendCSeq writes the CSeq line.
func AppendCSeq(b []byte, number uint32, method string) []byte {
	b = append(b, "CSeq: "...)
	b = strconv.AppendUint(b, uint64(number), 10)
	b = append(b, ' ')
	b = append(b, method...)
	return append(b, "\r\n"...)
}

// ValidValue reports whether a value from configuration, an API or a database may stand in a header line:
// it holds no control character but the tab.
func ValidValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// AppendUser writes the user part of a URI of our own: whatever the grammar does not allow there is escaped (RFC 3261 §25.1).
// A user part that came in a message is copied as it is instead (PAR-08).
func AppendUser(b []byte, user string) []byte {
	for i := range len(user) {
		switch c := user[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("-_.!~*'()&=+$,;?/", c) >= 0:
			b = append(b, c)
		default:
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return b
}

// AppendVia writes a Via of our own, which always asks for rport (RFC 3581 §3). transport is "UDP", "TCP" or "TLS",
// sentBy is host[:port] with brackets round an IPv6 address.
func AppendVia(b []byte, transport, sentBy string, branch []byte) []byte {
	b = append(b, "Via: SIP/2.0/"...)
	b = append(b, transport...)
	b = append(b, ' ')
	b = append(b, sentBy...)
	b = append(b, ";rport;branch="...)
	b = append(b, branch...)
	return append(b, "\r\n"...)
}

// AppendNameAddr writes `"display" <uri>`, without the first part if display is empty. display is an
// Address.Display: what stands between the quotes, escapes included.
func AppendNameAddr(b, display, uri []byte) []byte {
	if len(display) > 0 {
		b = append(b, '"')
		b = append(b, display...)
		b = append(b, `" `...)
	}
	b = append(b, '<')
	b = append(b, uri...)
	return append(b, '>')
}

// AppendQuoted writes text as a quoted-string, for a display name or a parameter from configuration or an API. text must
// have passed ValidValue.
func AppendQuoted(b []byte, text string) []byte {
	b = append(b, '"')
	for i := range len(text) {
		if text[i] == '"' || text[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, text[i])
	}
	return append(b, '"')
}

// AppendLines copies every line of this header from m, under the long name.
func AppendLines(b []byte, m *Message, id ID) []byte {
	for value := range m.All(id) {
		b = AppendHeader(b, id.String(), value)
	}
	return b
}

// AppendResponse writes the status line and the headers every response takes from its request (RFC 3261 §8.2.6.2): all
// Vias, From, To, Call-ID and CSeq, and in a 100 Timestamp. The topmost Via gets received and rport as RFC 3261
// §18.2.1 and RFC 3581 §4 ask, for a request that came from src; the zero src leaves it alone. To gets toTag
// unless it has a tag or toTag is empty. An empty reason stands for ReasonPhrase(status).
// req may have failed to parse, as long as the Error had a Status. AppendBody or more headers must follow.
func AppendResponse(b []byte, req *Message, status int, reason string, toTag []byte, src netip.AddrPort) []byte {
	b = AppendStatusLine(b, status, reason)
	for k := range req.Headers {
		h := &req.Headers[k]
		first := int(req.first[h.ID]) == k+1
		switch {
		case h.ID == HVia && first:
			b = appendTopVia(b, req, src)
		case h.ID == HVia:
			b = AppendHeader(b, "Via", h.Value)
		case !first:
		case h.ID == HFrom:
			b = AppendHeader(b, "From", h.Value)
		case h.ID == HTo:
			b = append(b, "To: "...)
			b = append(b, h.Value...)
			if len(toTag) > 0 && req.To.Tag == nil && req.To.URI != nil {
				b = append(b, ";tag="...)
				b = append(b, toTag...)
			}
			b = append(b, crlf...)
		case h.ID == HCallID:
			b = AppendHeader(b, "Call-ID", h.Value)
		case h.ID == HCSeq:
			b = AppendHeader(b, "CSeq", h.Value)
		case h.ID == HTimestamp && status == 100:
			b = AppendHeader(b, "Timestamp", h.Value)
		}
	}
	return b
}

// appendTopVia writes the topmost Via line with received and rport set from src. A received parameter that came
// with the request is somebody's claim, and goes.
func appendTopVia(b []byte, req *Message, src netip.AddrPort) []byte {
	v := &req.Via
	b = append(b, "Via: "...)
	b = append(b, v.head...)
	if !src.IsValid() {
		b = append(b, v.Params...)
	} else {
		addr := src.Addr().Unmap().WithZone("")
		for i := 0; i < len(v.Params); {
			name, value, next, _ := nextParam(v.Params, i)
			i = next
			if equalFold(name, "received") || equalFold(name, "rport") {
				continue
			}
			b = append(b, ';')
			b = append(b, name...)
			if value != nil {
				b = append(b, '=')
				b = append(b, value...)
			}
		}
		if v.RPort {
			b = append(b, ";rport="...)
			b = strconv.AppendUint(b, uint64(src.Port()), 10)
		}
		if v.RPort || !isHost(v.Host, addr) {
			b = append(b, ";received="...)
			b = addr.AppendTo(b) // without brackets, as the ABNF has it (RFC 5118 §4.5)
		}
	}
	if len(req.restOfVia) > 0 {
		b = append(b, ", "...)
		b = append(b, req.restOfVia...)
	}
	return append(b, crlf...)
}

// isHost reports whether host is addr as we would write it. Another spelling of the same IPv6 address counts as
// different, which costs a received parameter nobody minds.
func isHost(host []byte, addr netip.Addr) bool {
	if n := len(host); n > 2 && host[0] == '[' {
		host = host[1 : n-1]
	}
	var text [48]byte
	return string(addr.AppendTo(text[:0])) == string(host)
}

// AppendBody ends the header: Content-Type if there is a body, Content-Length, the empty line and the body.
func AppendBody(b []byte, contentType string, body []byte) []byte {
	if len(body) > 0 && contentType != "" {
		b = AppendHeaderString(b, "Content-Type", contentType)
	}
	b = AppendHeaderInt(b, "Content-Length", int64(len(body)))
	b = append(b, crlf...)
	return append(b, body...)
}
