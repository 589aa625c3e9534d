package siptest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// expect takes the message a line wants, or says what came instead.
func (s *script) expect(step step) error {
	p := s.parties[step.party]
	if p == nil {
		return fmt.Errorf("no party %q", step.party)
	}
	times := 1
	if v := step.options["times"]; v == "*" {
		return fmt.Errorf("x* goes with ?<- only")
	} else if v != "" {
		times, _ = strconv.Atoi(v)
	}
	var moments []string
	if v := step.options["after"]; v != "" {
		moments = strings.Split(v, ",")
		if len(moments) != times && len(moments) != 1 {
			return fmt.Errorf("%d moments in after= for %d messages", len(moments), times)
		}
	}
	for i := range times {
		var moment *span
		if len(moments) > 0 {
			m, err := parseSpan(moments[min(i, len(moments)-1)])
			if err != nil {
				return err
			}
			moment = &m
		}
		if err := s.expectOne(p, step, moment); err != nil {
			if times > 1 {
				return fmt.Errorf("number %d: %w", i+1, err)
			}
			return err
		}
	}
	return nil
}

// span is a stretch of time counted from the party's last message.
type span struct{ from, to time.Duration }

// parseSpan reads 500ms, or 2.1s..4s.
func parseSpan(text string) (span, error) {
	first, last, ok := strings.Cut(text, "..")
	from, err := time.ParseDuration(first)
	if err != nil {
		return span{}, err
	}
	if !ok {
		return span{from - slack, from + slack}, nil
	}
	to, err := time.ParseDuration(last)
	return span{from - slack, to + slack}, err
}

func (s *script) expectOne(p *party, step step, moment *span) error {
	wait := patience
	if v := step.options["within"]; v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return err
		}
		wait = d
	} else if moment != nil {
		wait = max(time.Until(p.last.Add(moment.to)), 0)
	} else if step.options["times"] != "" {
		wait = 17 * time.Second
	}
	wanted := func(a Arrival) bool {
		m, err := parseMessage(a.Bytes)
		if err != nil {
			return true // shown as what came instead
		}
		return s.belongs(p, step, m) && (step.verb != anyOrder || step.what.matches(m) == "")
	}
	a, ok := p.endpoint.receive(wait, wanted)
	if !ok {
		return fmt.Errorf("nothing came within %v%s", wait, s.others(p))
	}
	return s.accept(p, step, moment, a)
}

// maybe takes messages that may or may not come, and only while they come at once.
func (s *script) maybe(step step) error {
	p := s.parties[step.party]
	if p == nil {
		return fmt.Errorf("no party %q", step.party)
	}
	wait := 20 * time.Millisecond
	if v := step.options["within"]; v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return err
		}
		wait = d
	}
	time.Sleep(wait)
	times := 1
	if v := step.options["times"]; v == "*" {
		times = -1
	} else if v != "" {
		times, _ = strconv.Atoi(v)
	}
	for ; times != 0; times-- {
		first := true
		a, ok := p.endpoint.receive(0, func(a Arrival) bool {
			m, err := parseMessage(a.Bytes)
			if err != nil || !s.belongs(p, step, m) {
				return false
			}
			wanted := first && step.what.matches(m) == ""
			first = false
			return wanted
		})
		if !ok {
			return nil
		}
		if err := s.accept(p, step, nil, a); err != nil {
			return err
		}
	}
	return nil
}

// belongs reports whether a message is of the call a line speaks about: its own, or one nobody has claimed.
func (s *script) belongs(p *party, step step, m *message) bool {
	c := p.byCallID(m.callID())
	return c == nil || c == p.calls[step.label]
}

// others lists what is waiting at a party and at the others, to explain why something is missing.
func (s *script) others(p *party) string {
	var waiting []string
	for _, name := range s.names {
		for _, a := range s.parties[name].endpoint.pending(time.Now()) {
			waiting = append(waiting, fmt.Sprintf("%s: %s", name, firstLine(a.Bytes)))
		}
	}
	if len(waiting) == 0 {
		return ""
	}
	return "; waiting are " + strings.Join(waiting, ", ")
}

// matches says why a message is not what is wanted, "" if it is.
func (w what) matches(m *message) string {
	_, method := m.cseq()
	if w.statuses == nil {
		if m.status != 0 || m.method != w.method {
			return "got " + m.first()
		}
		return ""
	}
	if !slices.Contains(w.statuses, m.status) || w.method != "" && method != w.method {
		return "got " + m.first()
	}
	return ""
}

// accept checks a message that was taken and enters it in the books.
func (s *script) accept(p *party, step step, moment *span, a Arrival) error {
	m, err := parseMessage(a.Bytes)
	if err != nil {
		return fmt.Errorf("the edge sent an unreadable message: %w\n%s", err, a.Bytes)
	}
	if why := step.what.matches(m); why != "" {
		return fmt.Errorf("%s\n%s", why, indent(a.Bytes))
	}
	since := a.At.Sub(p.last)
	p.last = a.At
	if moment != nil && (since < moment.from || since > moment.to) {
		return fmt.Errorf("came %v after the party's last message", since)
	}
	c := p.calls[step.label]
	if c == nil || c.id != m.callID() {
		if known := p.byCallID(m.callID()); known != nil {
			return fmt.Errorf("it belongs to another call of %s", p.name)
		}
		if m.status == 0 || c == nil {
			c = p.newCall(step.label, m.callID(), false)
		}
	}
	if err := s.checkOptions(p, c, step, m, a); err != nil {
		return fmt.Errorf("%w\n%s", err, indent(a.Bytes))
	}
	r := route{proto: a.proto, from: a.To, to: a.From, conn: a.Conn}
	if broken := s.lint(p, c, m, r); broken != "" {
		return fmt.Errorf("%s\n%s", broken, indent(a.Bytes))
	}
	var answered *exchange
	if m.status == 0 {
		c.took(m, r)
	} else if answered = c.answers(m); answered != nil {
		c.heard(answered, m)
	}
	if err := s.checkDetails(p, c, step, m); err != nil {
		return fmt.Errorf("%w\n%s", err, indent(a.Bytes))
	}
	if name := step.options["want"]; name != "" {
		return s.compareMessage(name, a.Bytes)
	}
	return nil
}

func indent(b []byte) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(string(b), "\r\n"), "\r\n", "\n    ")
}

// checkOptions checks what a line says beside the message.
func (s *script) checkOptions(p *party, c *call, step step, m *message, a Arrival) error {
	for name, place := range map[string]string{"from": a.From.String(), "to": a.To.String()} {
		if v := step.options[name]; v != "" {
			want, err := s.parseAddr(v)
			if err != nil {
				return err
			}
			if place != want.String() {
				return fmt.Errorf("%s=%s, but it was %s", name, want, place)
			}
		}
	}
	proto := p.endpoint.Proto
	if v := step.options["over"]; v != "" {
		var err error
		if proto, err = parseProto(v); err != nil {
			return err
		}
	}
	if m.status == 0 && proto.Reliable() != (a.Conn != 0) {
		return fmt.Errorf("it did not come over %s", proto)
	}
	if v := step.options["tag"]; v != "" {
		if tag := m.toTag(); tag != v && tag != c.mintTag(v) && tag != s.expand(v, p, c) {
			return fmt.Errorf("its To tag is %q, not that of fork %s", tag, v)
		}
	}
	if step.options["again"] != "" && !c.had(m, a.Bytes) {
		return fmt.Errorf("it is not the same as before")
	}
	if v := step.options["digest"]; v != "" {
		if err := p.challenge.verify(m, v); err != nil {
			return err
		}
	}
	if v := step.options["body"]; v != "" {
		if v == "none" {
			if len(m.body) > 0 {
				return fmt.Errorf("it has a body")
			}
			return nil
		}
		want, err := s.body(v)
		if err != nil {
			return err
		}
		if want = s.expand(want, p, c); string(m.body) != want {
			return fmt.Errorf("the body is not %s", v)
		}
	}
	if v := step.what.uri; v != "" {
		if want := s.expand(v, p, c); !s.glob(want, m.uri) {
			return fmt.Errorf("the Request-URI %q is not %q", m.uri, want)
		}
	}
	return nil
}

// had reports whether the same message was taken before.
func (c *call) had(m *message, b []byte) bool {
	for _, x := range c.received {
		if m.status == 0 && bytes.Equal(x.request.bytes(), b) {
			return true
		}
	}
	for _, x := range c.sent {
		for _, old := range x.responses {
			if m.status != 0 && bytes.Equal(old.bytes(), b) {
				return true
			}
		}
	}
	return false
}

// checkDetails checks the indented lines; $names that are new are captured.
func (s *script) checkDetails(p *party, c *call, step step, m *message) error {
	for _, d := range step.details {
		want := s.expand(d.value, p, c)
		switch {
		case d.op == '-' && d.name == "body":
			if len(m.body) > 0 {
				return fmt.Errorf("it has a body")
			}
		case d.op == '-':
			if m.has(d.name) {
				return fmt.Errorf("it has a %s", d.name)
			}
		case d.op == '+':
			return fmt.Errorf("+%s is for messages that are sent", d.name)
		case d.name == "no":
			if bytes.Contains(m.bytes(), []byte(want)) {
				return fmt.Errorf("%q is in it", want)
			}
		case d.name == "has":
			if !bytes.Contains(m.bytes(), []byte(want)) {
				return fmt.Errorf("%q is not in it", want)
			}
		case d.name == "reason":
			if !s.glob(want, m.reason) {
				return fmt.Errorf("reason phrase %q is not %q", m.reason, want)
			}
		case d.name == "count":
			name, n, _ := strings.Cut(want, " ")
			if got := strconv.Itoa(len(m.list(name))); got != n {
				return fmt.Errorf("it has %s of %s, not %s", got, name, n)
			}
		case d.name == "order":
			if err := checkOrder(want, m); err != nil {
				return err
			}
		case d.name == "body":
			lines := strings.Split(strings.TrimRight(string(m.body), "\r\n"), "\r\n")
			if !slices.ContainsFunc(lines, func(line string) bool { return s.glob(want, line) }) {
				return fmt.Errorf("no line of the body is %q", want)
			}
		default:
			if err := s.checkHeader(d.name, want, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOrder wants the values of a header to hold the given words, one each, in this order.
func checkOrder(want string, m *message) error {
	words := strings.Fields(want)
	if len(words) == 0 {
		return fmt.Errorf("want order: NAME WORD…")
	}
	values := m.list(words[0])
	if len(values) != len(words)-1 {
		return fmt.Errorf("%d values of %s, not %d", len(values), words[0], len(words)-1)
	}
	for i, word := range words[1:] {
		if !strings.Contains(values[i], word) {
			return fmt.Errorf("%s number %d is %q, without %q", words[0], i+1, values[i], word)
		}
	}
	return nil
}

func (s *script) checkHeader(name, want string, m *message) error {
	if !m.has(name) {
		return fmt.Errorf("it has no %s", name)
	}
	for _, h := range m.headers {
		if strings.EqualFold(h.name, name) && s.glob(want, h.value) {
			return nil
		}
	}
	for _, value := range m.list(name) {
		if s.glob(want, value) {
			return nil
		}
	}
	return fmt.Errorf("%s is %q, not %q", name, m.get(name), want)
}

// glob matches text against a pattern in which * is anything and $name, not known yet, captures a word.
func (s *script) glob(pattern, text string) bool {
	found := map[string]string{}
	if !match(pattern, text, found) {
		return false
	}
	maps.Copy(s.vars, found)
	return true
}

func match(pattern, text string, found map[string]string) bool {
	for pattern != "" {
		if pattern[0] == '*' {
			for i := 0; i <= len(text); i++ {
				if match(pattern[1:], text[i:], found) {
					return true
				}
			}
			return false
		}
		if name := variableWord.FindString(pattern); name != "" && strings.HasPrefix(pattern, name) && !strings.Contains(name, ".") {
			end := strings.IndexAny(text, " ;,<>\"")
			if end < 0 {
				end = len(text)
			}
			for ; end > 0; end-- {
				if match(pattern[len(name):], text[end:], found) {
					found[name[1:]] = text[:end]
					return true
				}
			}
			return false
		}
		if text == "" || pattern[0] != text[0] {
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}
