package media

import (
	"bytes"
	"net/netip"
)

// maxStreams bounds the m= lines of one description. A call needs two or three; each costs us four sockets.
const maxStreams = 16

// kind says how the packets of a stream look, as far as a relay must know.
type kind uint8

const (
	kindRefused kind = iota // a transport we cannot relay (TCP, MSRP, SCTP …): the line gets port 0
	kindRTP                 // RTP and RTCP, plain or SRTP: the header is readable either way
	kindDTLS                // SRTP with DTLS handshakes on the same port, RFC 5764 §5.1.2
	kindOpaque              // UDPTL (T.38): any datagram
)

// direction is what a party is ready to do with a stream. RFC 3264 §5.1.
type direction uint8

const (
	sendrecv direction = iota
	sendonly
	recvonly
	inactive
)

// description is what the relay must know of a session description. Its slices point into the parsed bytes.
type description struct {
	connection netip.Addr // session-level c=, zero if there is none
	origin     []byte     // the address text of o=, so that it can be hidden elsewhere
	timed      bool       // there is a t= line
	sections   [maxStreams]section
	count      int
}

// section is one m= line with the lines under it.
type section struct {
	media, proto, formats []byte
	lines                 []byte // those under the m= line
	port                  uint16 // 0 = refused or disabled
	kind                  kind
	connection            netip.Addr // where the party wants its RTP; the session's c= unless it has its own
	ownConnection         bool
	rtcpPort              uint16     // by a=rtcp, 0 = none said
	rtcpAddress           netip.Addr // by a=rtcp, zero = none said
	mux, muxOnly          bool       // a=rtcp-mux, a=rtcp-mux-only
	direction             direction

	// By Bridge.formats, for a line that is carried and tells formats apart:
	own, shown codec     // by the payload types of the party, and by those shown to the other
	numbers    numbering // with this description booked
	show       []format  // what to show instead of formats; nil = it stands as it is
	guard      protection
	events     *shownEvents // where one party speaks of digits by INFO; nil: there is nothing to know
}

// codec is what the first format of an m= line and its telephone-event are.
type codec struct {
	name  codecName
	clock uint32 // RTP timestamp units per second
	event uint8  // payload type of telephone-event, 0 = none
}

// describe reads a session description. It is tolerant of what SIP devices really send (bare LF, blanks at the end of lines, lines
// out of order, no s= or t=), and strict about what it must understand: shape, addresses, ports. It allocates nothing. RFC 8866 §5.
func describe(sdp []byte, d *description) *Error {
	if first, _ := nextLine(sdp); string(first) != "v=0" {
		return errSyntax
	}
	var sessionDirection direction
	var now *section // nil while in the session part
	for rest := sdp; len(rest) > 0; {
		var line []byte
		at := len(sdp) - len(rest)
		line, rest = nextLine(rest)
		if len(line) == 0 {
			continue
		}
		if len(line) < 2 || line[1] != '=' || bytes.IndexByte(line, 0) >= 0 || bytes.IndexByte(line, '\r') >= 0 {
			return errSyntax
		}
		value := line[2:]
		switch line[0] {
		case 'i', 'b', 'k':
		case 'v', 's', 'u', 'e', 'p', 't', 'r', 'z':
			if now != nil {
				return errSyntax // they speak of the whole session
			}
			d.timed = d.timed || line[0] == 't'
		case 'o':
			if d.origin != nil || now != nil || !readOrigin(value, d) {
				return errSyntax
			}
		case 'c':
			address, err := readConnection(value)
			if err != nil {
				return err
			}
			switch {
			case now == nil && !d.connection.IsValid():
				d.connection = address
			case now != nil && !now.ownConnection:
				now.connection, now.ownConnection = address, true
			default:
				return errSyntax // a second c= is for multicast layers only
			}
		case 'm':
			if d.count == maxStreams {
				return errTooMany
			}
			if now != nil {
				now.lines = now.lines[:at-(len(sdp)-len(now.lines))]
			}
			now = &d.sections[d.count]
			*now = section{lines: rest, connection: d.connection, direction: sessionDirection}
			if !readMedia(value, now) {
				return errSyntax
			}
			d.count++
		case 'a':
			if way, ok := directionOf(value); ok {
				if now == nil {
					sessionDirection = way
				} else {
					now.direction = way
				}
			} else if now != nil && !readAttribute(value, now) {
				return errSyntax
			}
		default:
			return errSyntax // RFC 8866 §5: an unknown type letter spoils the description
		}
	}
	if d.origin == nil {
		return errSyntax
	}
	for i := range d.sections[:d.count] {
		if s := &d.sections[i]; s.port != 0 && !s.connection.IsValid() {
			return errNoConnection
		}
	}
	return nil
}

// nextLine cuts the first line off, without its CRLF or LF and blanks before it, which would hide what an attribute says.
func nextLine(b []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(b, []byte{'\n'})
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	for n := len(line); n > 0 && isBlank(line[n-1]); n = len(line) {
		line = line[:n-1]
	}
	return line, rest
}

// nextField cuts the first word off a value.
func nextField(b []byte) (field, rest []byte) {
	start := 0
	for start < len(b) && isBlank(b[start]) {
		start++
	}
	for end := start; end < len(b); end++ {
		if isBlank(b[end]) {
			return b[start:end], b[end+1:]
		}
	}
	return b[start:], nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// readOrigin checks the shape of an o= line. Ids may be anything: carriers send words and numbers beyond 64 bits,
// and we send our own anyway.
func readOrigin(value []byte, d *description) bool {
	var field []byte
	for range 5 {
		if field, value = nextField(value); len(field) == 0 {
			return false
		}
	}
	d.origin, _ = nextField(value)
	return len(d.origin) > 0
}

// readConnection returns the address of a c= line: an IP address that a datagram can be sent to, or the unspecified
// one, which means hold (RFC 3264 §8.4).
func readConnection(value []byte) (netip.Addr, *Error) {
	network, rest := nextField(value)
	family, rest := nextField(rest)
	text, rest := nextField(rest)
	if !bytes.EqualFold(network, []byte("IN")) || len(text) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return netip.Addr{}, errSyntax
	}
	return readAddress(family, text)
}

func readAddress(family, text []byte) (netip.Addr, *Error) {
	var address netip.Addr
	switch {
	case bytes.EqualFold(family, []byte("IP4")):
		v4, ok := readIPv4(text)
		if !ok {
			return address, errAddress // a host name (we do not resolve), a multicast group with its TTL, or nonsense
		}
		address = v4
	case bytes.EqualFold(family, []byte("IP6")):
		v6, err := netip.ParseAddr(string(text))
		if err != nil || !v6.Is6() || v6.Zone() != "" {
			return address, errAddress
		}
		address = v6.Unmap()
	default:
		return address, errSyntax
	}
	if address.IsMulticast() || address == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return netip.Addr{}, errAddress
	}
	return address, nil
}

// readIPv4 is netip.ParseAddr without the string it would allocate.
func readIPv4(text []byte) (netip.Addr, bool) {
	var quad [4]byte
	n, digits, number := 0, 0, 0
	for _, c := range text {
		switch {
		case c >= '0' && c <= '9' && digits < 3:
			number = number*10 + int(c-'0')
			digits++
		case c == '.' && digits > 0 && n < 3 && number <= 255:
			quad[n] = byte(number)
			n, digits, number = n+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if n != 3 || digits == 0 || number > 255 {
		return netip.Addr{}, false
	}
	quad[3] = byte(number)
	return netip.AddrFrom4(quad), true
}

// readMedia reads "audio 4000/2 RTP/AVP 0 8 101" into s. RFC 8866 §5.14.
func readMedia(value []byte, s *section) bool {
	var port []byte
	s.media, value = nextField(value)
	port, value = nextField(value)
	s.proto, value = nextField(value)
	s.formats = bytes.TrimSpace(value)
	port, _, _ = bytes.Cut(port, []byte("/"))
	number, ok := readNumber(port, 65535)
	if !ok || !isWord(s.media) || !isWord(s.proto) {
		return false
	}
	if len(s.formats) == 0 && number != 0 {
		return false // some devices refuse a line without naming a format; only then it may be missing
	}
	s.port = uint16(number)
	s.kind = kindOf(s.proto)
	return true
}

// isWord tells whether a field is printable ASCII and not empty. RFC 8866 §9 allows a little less.
func isWord(field []byte) bool {
	for _, c := range field {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(field) > 0
}

func kindOf(proto []byte) kind {
	switch {
	case bytes.EqualFold(proto, []byte("RTP/AVP")), bytes.EqualFold(proto, []byte("RTP/AVPF")),
		bytes.EqualFold(proto, []byte("RTP/SAVP")), bytes.EqualFold(proto, []byte("RTP/SAVPF")):
		return kindRTP
	case bytes.EqualFold(proto, []byte("UDP/TLS/RTP/SAVP")), bytes.EqualFold(proto, []byte("UDP/TLS/RTP/SAVPF")):
		return kindDTLS
	case bytes.EqualFold(proto, []byte("udptl")):
		return kindOpaque
	}
	return kindRefused
}

func directionOf(value []byte) (direction, bool) {
	switch string(value) {
	case "sendrecv":
		return sendrecv, true
	case "sendonly":
		return sendonly, true
	case "recvonly":
		return recvonly, true
	case "inactive":
		return inactive, true
	}
	return 0, false
}

// readAttribute notes what a media-level a= line says to a relay; it is false if the line claims to and is nonsense.
func readAttribute(value []byte, s *section) bool {
	name, value, _ := bytes.Cut(value, []byte(":"))
	switch string(name) {
	case "rtcp-mux":
		s.mux = true
	case "rtcp-mux-only": // RFC 8858
		s.muxOnly = true
	case "rtcp": // RFC 3605 §2.1: port, then perhaps network, family, address
		port, rest := nextField(value)
		number, ok := readNumber(port, 65535)
		if !ok {
			return false
		}
		s.rtcpPort = uint16(number)
		if _, rest = nextField(rest); len(rest) > 0 {
			family, rest := nextField(rest)
			text, _ := nextField(rest)
			address, err := readAddress(family, text)
			if err != nil {
				return false
			}
			s.rtcpAddress = address
		}
	}
	return true
}

// readNumber reads decimal digits up to limit.
func readNumber(text []byte, limit int) (int, bool) {
	number := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		if number = number*10 + int(c-'0'); number > limit {
			return 0, false
		}
	}
	return number, len(text) > 0
}

// rtp is where the party wants its RTP. The unspecified address means: nowhere for now.
func (s *section) rtp() netip.AddrPort { return netip.AddrPortFrom(s.connection, s.port) }

// rtcp is where the party wants its RTCP: by a=rtcp, else one port above its RTP. RFC 3605 §2.1, RFC 3550 §11.
func (s *section) rtcp() netip.AddrPort {
	address, port := s.connection, s.port+1
	if s.rtcpPort != 0 {
		port = s.rtcpPort
	}
	if s.rtcpAddress.IsValid() && !address.IsUnspecified() {
		address = s.rtcpAddress
	}
	return netip.AddrPortFrom(address, port)
}

// relayed tells whether the line is to be carried.
func (s *section) relayed() bool { return s.port != 0 && s.kind != kindRefused }
