package siptest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// normaliser replaces what the edge makes up anew in every run by $tag1, $branch1, … in order of appearance, so that a
// message can be compared to the letter. Values that scripts made up stay.
type normaliser struct {
	ours  map[string]bool
	names map[string]string // kind and value → placeholder
	count map[string]int
}

// known marks values as made by a script.
func (n *normaliser) known(values ...string) {
	if n.ours == nil {
		n.ours, n.names, n.count = map[string]bool{}, map[string]string{}, map[string]int{}
	}
	for _, v := range values {
		if v != "" {
			n.ours[v] = true
		}
	}
}

// knownBody marks the numbers of a session description that a script sent.
func (n *normaliser) knownBody(body []byte) {
	text := strings.ReplaceAll(string(body), "\r\n", "\n")
	for _, place := range madeInBody {
		for _, found := range place.pattern.FindAllStringSubmatch(text, -1) {
			n.known(found[1])
		}
	}
}

func (n *normaliser) name(kind, value string) string {
	n.known()
	if n.ours[value] || value == "" {
		return value
	}
	if n.names[kind+value] == "" {
		n.count[kind]++
		n.names[kind+value] = fmt.Sprintf("$%s%d", kind, n.count[kind])
	}
	return n.names[kind+value]
}

// made are the places of a message that hold values the edge may make up.
var made = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"tag", regexp.MustCompile(`(?m)^(?:From|To):.*;tag=([^;\s]+)`)},
	{"branch", regexp.MustCompile(`(?m)^Via:.*;branch=([^;\s]+)`)},
	{"callid", regexp.MustCompile(`(?m)^Call-ID: (\S+)`)},
	{"contact", regexp.MustCompile(`(?m)^Contact: <sips?:([^@>]+)@`)},
	{"cnonce", regexp.MustCompile(`(?m)^(?:Proxy-)?Authorization:.*cnonce="([^"]+)"`)},
	{"response", regexp.MustCompile(`(?m)^(?:Proxy-)?Authorization:.*response="([^"]+)"`)},
	{"date", regexp.MustCompile(`(?m)^Date: (.*)$`)},
	{"length", regexp.MustCompile(`(?m)^Content-Length: ([1-9]\d*)$`)},
}

// madeInBody are those of a session description.
var madeInBody = []struct {
	kind    string
	pattern *regexp.Regexp
}{
	{"session", regexp.MustCompile(`(?m)^o=\S+ (\d+) `)},
	{"version", regexp.MustCompile(`(?m)^o=\S+ \S+ (\d+) `)},
	{"port", regexp.MustCompile(`(?m)^m=\w+ (\d+)`)},
	{"port", regexp.MustCompile(`(?m)^a=rtcp:(\d+)`)},
}

// text is a message as it stands in a .want part.
func (n *normaliser) text(b []byte) string {
	text := strings.ReplaceAll(string(b), "\r\n", "\n")
	for _, m := range made {
		text = n.replace(text, m.kind, m.pattern)
	}
	for _, m := range madeInBody {
		text = n.replace(text, m.kind, m.pattern)
	}
	return text
}

func (n *normaliser) replace(text, kind string, pattern *regexp.Regexp) string {
	var b strings.Builder
	at := 0
	for _, found := range pattern.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[at:found[2]])
		value := text[found[2]:found[3]]
		if kind == "length" { // checked against the body already
			b.WriteString("$length")
		} else {
			b.WriteString(n.name(kind, value))
		}
		at = found[3]
	}
	b.WriteString(text[at:])
	return b.String()
}

// compareMessage compares a whole message with a part of the file, or rewrites the part.
func (s *script) compareMessage(name string, b []byte) error {
	got := s.norm.text(b)
	if !strings.HasSuffix(got, "\n") {
		got += "\n"
	}
	want, ok := s.flow.part(name)
	if s.update {
		if got = strings.TrimRight(got, "\n") + "\n"; got != string(want) {
			s.flow.setPart(name, []byte(got))
			s.changed = true
		}
		return nil
	}
	if !ok {
		return fmt.Errorf("there is no part %s; -update writes it", name)
	}
	if strings.TrimRight(got, "\n") != strings.TrimRight(string(want), "\n") {
		return fmt.Errorf("the message is not %s; - is wanted, + was sent\n%s", name, difference(string(want), got))
	}
	return nil
}

// difference shows two texts line by line, equal lines once.
func difference(want, got string) string {
	a, b := strings.Split(strings.TrimRight(want, "\n"), "\n"), strings.Split(strings.TrimRight(got, "\n"), "\n")
	// Longest common subsequence; messages are short.
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var out strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			fmt.Fprintf(&out, "      %s\n", a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintf(&out, "    - %s\n", a[i])
			i++
		default:
			fmt.Fprintf(&out, "    + %s\n", b[j])
			j++
		}
	}
	return strings.TrimRight(out.String(), "\n")
}

// compareOutcome compares records and metrics with record.want and metrics.want.
func (s *script) compareOutcome() error {
	if want, ok := s.flow.part("record.want"); ok {
		if err := s.compareRecords(string(want)); err != nil {
			return fmt.Errorf("%s: record.want: %w", s.flow.path, err)
		}
	}
	if want, ok := s.flow.part("metrics.want"); ok {
		if err := s.compareMetrics(string(want)); err != nil {
			return fmt.Errorf("%s: metrics.want: %w", s.flow.path, err)
		}
	}
	return nil
}

// fieldsShown are written by -update when record.want says nothing yet.
var fieldsShown = []string{"outcome", "ended_by", "code"}

func (s *script) compareRecords(want string) error {
	lines := nonEmpty(want)
	records := s.edge.Records()
	if s.update {
		var b strings.Builder
		for i, r := range records {
			names := fieldsShown
			if i < len(lines) {
				names = nil
				for field := range strings.FieldsSeq(lines[i]) {
					name, _, _ := strings.Cut(field, "=")
					names = append(names, name)
				}
			}
			b.WriteString(strings.Join(pick(r, names), " ") + "\n")
		}
		if b.String() != want {
			s.flow.setPart("record.want", []byte(b.String()))
			s.changed = true
		}
		return nil
	}
	if len(records) != len(lines) {
		return fmt.Errorf("%d records, want %d: %v", len(records), len(lines), records)
	}
	for i, line := range lines {
		for field := range strings.FieldsSeq(line) {
			name, value, ok := strings.Cut(field, "=")
			got, has := records[i][name]
			if !ok || !has {
				return fmt.Errorf("record %d has no field %q; it has %s", i+1, name, strings.Join(slices.Sorted(maps.Keys(records[i])), ", "))
			}
			if got != value {
				return fmt.Errorf("record %d has %s=%s, want %s", i+1, name, got, field)
			}
		}
	}
	return nil
}

func pick(r Record, names []string) []string {
	var fields []string
	for _, name := range names {
		if value, ok := r[name]; ok {
			fields = append(fields, name+"="+value)
		}
	}
	return fields
}

// compareMetrics wants each line in the exposition, label for label; a series that is absent counts as 0.
func (s *script) compareMetrics(want string) error {
	values := map[string]string{}
	for _, line := range nonEmpty(s.edge.Metrics()) {
		if series, value, ok := cutLast(line); ok && line[0] != '#' {
			values[series] = value
		}
	}
	var b strings.Builder
	for _, line := range nonEmpty(want) {
		series, value, ok := cutLast(line)
		if !ok {
			return fmt.Errorf("%q is no series and value", line)
		}
		got := values[series]
		if got == "" {
			got = "0"
		}
		fmt.Fprintf(&b, "%s %s\n", series, got)
		if got != value && !s.update {
			return fmt.Errorf("%s is %s, want %s", series, got, value)
		}
	}
	if s.update && b.String() != want {
		s.flow.setPart("metrics.want", []byte(b.String()))
		s.changed = true
	}
	return nil
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

func nonEmpty(text string) []string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
