package config

import (
	"fmt"
	"strings"
)

// validate looks at every section on its own and then at what must fit together.
func (l *loader) validate() {
	c := &l.config
	l.validateSIP(&c.SIP)
	l.validateMedia(&c.Media)
	l.validateHTTP(&c.HTTP)
	l.validateStorage(&c.Storage)
	l.validateTrace(&c.Trace)
	l.validateLimits(&c.Limits)
	l.validateDrain(&c.Drain)
	l.validateProbe(&c.Probe)
	l.validateProviders(&c.Providers)
	for i := range c.Trunks {
		l.validateTrunk(at("trunks", i), &c.Trunks[i])
	}
	for i := range c.Organizations {
		l.validateOrganization(at("organizations", i), &c.Organizations[i])
	}
	for i := range c.Agents {
		l.validateAgent(at("agents", i), &c.Agents[i])
	}
	for i := range c.Numbers {
		l.validateNumber(at("numbers", i), &c.Numbers[i])
	}
	l.validatePorts()
	l.validateNames()
	l.validateSources()
	l.validateReferences()
}

// bad notes a mistake at the key path, unless one is known there or in an entry around it. It stands where the value stands, or where the nearest entry
// around it does.
func (l *loader) bad(path, format string, args ...any) {
	l.badAllowed(path, describe(path).allow(), format, args...)
}

// badAllowed is bad with its own words for what is allowed.
func (l *loader) badAllowed(path, allowed, format string, args ...any) {
	for p := path; p != ""; p = outer(p) {
		if l.wrong[p] {
			return
		}
	}
	l.mistake(Mistake{Origin: l.place(path), Key: path, Problem: fmt.Sprintf(format, args...), Allowed: allowed})
}

// place is where the value at path stands, or the nearest entry around it.
func (l *loader) place(path string) Origin {
	for p := path; ; p = outer(p) {
		if o, ok := l.origins[p]; ok || p == "" {
			return o
		}
	}
}

// outer is the path without its last key or index.
func outer(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// lastKey is the last key of a path.
func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// duration checks d against a range; zero says whether 0 is allowed beside it.
func (l *loader) duration(path string, d, low, high Duration, zero bool) {
	if d == 0 && zero || d >= low && d <= high {
		return
	}
	l.bad(path, "%s is out of range", d)
}

// whole checks n against a range.
func (l *loader) whole(path string, n, low, high int) {
	if n < low || n > high {
		l.bad(path, "%d is out of range", n)
	}
}

// size checks b against a range; zero says whether 0 is allowed beside it.
func (l *loader) size(path string, b, low, high Bytes, zero bool) {
	if b == 0 && zero || b >= low && b <= high {
		return
	}
	l.bad(path, "%s is out of range", b)
}

// rate checks a rate that may be zero.
func (l *loader) rate(path string, r float64) {
	if r < 0 {
		l.bad(path, "%v is negative", r)
	}
}

// header checks text that ends up inside a header of ours: RFC 3261 §25.1 allows more, but nobody needs it.
func (l *loader) header(path, text string, longest int, forbidden string) {
	if len(text) > longest {
		l.bad(path, "is longer than %d characters", longest)
		return
	}
	for _, c := range []byte(text) {
		if c < ' ' || c >= 0x7f || strings.IndexByte(forbidden, c) >= 0 {
			l.bad(path, "holds the character %q", rune(c))
			return
		}
	}
}

// name checks a name that appears in metrics, logs and other entries.
func (l *loader) name(path, name string) {
	if name == "" {
		l.bad(path, "missing name")
		return
	}
	ok := len(name) <= 64
	for i, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		ok = ok && (letter || i > 0 && strings.IndexByte("._-", c) >= 0)
	}
	if !ok {
		l.bad(path, "%s is not a name", quoteShort(name))
	}
}

// host checks a host without port, where one is given.
func (l *loader) host(path string, host *string) {
	if *host == "" {
		return
	}
	clean, err := cleanHost(strings.TrimSuffix(strings.TrimPrefix(*host, "["), "]"))
	if err != nil {
		l.bad(path, "%s is not a host", quoteShort(*host))
		return
	}
	*host = clean
}

// digits checks a string of digits.
func (l *loader) digits(path, text string, longest int) bool {
	if len(text) > longest || strings.Trim(text, "0123456789") != "" {
		l.bad(path, "%s is not made of digits", quoteShort(text))
		return false
	}
	return true
}
