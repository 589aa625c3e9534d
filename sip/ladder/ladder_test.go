package ladder

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func at(ms int) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(ms) * time.Millisecond)
}

func TestText(t *testing.T) {
	three := Options{Columns: []string{"caller", "edge", "carrier"}, Width: 24}
	tests := []struct {
		name     string
		messages []Message
		options  Options
		want     string
	}{
		{"nothing draws nothing", nil, three, ""},
		{
			"a call crosses from left to right and back",
			[]Message{
				{Time: at(0), From: "caller", To: "edge", Line: "INVITE sip:+1@edge"},
				{Time: at(1), From: "edge", To: "caller", Line: "100 Trying"},
				{Time: at(1502), From: "edge", To: "carrier", Line: "INVITE sip:+1@carrier", Again: true},
				{Time: at(65_250), From: "carrier", To: "edge", Line: "486 Busy Here", Note: "cause 17"},
			},
			three,
			`
  seconds caller                  edge                    carrier
    0.000 |- INVITE sip:+1@edge ->|                       |
    0.001 |<- 100 Trying ---------|                       |
    1.502 |                       |- (again) INVITE sip… >|
   65.250 |                       |<- 486 Busy Here ------|  cause 17
`,
		},
		{
			"an arrow over two columns hides the column between",
			[]Message{{Time: at(0), From: "caller", To: "carrier", Line: "RTP"}},
			three,
			`
  seconds caller                  edge                    carrier
    0.000 |- RTP ---------------------------------------->|
`,
		},
		{
			"a lost message has no arrow head",
			[]Message{{Time: at(0), From: "edge", To: "caller", Line: "200 OK", Lost: true}, {Time: at(1), From: "caller", To: "edge", Line: "ACK", Lost: true}},
			three,
			`
  seconds caller                  edge                    carrier
    0.000 |x- 200 OK -------------|                       |
    0.001 |- ACK ----------------x|                       |
`,
		},
		{
			"remarks, unknown parties and hostile text",
			[]Message{
				{Time: at(0), Note: "wait 5s"},
				{Time: at(5000), From: "stranger", To: "edge", Line: "INVITE\r\n  9.999 |faked"},
				{Time: at(5000), From: "edge", To: "edge", Line: "OPTIONS"},
			},
			Options{Columns: []string{"edge"}, Width: 30},
			`
  seconds edge                          stranger
    0.000 -- wait 5s
    5.000 |<- INVITE??  9.999 |faked ---|
    5.000 |                             |  edge to itself: OPTIONS
`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := Text(test.messages, test.options)
			want := strings.TrimPrefix(test.want, "\n")
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Whatever the lines hold, every message is exactly one row and the lifelines of a full-width row stay aligned.
func FuzzText(f *testing.F) {
	f.Add("INVITE sip:a@b", "note", 34)
	f.Add("\x00\r\n\xff", "", 0)
	f.Add(strings.Repeat("é", 200), "\x1b[2J", -5)
	f.Fuzz(func(t *testing.T, line, note string, width int) {
		if width > 500 {
			width = 500
		}
		got := Text([]Message{{Time: at(0), From: "a", To: "b", Line: line, Note: note}, {Time: at(1), From: "b", To: "a", Line: line}},
			Options{Width: width})
		if n := strings.Count(got, "\n"); n != 3 {
			t.Errorf("%d rows in\n%s", n, got)
		}
		rows := strings.Split(got, "\n")
		cut, _, _ := strings.Cut(rows[1], "|  ")
		if utf8.RuneCountInString(rows[2]) < margin+2 || cut == "" {
			t.Errorf("row too short: %q", rows[2])
		}
	})
}
