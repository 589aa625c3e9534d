package provider

import (
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
)

// Refusal is what a carrier said no to a SIP request with.
type Refusal struct {
	Provider Kind                     // whose table goes first; empty: told by Domain
	Domain   string                   // that the request was for
	Status   int                      // SIP status
	Reason   string                   // reason phrase
	Header   func(name string) string // value of a header of the response, "" for none; nil: none at all
}

// Meaning is what a refusal stands for.
type Meaning struct {
	Cause  string // from the closed set of package probe: caller_id_refused, cps_exceeded, …
	Code   string // the carrier's own, as D35 or 32204; empty: told by its words
	Means  string // one clause
	Fix    string // one sentence
	Source string // where it is documented
	Date   string // year and month in which it was last compared with the source
}

// Explain looks a refusal up: in the table of its provider, else in whichever one has the code it carries, else by its
// words. ok is false when nothing fits.
func Explain(r Refusal) (m Meaning, ok bool) {
	all := tables()
	own := slices.IndexFunc(all, func(t *table) bool { return t.is(r) })
	if own >= 0 {
		if m, ok := all[own].explain(r, true); ok {
			return m, true
		}
	}
	for i, t := range all {
		if i != own {
			if m, ok := t.explain(r, t.Provider == ""); ok {
				return m, true
			}
		}
	}
	return Meaning{}, false
}

// Meanings returns every row of every table, for tests and documents.
func Meanings() (all []Meaning) {
	for _, t := range tables() {
		for i := range t.Rows {
			all = append(all, t.meaning(&t.Rows[i], ""))
		}
	}
	return all
}

//go:embed refusals-*.yaml
var refusals embed.FS

// table is one file.
type table struct {
	Provider Kind     `yaml:"provider"`
	Domains  []string `yaml:"domains"` // of its SIP hosts
	Reason   string   `yaml:"reason"`  // finds the code in the reason phrase
	Header   string   `yaml:"header"`  // that carries the code
	Value    string   `yaml:"value"`   // finds the code in that header
	Source   string   `yaml:"source"`
	Date     string   `yaml:"date"`
	Rows     []row    `yaml:"rows"`

	reason, value *regexp.Regexp
}

type row struct {
	Code   list     `yaml:"code"`   // any of these
	Words  []string `yaml:"words"`  // or any of these in the reason phrase, Warning or Reason, in lower case; "" fits always
	Status []int    `yaml:"status"` // with any of these
	Cause  string   `yaml:"cause"`
	Means  string   `yaml:"means"`
	Fix    string   `yaml:"fix"`
	Source string   `yaml:"source"` // where it differs from the table's
	Date   string   `yaml:"date"`
}

// list is one value or several.
type list []string

// UnmarshalYAML implements yaml.InterfaceUnmarshaler.
func (l *list) UnmarshalYAML(decode func(any) error) error {
	if decode((*[]string)(l)) == nil {
		return nil
	}
	var one string
	if err := decode(&one); err != nil {
		return err
	}
	*l = list{one}
	return nil
}

// tables are all files, that of any carrier last.
var tables = sync.OnceValue(func() []*table {
	all, err := readTables()
	if err != nil {
		panic(err) // the files are ours, and a test reads them
	}
	return all
})

func readTables() ([]*table, error) {
	entries, err := refusals.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var all []*table
	for _, e := range entries {
		text, err := refusals.ReadFile(e.Name())
		if err != nil {
			return nil, err
		}
		t := new(table)
		if err := yaml.UnmarshalWithOptions(text, t, yaml.Strict()); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name(), err)
		}
		for _, expression := range []struct {
			text string
			into **regexp.Regexp
		}{{t.Reason, &t.reason}, {t.Value, &t.value}} {
			if expression.text == "" {
				continue
			}
			if *expression.into, err = regexp.Compile(expression.text); err != nil {
				return nil, fmt.Errorf("%s: %w", e.Name(), err)
			}
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b *table) int {
		switch {
		case a.Provider == "" && b.Provider != "":
			return 1
		case a.Provider != "" && b.Provider == "":
			return -1
		}
		return 0
	})
	return all, nil
}

// is reports whether a refusal is this table's provider's.
func (t *table) is(r Refusal) bool {
	if r.Provider != "" && r.Provider != Manual {
		return t.Provider == r.Provider
	}
	host := strings.ToLower(r.Domain)
	return slices.ContainsFunc(t.Domains, func(d string) bool { return host == d || strings.HasSuffix(host, "."+d) })
}

// explain looks a refusal up in one table. Words of a carrier count for that carrier only.
func (t *table) explain(r Refusal, words bool) (Meaning, bool) {
	if code := t.code(r); code != "" {
		for i := range t.Rows {
			if row := &t.Rows[i]; slices.Contains(row.Code, code) && slices.Contains(row.Status, r.Status) {
				return t.meaning(row, code), true
			}
		}
	}
	if !words {
		return Meaning{}, false
	}
	said := strings.ToLower(r.Reason)
	if r.Header != nil {
		said = strings.ToLower(r.Reason + "\n" + r.Header("Warning") + "\n" + r.Header("Reason"))
	}
	for i := range t.Rows {
		row := &t.Rows[i]
		if slices.Contains(row.Status, r.Status) && slices.ContainsFunc(row.Words, func(w string) bool { return strings.Contains(said, w) }) {
			return t.meaning(row, ""), true
		}
	}
	return Meaning{}, false
}

// code finds the carrier's own code, "" if there is none.
func (t *table) code(r Refusal) string {
	if t.reason != nil {
		if found := t.reason.FindStringSubmatch(r.Reason); found != nil {
			return found[1]
		}
	}
	if t.value != nil && r.Header != nil {
		if found := t.value.FindStringSubmatch(r.Header(t.Header)); found != nil {
			return found[1]
		}
	}
	return ""
}

func (t *table) meaning(r *row, code string) Meaning {
	m := Meaning{Cause: r.Cause, Code: code, Means: r.Means, Fix: r.Fix, Source: t.Source, Date: t.Date}
	if r.Source != "" {
		m.Source = r.Source
	}
	if r.Date != "" {
		m.Date = r.Date
	}
	return m
}

// Costly reports whether an E.164 number is one that no test may call, and of which kind it is: emergency services behind a
// country code, and numbers that cost more than a call.
func Costly(number string) (kind string, yes bool) {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok {
		return "", false
	}
	for _, n := range costly() {
		if strings.HasPrefix(digits, n.Prefix) {
			return n.Kind + " (+" + n.Prefix + "…)", true
		}
	}
	return "", false
}

// CostlyDigits is Costly for the digits of a number without its plus, on the way of a call: it does not allocate.
func CostlyDigits(digits []byte) (kind string, yes bool) {
	if len(digits) == 0 || digits[0] < '0' || digits[0] > '9' {
		return "", false
	}
	for _, n := range costlyByDigit()[digits[0]-'0'] {
		if len(digits) >= len(n.Prefix) && string(digits[:len(n.Prefix)]) == n.Prefix {
			return n.Kind, true
		}
	}
	return "", false
}

var costlyByDigit = sync.OnceValue(func() (by [10][]costlyNumbers) {
	for _, n := range costly() {
		by[n.Prefix[0]-'0'] = append(by[n.Prefix[0]-'0'], n)
	}
	return by
})

//go:embed costly.yaml
var costlyYAML []byte

// costlyNumbers is one range.
type costlyNumbers struct {
	Prefix string `yaml:"prefix"` // country code and first digits
	Kind   string `yaml:"kind"`
	Source string `yaml:"source"`
	Date   string `yaml:"date"`
}

var costly = sync.OnceValue(func() (all []costlyNumbers) {
	if err := yaml.UnmarshalWithOptions(costlyYAML, &all, yaml.Strict()); err != nil {
		panic(err) // the file is ours, and a test reads it
	}
	return all
})
