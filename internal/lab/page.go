package lab

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Run is when and with what the tests ran.
type Run struct {
	Date     string            // as "2026-11-23"
	System   string            // as "Debian GNU/Linux 12 (bookworm)"
	Versions map[string]string // of each peer, by its command
}

const introduction = `# Interoperability

What works between Trunkline and other people's programs, as the tests saw it: a field with ✓ is a test that passed, – is what the peer
cannot do (the number says why), and an empty field was not tried. The calls go through ` + "`trunkline serve`" + `, the program as it ships, over
loopback, with the media relayed. An *agent* is called *inbound* and calls *outbound*; a *carrier* the other way round.

The page is written by ` + "`make interop`" + `. Each run of the tests compares it with what it saw: a ✓ that did not pass is a failure.
`

// Page writes what was seen. Of a cell, only tests that ended well count.
func (b *Book) Page(run Run) string {
	var page strings.Builder
	page.WriteString(introduction)
	fmt.Fprintf(&page, "\nLast written on %s, on %s, with:\n\n| peer | version |\n| --- | --- |\n", run.Date, run.System)
	cells := b.cells()
	peers := slices.Sorted(maps.Keys(cells))
	for _, peer := range peers {
		fmt.Fprintf(&page, "| %s | %s |\n", peer, run.Versions[peer])
	}
	for _, peer := range peers {
		fmt.Fprintf(&page, "\n## %s\n\n%s", peer, section(cells[peer]))
	}
	return page.String()
}

// cells are the marks by peer: "" passed, else why the peer cannot.
func (b *Book) cells() map[string]map[Cell]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	marks := map[string]map[Cell]string{}
	mark := func(c Cell, reason string) {
		if marks[c.Peer] == nil {
			marks[c.Peer] = map[Cell]string{}
		}
		marks[c.Peer][c] = reason
	}
	for c, reason := range b.lacks {
		mark(c, reason)
	}
	for c, tests := range b.passed {
		for _, t := range tests {
			if !t.Failed() && !t.Skipped() {
				mark(c, "")
			}
		}
	}
	return marks
}

// section is the table of one peer, with its footnotes.
func section(cells map[Cell]string) string {
	var rows []row
	var columns []string
	for c := range cells {
		rows, columns = append(rows, c.row()), append(columns, c.column())
	}
	slices.SortFunc(rows, row.compare)
	slices.SortFunc(columns, compareColumns)
	rows, columns = slices.Compact(rows), slices.Compact(columns)

	var text strings.Builder
	fmt.Fprintf(&text, "| what | as | call | %s |\n| --- | --- | --- |%s\n", strings.Join(columns, " | "), strings.Repeat(" :-: |", len(columns)))
	var notes []string
	for _, r := range rows {
		text.WriteString(r.String())
		for _, column := range columns {
			text.WriteString(" " + field(cells, r, column, &notes) + " |")
		}
		text.WriteString("\n")
	}
	for i, note := range notes {
		fmt.Fprintf(&text, "\n(%d) %s.\n", i+1, note)
	}
	return text.String()
}

// field is the mark of a row under a column. A reason is noted once.
func field(cells map[Cell]string, r row, column string, notes *[]string) string {
	for c, reason := range cells {
		if c.row() != r || c.column() != column {
			continue
		}
		if reason == "" {
			return "✓"
		}
		at := slices.Index(*notes, reason)
		if at < 0 {
			at = len(*notes)
			*notes = append(*notes, reason)
		}
		return fmt.Sprintf("– (%d)", at+1)
	}
	return ""
}

// compareColumns puts UDP before TCP before TLS, and SRTP after RTP.
func compareColumns(a, b string) int {
	place := func(column string) int {
		transport, _, _ := strings.Cut(column, " ")
		return slices.Index([]string{"udp", "tcp", "tls"}, transport)
	}
	return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b))
}
