package trunks

import "trunkline/config"

// Plan is how one side writes telephone numbers. The zero Plan takes digits without plus for a full
// international number.
type Plan struct {
	Format         config.NumberFormat
	CountryCode    string // digits; empty: national forms are not completed
	NationalPrefix string // digits before a national number
}

// Normalize appends the E.164 form, with plus, of the user part of a SIP URI or the subscriber of a tel URI to dst and
// returns the result. Visual separators (RFC 3966 §3), %-escapes and everything from the first ';' on are taken away.
// A user that is not a telephone number, as "alice" or "anonymous", is appended as it is without its parameters.
// user and dst must not overlap. It allocates only when dst is too small; 64 bytes are enough for any number.
func (p Plan) Normalize(user, dst []byte) []byte { return append(dst, user...) }

// Append appends e164 as this side wants to see it in Request-URI, From and To.
// Anything but a plus with digits is appended as it is.
func (p Plan) Append(dst, e164 []byte) []byte { return append(dst, e164...) }

// Normalize is Normalize of the zero Plan.
func Normalize(user, dst []byte) []byte { return Plan{}.Normalize(user, dst) }
