package wire

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// Character classes of RFC 3261 §25.1, as bits of charClass.
const (
	tokenChar   = 1 << iota // token
	valueChar               // of an unquoted parameter value: wider than token, takes "abc==" and IPv6 too
	userChar                // of user and password, without '%', which must begin an escape
	hostChar                // of a host name; '_' is not RFC but common
	ipv6Char                // between the brackets of an IPv6 reference
	uriChar                 // of URI parameters, URI headers and opaque URIs, without '%'
	displayStop             // ends the search for '<' in an unquoted display name
	schemeChar
)

var charClass = func() (t [256]uint8) {
	set := func(class uint8, chars string) {
		for i := range len(chars) {
			t[chars[i]] |= class
		}
	}
	const alphanum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	set(tokenChar|userChar|hostChar|uriChar|schemeChar, alphanum)
	set(tokenChar, "-.!%*_+`'~")
	set(hostChar, "-._")
	set(schemeChar, "+-.")
	set(ipv6Char, "0123456789abcdefABCDEF:.")
	set(displayStop, "<,;\"\\>")
	for c := 0x21; c < 0x100; c++ {
		switch c {
		case '"', '<', '>', 0x7f:
			continue
		case ';', ',':
		default:
			t[c] |= valueChar
		}
		// RFC 3261 has user characters escaped beyond unreserved and "&=+$,;?/". Asterisk and PBXs send '#' and
		// others bare; they are carried through unchanged, so nothing is lost by taking them (PAR-08).
		if c < 0x80 && c != '%' {
			t[c] |= uriChar
			if c != '@' && c != ':' {
				t[c] |= userChar
			}
		}
	}
	return t
}()

func isToken(b []byte) bool {
	for _, c := range b {
		if charClass[c]&tokenChar == 0 {
			return false
		}
	}
	return len(b) > 0
}

func isHex(c byte) bool {
	return c-'0' < 10 || (c|0x20)-'a' < 6
}

// skipBlank returns the index of the first octet from i on that is neither space nor tab.
func skipBlank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	return i
}

func trimRight(b []byte) []byte {
	n := len(b)
	for n > 0 && (b[n-1] == ' ' || b[n-1] == '\t') {
		n--
	}
	return b[:n]
}

func trim(b []byte) []byte { return trimRight(b[skipBlank(b, 0):]) }

const (
	eachHigh = 0x8080808080808080 // the top bit of each of eight octets
	eachOne  = 0x0101010101010101
)

// nextControl returns the index of the first control character (below 0x20, or DEL) from i on, or len(b).
// It looks at eight octets at a time, since every octet of every header passes through it.
func nextControl(b []byte, i int) int {
	for i+8 <= len(b) {
		if flags := controls(binary.LittleEndian.Uint64(b[i:])); flags != 0 {
			return i + bits.TrailingZeros64(flags)/8
		}
		i += 8
	}
	for i < len(b) && b[i] >= 0x20 && b[i] != 0x7f {
		i++
	}
	return i
}

// controls flags the top bit of each octet of x that is a control character. The lowest flag is exact; a borrow
// can only flag wrongly above a right one.
func controls(x uint64) uint64 {
	del := x ^ 0x7f*eachOne
	return ((x-0x20*eachOne)&^x | (del-eachOne)&^del) & eachHigh
}

// nextColon returns the index of the first colon, or len(b). Header names are short: this is quicker than a call.
func nextColon(b []byte) int {
	i := 0
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:]) ^ ':'*eachOne
		if flags := (x - eachOne) &^ x & eachHigh; flags != 0 {
			return i + bits.TrailingZeros64(flags)/8
		}
		i += 8
	}
	for i < len(b) && b[i] != ':' {
		i++
	}
	return i
}

// quotedEnd returns the index behind the closing quote of the quoted string that opens at b[i], or -1.
func quotedEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return -1
}

// equalFold compares without case, ASCII only. lower must be in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c != lower[i] && (c-'A' >= 26 || c|0x20 != lower[i]) {
			return false
		}
	}
	return true
}

// equalFoldAny is equalFold for two strings of any case.
func equalFoldAny(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		d := s[i]
		if c != d && (c|0x20 != d|0x20 || (c|0x20)-'a' >= 26) {
			return false
		}
	}
	return true
}

// decimal reads a whole number that fills b. It returns ok false if b is not one, and a number above limit as limit+1.
func decimal(b []byte, limit uint64) (n uint64, ok bool) {
	for _, c := range b {
		c -= '0'
		if c > 9 {
			return 0, false
		}
		if n <= limit {
			n = n*10 + uint64(c)
		}
	}
	return min(n, limit+1), len(b) > 0
}

// leadingDecimal returns the digits b begins with.
func leadingDecimal(b []byte) []byte {
	i := 0
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return b[:i]
}

var crlf = []byte("\r\n")

func hasPrefixFold(b []byte, lower string) bool {
	return len(b) >= len(lower) && equalFold(b[:len(lower)], lower)
}

func cutByte(b []byte, c byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, c); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}
