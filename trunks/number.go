package trunks

import (
	"bytes"

	"trunkline/config"
)

// Plan is how one side writes telephone numbers. The zero Plan takes digits without plus for a full
// international number.
type Plan struct {
	Format         config.NumberFormat
	CountryCode    string // digits; empty: national forms are not completed
	NationalPrefix string // digits before a national number; empty: none
}

const (
	shortest = 7  // digits; shorter ones without plus are service codes such as 112 and stay as they are
	longest  = 15 // digits of an international number (E.164 §6)
)

// Normalize appends the E.164 form, with plus, of the user part of a SIP URI or the subscriber of a tel URI to dst and
// returns the result. Visual separators (RFC 3966 §5.1.1), %-escapes and everything from the first ';' on are taken away.
//
// A number with plus, or after 00 (after 011 too in North America), is international. Otherwise it is national when it
// begins with NationalPrefix, when Format is national, or when it is one of ten digits in North America;
// CountryCode then goes before it. In Format digits only a NationalPrefix that begins with 0 counts, since no country
// code does. Other digits are international without plus.
//
// A user that is no telephone number, as "alice", "anonymous" or "112", is appended as it is without its parameters.
// user and dst must not overlap. It allocates only when dst is too small; 64 bytes are enough for any number.
func (p Plan) Normalize(user, dst []byte) []byte {
	start := len(dst)
	user, _, _ = bytes.Cut(user, []byte(";"))
	dst, plus, ok := appendDigits(dst, user)
	if !ok {
		return append(dst[:start], user...)
	}
	strip, code := p.international(dst[start:], plus)
	if n := len(dst) - start - strip + len(code); strip < 0 || n > longest || code == "" && dst[start+strip] == '0' {
		return append(dst[:start], user...)
	}
	// "00" + digits → "+" + digits, "030…" → "+4930…": make room, then move the digits behind plus and code.
	digits := len(dst) - start - strip
	for len(dst) < start+1+len(code)+digits {
		dst = append(dst, 0)
	}
	copy(dst[start+1+len(code):], dst[start+strip:start+strip+digits])
	dst[start] = '+'
	copy(dst[start+1:], code)
	return dst[:start+1+len(code)+digits]
}

// lead appends what a user with more digits than a number has begins with, in E.164 form; nothing for any other user. Room and
// arguments as in Normalize.
func (p Plan) lead(user, dst []byte) []byte {
	var room [64]byte
	user, _, _ = bytes.Cut(user, []byte(";"))
	digits, plus, _ := appendDigits(room[:1], user)
	if len(digits) <= 1+longest-len(p.CountryCode) {
		return dst
	}
	digits = digits[:1+longest-len(p.CountryCode)]
	if room[0] = '+'; plus {
		return p.Normalize(digits, dst)
	}
	return p.Normalize(digits[1:], dst)
}

// appendDigits appends the digits of user without what only makes them easier to read. ok is false when something else
// is in between, or no digit.
func appendDigits(dst, user []byte) (_ []byte, plus, ok bool) {
	start := len(dst)
	for i := 0; i < len(user); i++ {
		c := user[i]
		if c == '%' && i+2 < len(user) {
			high, low := unhex(user[i+1]), unhex(user[i+2])
			if high < 0 || low < 0 {
				return dst, plus, false
			}
			c = byte(high<<4 | low)
			i += 2
		}
		switch {
		case c >= '0' && c <= '9':
			if len(dst)-start > 2*longest {
				return dst, plus, false
			}
			dst = append(dst, c)
		case c == '-' || c == '.' || c == '(' || c == ')' || c == ' ':
		case c == '+' && !plus && len(dst) == start:
			plus = true
		default:
			return dst, plus, false
		}
	}
	return dst, plus, len(dst) > start
}

// international says how many digits to take away and which country code to put before the rest. strip is negative when
// digits are no telephone number.
func (p Plan) international(digits []byte, plus bool) (strip int, code string) {
	northAmerica := p.CountryCode == "1"
	switch {
	case plus:
		return 0, ""
	case len(digits) < shortest:
		return -1, ""
	case northAmerica && bytes.HasPrefix(digits, []byte("011")):
		return 3, ""
	case bytes.HasPrefix(digits, []byte("00")):
		return 2, ""
	case p.CountryCode == "":
		return 0, ""
	case p.NationalPrefix != "" && (p.Format != config.FormatDigits || p.NationalPrefix[0] == '0') &&
		bytes.HasPrefix(digits, []byte(p.NationalPrefix)) && len(digits) > len(p.NationalPrefix):
		return len(p.NationalPrefix), p.CountryCode
	case p.Format == config.FormatNational,
		p.Format != config.FormatDigits && northAmerica && len(digits) == 10:
		return 0, p.CountryCode
	}
	return 0, ""
}

// Append appends e164 as this side wants to see it in Request-URI, From and To.
// Anything but a plus with digits is appended as it is.
func (p Plan) Append(dst, e164 []byte) []byte {
	digits, ok := bytes.CutPrefix(e164, []byte("+"))
	if !ok || len(digits) == 0 {
		return append(dst, e164...)
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return append(dst, e164...)
		}
	}
	switch p.Format {
	case config.FormatDigits:
		return append(dst, digits...)
	case config.FormatNational:
		if national, ok := bytes.CutPrefix(digits, []byte(p.CountryCode)); ok && p.CountryCode != "" && len(national) > 0 {
			return append(append(dst, p.NationalPrefix...), national...)
		}
	}
	return append(dst, e164...)
}

// Reshapes reports whether this side writes numbers in a way of its own, rather than as they come.
func (p Plan) Reshapes() bool { return p.Format != config.FormatE164 && p.Format != "" }

// Write appends a user part as this side wants to see it: byte for byte where it does not Reshape, else the number in its form.
// Parameters of the user part, as rn, npdi and cic (RFC 4694), stay behind it. user and dst must not overlap.
func (p Plan) Write(dst, user []byte) []byte {
	if !p.Reshapes() {
		return append(dst, user...)
	}
	var buf [64]byte
	number, parameters := cutParameters(user)
	return append(p.Append(dst, p.Normalize(number, buf[:0])), parameters...)
}

// Read appends a user part that came from this side in +E.164, its parameters behind it.
func (p Plan) Read(dst, user []byte) []byte {
	number, parameters := cutParameters(user)
	return append(p.Normalize(number, dst), parameters...)
}

func cutParameters(user []byte) (number, parameters []byte) {
	if i := bytes.IndexByte(user, ';'); i >= 0 {
		return user[:i], user[i:]
	}
	return user, nil
}

// Normalize is Normalize of the zero Plan.
func Normalize(user, dst []byte) []byte { return Plan{}.Normalize(user, dst) }

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
