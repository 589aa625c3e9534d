package ladder

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Message is one arrow, or a remark when From and To are both empty.
type Message struct {
	Time     time.Time // when it was sent or received, as the observer saw it
	From, To string    // the parties; the same name twice draws a loop to itself
	Line     string    // first line of the message; shortened to fit between the two columns
	Note     string    // printed to the right, or as the text of a remark; may be empty
	Again    bool      // a retransmission: marked so that the eye can skip it
	Lost     bool      // never arrived: drawn with an x in place of the arrow head
}

// Options say how to draw. The zero value is good for a terminal of 120 columns.
type Options struct {
	Columns []string  // parties from left to right; parties not named here follow in order of appearance
	Start   time.Time // shown as 0.000; zero means the time of the first message
	Width   int       // characters from one column to the next; zero means 34, less than 12 is taken as 12
}

// Text draws the messages in the order given. Nothing to draw gives the empty string.
func Text(messages []Message, o Options) string { return string(Append(nil, messages, o)) }

// Append appends the drawing to b.
func Append(b []byte, messages []Message, o Options) []byte {
	if len(messages) == 0 {
		return b
	}
	d := drawing{columns: columns(messages, o.Columns), width: max(o.Width, 12), start: o.Start}
	if o.Width == 0 {
		d.width = 34
	}
	if d.start.IsZero() {
		d.start = messages[0].Time
	}
	b = d.header(b)
	for _, m := range messages {
		b = d.message(b, m)
	}
	return b
}

// columns is the wanted order followed by every party it forgot.
func columns(messages []Message, wanted []string) []string {
	all := slices.Clone(wanted)
	for _, m := range messages {
		for _, name := range []string{m.From, m.To} {
			if name != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

type drawing struct {
	columns []string
	width   int
	start   time.Time
}

const margin = 10 // characters for the time

func (d *drawing) header(b []byte) []byte {
	b = append(b, "  seconds "...)
	for i, name := range d.columns {
		if i == len(d.columns)-1 {
			b = append(b, name...)
			break
		}
		b = append(b, fit(name, d.width-1)...)
		b = pad(b, d.width-min(utf8.RuneCountInString(name), d.width-1))
	}
	return append(b, '\n')
}

func (d *drawing) message(b []byte, m Message) []byte {
	b = appendSeconds(b, m.Time.Sub(d.start))
	if m.From == "" && m.To == "" {
		b = append(b, "-- "...)
		b = append(b, printable(m.Note)...)
		return append(b, '\n')
	}
	from, to := slices.Index(d.columns, m.From), slices.Index(d.columns, m.To)
	if to < 0 { // sent to nobody we know
		to = from
	}
	if from < 0 {
		from = to
	}
	left, right := min(from, to), max(from, to)
	line := printable(m.Line)
	if m.Again {
		line = "(again) " + line
	}
	for i := range d.columns {
		b = append(b, '|')
		switch {
		case i == len(d.columns)-1:
		case i == left && left != right:
			b = d.arrow(b, line, (right-left)*d.width-1, from < to, m.Lost)
		case i > left && i < right: // the arrow already covers it
			b = b[:len(b)-1]
		default:
			b = pad(b, d.width-1)
		}
	}
	if left == right {
		b = append(b, "  "...)
		b = append(b, d.columns[left]...)
		b = append(b, " to itself: "...)
		b = append(b, line...)
	}
	if m.Note != "" {
		b = append(b, "  "...)
		b = append(b, printable(m.Note)...)
	}
	return append(b, '\n')
}

// arrow fills exactly n characters: `--INVITE sip:…------>` or `<-200 OK-------------`.
func (d *drawing) arrow(b []byte, line string, n int, rightwards, lost bool) []byte {
	head := byte('>')
	if !rightwards {
		head = '<'
	}
	if lost {
		head = 'x'
	}
	text := fit(line, n-4)
	fill := n - 3 - utf8.RuneCountInString(text)
	if !rightwards {
		b = append(b, head, '-', ' ')
		b = append(b, text...)
		b = append(b, ' ')
		return dashes(b, fill-1)
	}
	b = append(b, '-', ' ')
	b = append(b, text...)
	b = append(b, ' ')
	b = dashes(b, fill-1)
	return append(b, head)
}

// appendSeconds writes d right-aligned in the margin with millisecond resolution.
func appendSeconds(b []byte, d time.Duration) []byte {
	sign := ""
	if d < 0 {
		sign, d = "-", -d
	}
	ms := d.Round(time.Millisecond).Milliseconds()
	digits := []byte(sign)
	digits = appendInt(digits, ms/1000, 1)
	digits = append(digits, '.')
	digits = appendInt(digits, ms%1000, 3)
	b = pad(b, margin-1-len(digits))
	b = append(b, digits...)
	return append(b, ' ')
}

func appendInt(b []byte, n int64, width int) []byte {
	var digits [20]byte
	i := len(digits)
	for n > 0 || len(digits)-i < width {
		i--
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(b, digits[i:]...)
}

// fit shortens s to n characters, the last of them an ellipsis.
func fit(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	if n <= 1 {
		return ""
	}
	runes := []rune(s)
	return string(runes[:n-1]) + "…"
}

// printable keeps a hostile first line from moving the cursor or faking a second row.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

func pad(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, ' ')
	}
	return b
}

func dashes(b []byte, n int) []byte {
	for ; n > 0; n-- {
		b = append(b, '-')
	}
	return b
}
