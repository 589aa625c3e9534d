package call

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata/*.txt; read the diff afterwards")

// A conversation is a txtar file: what happens and which rule asks for it, the policy of the call if it is
// not the default, the call, and the record it leaves. In the call, a line
//
//	> [+duration] event words…
//
// is something that happened; "> tick" is preceded by the wait for NextDeadline. The lines up to the next
// one are golden: the actions, and the state with its deadline.
func TestConversations(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 45 {
		t.Fatalf("found %d conversations (%v), want at least 45", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { converse(t, file) })
	}
}

func converse(t *testing.T, file string) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(strings.TrimSpace(string(archive.Comment))) == 0 {
		t.Error("says neither what happens nor which rule asks for it")
	}
	var options Options
	for i := range archive.Files {
		f := &archive.Files[i]
		switch f.Name {
		case "options":
			options = parseOptions(t, string(f.Data))
		case "call":
			got, record := play(t, &options, string(f.Data))
			golden(t, f, got)
			if i+1 == len(archive.Files) {
				archive.Files = append(archive.Files, txtar.File{Name: "record"})
			}
			golden(t, &archive.Files[i+1], record)
		case "record":
		default:
			t.Fatalf("unknown part %q", f.Name)
		}
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func golden(t *testing.T, f *txtar.File, got string) {
	t.Helper()
	if *update {
		f.Data = []byte(got)
		return
	}
	if want := string(f.Data); got != want {
		t.Errorf("%s differs; with -update it would be:\n%s", f.Name, got)
	}
}

// play runs the events of a call and returns it with fresh golden lines, and its record.
func play(t *testing.T, o *Options, text string) (string, string) {
	t.Helper()
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now := start
	c := New(o, 1)
	m := newMonitor()
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
			continue
		case !strings.HasPrefix(line, "> "):
			continue
		}
		wait, ev := parseEvent(t, line[2:])
		now = now.Add(wait)
		if ev.Kind == Tick && wait == 0 && !c.NextDeadline().IsZero() {
			now = c.NextDeadline()
		}
		before := c.State()
		actions := c.Step(now, ev)
		m.see(c, now, before, ev, actions)
		fmt.Fprintln(&out, line)
		for _, a := range actions {
			fmt.Fprintf(&out, "  %v\n", a)
		}
		fmt.Fprintf(&out, "[%v at %v", c.State(), now.Sub(start))
		if d := c.NextDeadline(); !d.IsZero() {
			fmt.Fprintf(&out, ", until %v", d.Sub(start))
		}
		fmt.Fprintln(&out, "]")
	}
	if c.State() != Ended {
		t.Errorf("the call is still %v", c.State())
	}
	r := c.Record()
	m.check(r)
	for _, s := range m.broken {
		t.Error(s)
	}
	return out.String(), recordText(r)
}

func recordText(r Record) string {
	var b strings.Builder
	since := func(at time.Time) string {
		if at.IsZero() {
			return "never"
		}
		return at.Sub(r.Start).String()
	}
	fmt.Fprintf(&b, "outcome=%v ended_by=%v cause=%v code=%d callee_code=%d\n", r.Outcome, r.EndedBy, r.Cause, r.Code, r.CalleeCode)
	fmt.Fprintf(&b, "ringing=%s answer=%s end=%s duration=%v disconnect=%v\n", since(r.Ringing), since(r.Answer), since(r.End), r.Duration(), r.Disconnect)
	fmt.Fprintf(&b, "attempts=%d redirects=%d reinvites=%d ignored=%d late_answer=%v", r.Attempts, r.Redirects, r.Reinvites, r.Ignored, r.LateAnswer)
	b.Write(r.Reason.append(nil))
	b.WriteByte('\n')
	return b.String()
}

func parseOptions(t *testing.T, text string) (o Options) {
	t.Helper()
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "ring":
			o.RingTimeout = duration(t, value)
		case "silence":
			o.Silence = duration(t, value)
		case "max-duration":
			o.MaxDuration = duration(t, value)
		case "reinvite":
			o.ReinviteTimeout = duration(t, value)
		case "redirect":
			o.Redirect = map[string]Redirect{"refuse": RedirectRefuse, "relay": RedirectRelay, "follow": RedirectFollow}[value]
		case "max-redirects":
			o.MaxRedirects = uint8(integer(t, value))
		case "failover":
			var codes []int
			words := strings.Split(value, ",")
			for _, code := range words {
				if code != "timeout" && code != "none" {
					codes = append(codes, integer(t, code))
				}
			}
			o.Failover = FailoverOn(slices.Contains(words, "timeout"), codes...)
		case "pass":
			for m := range strings.SplitSeq(value, ",") {
				i, ok := find(methodNames[:], m)
				if !ok {
					t.Fatalf("unknown method %q", m)
				}
				o.Pass |= Methods(Method(i))
			}
		case "code":
			from, to, _ := strings.Cut(value, ":")
			o.Codes = append(o.Codes, CodeRule{uint16(integer(t, from)), uint16(integer(t, to))})
		default:
			t.Fatalf("unknown option %q", word)
		}
	}
	return o
}

func parseEvent(t *testing.T, line string) (wait time.Duration, ev Event) {
	t.Helper()
	words := strings.Fields(line)
	if strings.HasPrefix(words[0], "+") {
		wait = duration(t, words[0][1:])
		words = words[1:]
	}
	kind, ok := find(eventNames[:], words[0])
	if !ok {
		t.Fatalf("unknown event %q", words[0])
	}
	ev.Kind = EventKind(kind)
	for _, w := range words[1:] {
		key, value, isPair := strings.Cut(w, "=")
		if isPair {
			switch key {
			case "fork":
				ev.Fork = uint8(integer(t, value))
			case "attempt":
				ev.Attempt = uint8(integer(t, value))
			case "ref":
				ev.Ref = uint8(integer(t, value))
			case "targets":
				ev.Targets = uint8(integer(t, value))
			case "after":
				ev.After = duration(t, value)
			case "reason-sip":
				ev.Reason.SIP = uint16(integer(t, value))
			case "reason-q850":
				ev.Reason.Q850 = uint8(integer(t, value))
			default:
				t.Fatalf("unknown word %q", w)
			}
			continue
		}
		if i, ok := find(sideNames[:], w); ok {
			ev.Side = Side(i)
		} else if i, ok := find(methodNames[:], w); ok {
			ev.Method = Method(i)
		} else if i, ok := find(causeNames[:], w); ok {
			ev.Cause = Cause(i)
		} else if n, err := strconv.Atoi(w); err == nil {
			ev.Code = uint16(n)
		} else {
			switch w {
			case "sdp":
				ev.SDP = SDPGood
			case "bad-sdp":
				ev.SDP = SDPBad
			case "no-contact":
				ev.NoContact = true
			case "reliable":
				ev.Reliable = true
			case "required":
				ev.Required = true
			case "ours":
				ev.Ours = true
			case "pass":
				ev.Pass = true
			case "digit":
				ev.Digit = true
			case "no-update":
				ev.NoUpdate = true
			default:
				t.Fatalf("unknown word %q", w)
			}
		}
	}
	return wait, ev
}

func find(names []string, s string) (int, bool) {
	for i, n := range names {
		if n == s && s != "" {
			return i, true
		}
	}
	return 0, false
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func integer(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
