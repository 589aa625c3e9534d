package siptest

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"

	"trunkline/trunks"
)

// flow is a parsed flow file.
type flow struct {
	path    string
	archive *txtar.Archive
	steps   []step
	parties []partyLine  // of the -- parties -- section
	names   trunks.Names // of the -- names -- section
}

type partyLine struct {
	line  int
	name  string
	addr  string
	proto string // "udp", "tcp", "tls" or empty
}

// step is one line of the flow with the indented lines below it.
type step struct {
	line    int
	text    string
	verb    verb
	party   string
	label   string // which call of the party; "1" when not given
	named   bool   // a label was given
	what    what
	options map[string]string
	details []detail
	args    []string // of a directive
}

type verb int

const (
	directive verb = iota
	send           // ->
	expect         // <-
	maybe          // ?<-
	anyOrder       // <~
)

// what is the message a line sends or expects.
type what struct {
	method   string // of the request, or of the request that a response answers; "" when not given
	statuses []int  // of a response, alternatives when expected; nil for a request
	uri      string
	reason   string
	raw      string // name of a .msg part
	repeat   bool   // send again what was sent
	ping     bool   // CRLF CRLF
}

// detail is an indented line: a header to set or to check.
type detail struct {
	line  int
	op    byte // ':' set or check, '+' add, '-' remove or check absence
	name  string
	value string
}

// errAt is an error of the flow file itself.
func (f *flow) errAt(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", f.path, line, fmt.Sprintf(format, args...))
}

func (f *flow) part(name string) ([]byte, bool) {
	for _, file := range f.archive.Files {
		if file.Name == name {
			return file.Data, true
		}
	}
	return nil, false
}

// setPart replaces a part, or adds it at the end.
func (f *flow) setPart(name string, data []byte) {
	for i, file := range f.archive.Files {
		if file.Name == name {
			f.archive.Files[i].Data = data
			return
		}
	}
	f.archive.Files = append(f.archive.Files, txtar.File{Name: name, Data: data})
}

func readFlow(path string) (*flow, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseFlow(path, data)
}

var partName = regexp.MustCompile(`^(flow|parties|names|sipgo\.yaml|[a-z0-9.-]+\.(yaml|sdp|body|msg|want))$`)

func parseFlow(path string, data []byte) (*flow, error) {
	f := &flow{path: path, archive: txtar.Parse(data)}
	if len(bytes.TrimSpace(f.archive.Comment)) == 0 {
		return nil, f.errAt(1, "say first what happens and which rule asks for it")
	}
	lines := strings.Split(string(data), "\n")
	for _, file := range f.archive.Files {
		at := slices.Index(lines, "-- "+file.Name+" --") + 1
		if !partName.MatchString(file.Name) {
			return nil, f.errAt(at, "unknown part %q", file.Name)
		}
		var err error
		switch file.Name {
		case "flow":
			err = f.parseSteps(at, string(file.Data))
		case "parties":
			err = f.parseParties(at, string(file.Data))
		case "names":
			err = f.parseNames(at, string(file.Data))
		}
		if err != nil {
			return nil, err
		}
	}
	if f.steps == nil {
		return nil, f.errAt(1, "there is no -- flow -- part, or it is empty")
	}
	return f, nil
}

func (f *flow) parseParties(at int, text string) error {
	for i, line := range strings.Split(text, "\n") {
		line, _ = cutComment(line)
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) < 2 || len(fields) > 3 {
			return f.errAt(at+i+1, "want NAME ADDRESS:PORT [udp|tcp|tls]")
		}
		p := partyLine{line: at + i + 1, name: fields[0], addr: fields[1]}
		if len(fields) == 3 {
			p.proto = fields[2]
		}
		f.parties = append(f.parties, p)
	}
	return nil
}

func (f *flow) parseSteps(at int, text string) error {
	for i, line := range strings.Split(text, "\n") {
		number := at + i + 1
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if err := f.parseDetail(number, strings.TrimSpace(line)); err != nil {
				return err
			}
			continue
		}
		code, comment := cutComment(line)
		words, err := splitWords(code)
		if err != nil {
			return f.errAt(number, "%v", err)
		}
		if len(words) == 0 {
			continue
		}
		s := step{line: number, text: strings.TrimSpace(code), options: map[string]string{}}
		if len(words) > 1 {
			s.verb = map[string]verb{"->": send, "<-": expect, "?<-": maybe, "<~": anyOrder}[words[1]]
		}
		if s.verb == directive {
			err = s.parseDirective(words)
		} else {
			err = s.parseMessage(words, comment)
		}
		if err != nil {
			return f.errAt(number, "%v", err)
		}
		f.steps = append(f.steps, s)
	}
	return nil
}

var detailLine = regexp.MustCompile(`^([-+]?)([A-Za-z0-9-]+)(?:\s*:\s*(.*))?$`)

func (f *flow) parseDetail(number int, line string) error {
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	if len(f.steps) == 0 || f.steps[len(f.steps)-1].verb == directive {
		return f.errAt(number, "an indented line belongs to a message above it")
	}
	m := detailLine.FindStringSubmatch(line)
	hasValue := strings.Contains(line, ":")
	if m == nil || (m[1] == "-") == hasValue {
		return f.errAt(number, "want NAME: VALUE, +NAME: VALUE or -NAME, not %q", line)
	}
	d := detail{line: number, op: ':', name: m[2], value: m[3]}
	if m[1] != "" {
		d.op = m[1][0]
	}
	last := &f.steps[len(f.steps)-1]
	last.details = append(last.details, d)
	return nil
}

// cutComment splits at a # that stands at the start or after a blank.
func cutComment(line string) (code, comment string) {
	for i := range len(line) {
		if line[i] == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i], strings.TrimSpace(line[i+1:])
		}
	}
	return line, ""
}

// splitWords splits at blanks; "quoted words" keep theirs, with the opening quote left on to tell them apart.
func splitWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" {
			return words, nil
		}
		if line[0] == '"' {
			end := strings.IndexByte(line[1:], '"')
			if end < 0 {
				return nil, fmt.Errorf("quote without end: %s", line)
			}
			words = append(words, line[:1+end])
			line = line[2+end:]
			continue
		}
		end := strings.IndexAny(line, " \t")
		if end < 0 {
			end = len(line)
		}
		words = append(words, line[:end])
		line = line[end:]
	}
}

var (
	partyWord    = regexp.MustCompile(`^([a-z][a-z0-9-]*)(?:#([a-z0-9]+))?$`)
	methodWord   = regexp.MustCompile(`^[A-Z][A-Za-z]*$`)
	statusWord   = regexp.MustCompile(`^[1-6][0-9][0-9](\|[1-6][0-9][0-9])*$`)
	uriWord      = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*:.`)
	repeatWord   = regexp.MustCompile(`^x([0-9]+|\*)$`)
	optionWord   = regexp.MustCompile(`^([a-z]+)=(.+)$`)
	commentBody  = regexp.MustCompile(`\bbody: ?([a-z0-9.-]+)`)
	commentWants = regexp.MustCompile(`\bcompared with ([a-z0-9.-]+\.want)`)
)

// Options of lines that send, and of lines that expect.
var (
	sendOptions   = []string{"tag", "body", "from", "to", "over", "branch", "challenge"}
	expectOptions = []string{"tag", "body", "from", "to", "over", "within", "after", "digest", "again", "times", "want"}
)

func (s *step) parseMessage(words []string, comment string) error {
	m := partyWord.FindStringSubmatch(words[0])
	if m == nil {
		return fmt.Errorf("%q is no party", words[0])
	}
	s.party, s.label, s.named = m[1], m[2], m[2] != ""
	if s.label == "" {
		s.label = "1"
	}
	if m := commentBody.FindStringSubmatch(comment); m != nil {
		s.options["body"] = m[1]
	}
	if m := commentWants.FindStringSubmatch(comment); m != nil {
		s.options["want"] = m[1]
	}
	if len(words) < 3 {
		return fmt.Errorf("nothing after the arrow")
	}
	if err := s.parseWhat(words[2]); err != nil {
		return err
	}
	for _, word := range words[3:] {
		if err := s.parseOption(word); err != nil {
			return err
		}
	}
	known := expectOptions
	if s.verb == send {
		known = sendOptions
	}
	for name := range s.options {
		if !slices.Contains(known, name) {
			return fmt.Errorf("option %q does not go with %q; known are %s", name, words[1], strings.Join(known, ", "))
		}
	}
	return nil
}

func (s *step) parseWhat(word string) error {
	switch {
	case methodWord.MatchString(word):
		s.what.method = word
	case statusWord.MatchString(word):
		for code := range strings.SplitSeq(word, "|") {
			n, _ := strconv.Atoi(code)
			s.what.statuses = append(s.what.statuses, n)
		}
		if s.verb == send && len(s.what.statuses) > 1 {
			return fmt.Errorf("%s: one status can be sent", word)
		}
	case s.verb == send && strings.HasSuffix(word, ".msg"):
		s.what.raw = word
	case s.verb == send && word == "repeat":
		s.what.repeat = true
	case s.verb == send && word == "ping":
		s.what.ping = true
	default:
		return fmt.Errorf("%q is neither a method, nor a status, nor (to send) a .msg part, repeat or ping", word)
	}
	return nil
}

func (s *step) parseOption(word string) error {
	switch {
	case word[0] == '"':
		s.what.reason = word[1:]
	case uriWord.MatchString(word):
		s.what.uri = word
	case word == "again":
		s.options["again"] = "yes"
	case repeatWord.MatchString(word):
		s.options["times"] = word[1:]
	case optionWord.MatchString(word):
		m := optionWord.FindStringSubmatch(word)
		s.options[m[1]] = m[2]
	case statusWord.MatchString(word) && s.what.repeat:
		n, err := strconv.Atoi(word)
		if err != nil {
			return fmt.Errorf("%s: one status can be repeated", word)
		}
		s.what.statuses = []int{n}
	case methodWord.MatchString(word) && (s.what.statuses != nil || s.what.repeat):
		s.what.method = word
	default:
		return fmt.Errorf("what is %q?", word)
	}
	return nil
}

// directives by their first word, with the number of arguments they take.
var directives = map[string][2]int{
	"wait":      {1, 1}, // DURATION
	"idle":      {1, 2}, // DURATION [PARTY]
	"burst":     {0, 0},
	"end":       {0, 0},
	"lose":      {3, 5}, // PARTY ARROW WHAT [METHOD] [xN]
	"duplicate": {3, 5}, // the same
	"delay":     {4, 6}, // DURATION and the same
	"latency":   {1, 1}, // DURATION
	"behind":    {1, 1}, // DURATION
	"silence":   {1, 1}, // PARTY
	"refuse":    {1, 2}, // PARTY [tcp]
	"listen":    {1, 2}, // PARTY [ADDRESS:PORT]
	"break":     {1, 1}, // PARTY
	"edge":      {1, 2}, // reload PART | drain
	"set":       {2, 2}, // NAME VALUE
	"press":     {2, 4}, // PARTY KEYS [DURATION] [noends]
	"talk":      {2, 2}, // PARTY DURATION
	"hear":      {2, 2}, // PARTY KEYS|nothing
}

func (s *step) parseDirective(words []string) error {
	counts, ok := directives[words[0]]
	if !ok {
		return fmt.Errorf("unknown directive %q", words[0])
	}
	s.args = words
	if n := len(words) - 1; n < counts[0] || n > counts[1] {
		return fmt.Errorf("%s takes %d to %d arguments, not %d", words[0], counts[0], counts[1], n)
	}
	switch words[0] {
	case "wait", "idle", "latency", "behind", "delay":
		if _, err := time.ParseDuration(words[1]); err != nil {
			return err
		}
	}
	return nil
}
