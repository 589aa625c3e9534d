package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is one thing wrong with the configuration.
type Mistake struct {
	Origin         // where it stands; for a missing key the entry it is missing in
	Key     string // "trunks[1].server"; empty: the file as a whole
	Problem string // what is wrong
	Allowed string // what may stand there; empty: the problem says it
}

// String is one line: "sipgo.yaml:12: trunks[1].server: missing host (allowed: host, host:port, [v6]:port)".
func (m Mistake) String() string {
	parts := make([]string, 0, 3)
	if where := m.Origin.String(); where != "" {
		parts = append(parts, where)
	}
	if m.Key != "" {
		parts = append(parts, m.Key)
	}
	s := strings.Join(append(parts, m.Problem), ": ")
	if m.Allowed != "" {
		s += " (allowed: " + m.Allowed + ")"
	}
	return s
}

// Mistakes is every mistake found in one Load, in the order of the file and then of the environment.
type Mistakes []Mistake

// Error has one line per mistake.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// Origin says where a value comes from. The zero Origin is a default.
type Origin struct {
	File string // path as given to Load, or TRUNKLINE_CONFIG_BODY; empty when Env is set
	Line int    // 1-based; 0: the file as a whole
	Env  string // name of the environment variable
}

// String is "sipgo.yaml:12", "TRUNKLINE_SIP__USER_AGENT", or empty for a default.
func (o Origin) String() string {
	switch {
	case o.Env != "":
		return o.Env
	case o.Line > 0:
		return fmt.Sprintf("%s:%d", o.File, o.Line)
	}
	return o.File
}

func inFileOrder(a, b Mistake) int {
	return cmp.Or(
		cmp.Compare(a.Env, b.Env),
		cmp.Compare(a.Line, b.Line),
	)
}

func (ms Mistakes) sort() { slices.SortStableFunc(ms, inFileOrder) }
