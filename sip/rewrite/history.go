package rewrite

import (
	"bytes"
	"slices"
	"strconv"

	"trunkline/sip/wire"
)

// maxDiversions bounds what is translated of one call; more is a loop.
const maxDiversions = 16

// diverter is one address a call was diverted from.
type diverter struct {
	address wire.Address
	uri     wire.URI
	reason  []byte // of a Diversion
	cause   []byte // in a History-Info: why the call came to this address; nil: it was sent there to begin with
}

// divertersOf reads the addresses of a header in their order. What cannot be read is left out.
func divertersOf(m *wire.Message, id wire.ID) (all []diverter) {
	for v := range m.Values(id) {
		a, err := wire.ParseAddress(v)
		if err != nil || len(all) == maxDiversions {
			continue
		}
		u, err := wire.ParseURI(a.URI)
		if err != nil || !u.IsSIP() && !bytes.EqualFold(u.Scheme, []byte("tel")) {
			continue
		}
		d := diverter{address: a, uri: u}
		d.reason, _ = a.Param("reason")
		d.cause, _ = u.Param("cause")
		all = append(all, d)
	}
	return all
}

// causes are the reasons of RFC 5806 as causes of RFC 4458 (RFC 7544 §4.2 and §5.2).
var causes = []struct{ reason, cause string }{
	{"unknown", "404"}, {"user-busy", "486"}, {"no-answer", "408"}, {"unavailable", "503"}, {"unconditional", "302"},
	{"deflection", "480"}, {"deflection", "487"},
	{"time-of-day", "404"}, {"do-not-disturb", "404"}, {"follow-me", "404"}, {"out-of-service", "404"}, {"away", "404"},
}

func causeOf(reason []byte) string {
	for _, c := range causes {
		if bytes.EqualFold(reason, []byte(c.reason)) {
			return c.cause
		}
	}
	return "404"
}

func reasonOf(cause []byte) string {
	for _, c := range causes {
		if string(cause) == c.cause {
			return c.reason
		}
	}
	return "unknown"
}

// appendHistory appends the diversions of m as History-Info (RFC 7544 §4): the first diverter, each further one with the cause of
// the one before, and last whom the call is for now.
func (p *Policy) appendHistory(b []byte, m *wire.Message) []byte {
	all := divertersOf(m, wire.HDiversion) // the latest is the first
	if len(all) == 0 {
		return b
	}
	slices.Reverse(all)
	b = append(b, "History-Info: "...)
	cause := ""
	for i, d := range all {
		b = append(p.appendEntry(b, d, cause), ";index=1"...)
		b = appendIndex(b, i)
		b = append(b, ", "...)
		cause = causeOf(d.reason)
	}
	target, err := wire.ParseURI(m.URI)
	if err != nil {
		target = wire.URI{}
	}
	b = append(p.appendEntry(b, diverter{uri: target}, cause), ";index=1"...)
	b = appendIndex(b, len(all))
	return append(b, "\r\n"...)
}

// appendIndex appends what makes "1" the index of the nth entry, and where it was mapped from (RFC 7044 §9.3).
func appendIndex(b []byte, n int) []byte {
	b = append(b, bytes.Repeat([]byte(".1"), n)...)
	if n > 0 {
		b = append(b, ";mp=1"...)
		b = append(b, bytes.Repeat([]byte(".1"), n-1)...)
	}
	return b
}

// appendEntry appends the address of a History-Info entry.
func (p *Policy) appendEntry(b []byte, d diverter, cause string) []byte {
	private := isPrivate(d.address, d.uri)
	if private && !p.Trusted {
		b = append(b, "<sip:anonymous@anonymous.invalid"...)
	} else {
		b = append(appendDisplay(b, d.address.Display), "<sip:"...)
		if len(d.uri.User) > 0 {
			b = append(p.appendUser(b, d.uri.User), '@')
		}
		b = append(b, p.Host...)
	}
	if cause != "" {
		b = append(append(b, ";cause="...), cause...)
	}
	if private {
		b = append(b, "?Privacy=history"...)
	}
	return append(b, '>')
}

// appendDiversions appends the history of m as Diversion (RFC 7544 §5): every address that the call left for a cause, the
// latest first. Steps without a cause are routing, not diversion.
func (p *Policy) appendDiversions(b []byte, m *wire.Message) []byte {
	all := divertersOf(m, wire.HHistoryInfo)
	start := len(b)
	b = append(b, "Diversion: "...)
	first := len(b)
	for i := len(all) - 2; i >= 0; i-- {
		if all[i+1].cause == nil {
			continue
		}
		if len(b) > first {
			b = append(b, ", "...)
		}
		d := all[i]
		private := isPrivate(d.address, d.uri)
		if private && !p.Trusted {
			b = append(b, "<sip:anonymous@anonymous.invalid>"...)
		} else {
			b = append(appendDisplay(b, d.address.Display), "<sip:"...)
			if len(d.uri.User) > 0 {
				b = append(p.appendUser(b, d.uri.User), '@')
			}
			b = append(append(b, p.Host...), '>')
		}
		b = append(append(b, ";reason="...), reasonOf(all[i+1].cause)...)
		if private {
			b = append(b, ";privacy=full"...)
		}
		b = append(b, ";counter="...)
		b = strconv.AppendInt(b, 1, 10)
	}
	if len(b) == first {
		return b[:start]
	}
	return append(b, "\r\n"...)
}

// Diverter returns the user part of who diverted the call last, by Diversion (RFC 5806 §4: the first) or by History-Info (the last
// that the call left for a cause); nil: nobody did.
func Diverter(m *wire.Message) []byte {
	if all := divertersOf(m, wire.HDiversion); len(all) > 0 {
		return all[0].uri.User
	}
	all := divertersOf(m, wire.HHistoryInfo)
	for i := len(all) - 2; i >= 0; i-- {
		if all[i+1].cause != nil {
			return all[i].uri.User
		}
	}
	return nil
}
