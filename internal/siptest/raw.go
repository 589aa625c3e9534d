package siptest

import (
	"fmt"
	"strconv"
	"strings"
)

// sendAgain repeats the newest message sent that fits, to the byte unless indented lines or branch=new change it.
func (s *script) sendAgain(p *party, step step) error {
	c := p.calls[step.label]
	if c == nil {
		return fmt.Errorf("nothing was sent yet")
	}
	m, r := c.lastMessage(step.what)
	if m == nil {
		return fmt.Errorf("no such message was sent")
	}
	if len(step.options) > 0 {
		var err error
		if r, err = s.routeOf(p, step); err != nil {
			return err
		}
	}
	if step.options["branch"] == "new" || len(step.details) > 0 {
		changed := *m
		changed.headers = append([]header(nil), m.headers...)
		m = &changed
		if step.options["branch"] == "new" {
			m.set("Via", via(r, p, c.mintBranch()))
		}
		s.override(m, step, p, c)
		s.mint(m)
		if m.status == 0 {
			c.sent = append(c.sent, &exchange{request: m, route: r})
		}
	}
	_, err := p.endpoint.send(r, m.bytes())
	return err
}

// lastMessage is the newest message sent in a call with that method or status.
func (c *call) lastMessage(w what) (*message, route) {
	if w.statuses != nil {
		for i := len(c.received) - 1; i >= 0; i-- {
			x := c.received[i]
			if w.method != "" && x.method() != w.method {
				continue
			}
			for j := len(x.responses) - 1; j >= 0; j-- {
				if x.responses[j].status == w.statuses[0] {
					return x.responses[j], x.route
				}
			}
		}
		return nil, route{}
	}
	for i := len(c.sent) - 1; i >= 0; i-- {
		if w.method == "" || c.sent[i].method() == w.method {
			return c.sent[i].request, c.sent[i].route
		}
	}
	return nil, route{}
}

// sendRaw sends a .msg part: variables and \xHH replaced, lines ended by CRLF, $length computed.
func (s *script) sendRaw(p *party, step step, r route) error {
	data, ok := s.flow.part(step.what.raw)
	if !ok {
		return fmt.Errorf("there is no part %s", step.what.raw)
	}
	c := p.calls[step.label]
	text := unescape(strings.ReplaceAll(s.expand(string(data), p, c), "\n", "\r\n"))
	head, body, ok := strings.Cut(text, "\r\n\r\n")
	if !ok {
		text += "\r\n"
	}
	text = strings.ReplaceAll(text, "$length", strconv.Itoa(len(body)))
	head = strings.ReplaceAll(head, "$length", strconv.Itoa(len(body)))
	p.sentRaw = true
	r, err := p.endpoint.send(r, []byte(text))
	if err != nil {
		return err
	}
	m, err := parseMessage([]byte(unfold(head) + "\r\n\r\n" + body))
	if err != nil || m.status != 0 {
		return nil // meant to be unreadable, or a stray response
	}
	if c == nil || c.id != m.callID() {
		c = p.newCall(step.label, m.callID(), true)
		c.localTag = m.fromTag()
		c.local, c.remote = withoutTag(m.get("From")), withoutTag(m.get("To"))
	}
	if n, _ := m.cseq(); n > c.cseq {
		c.cseq = n
	}
	s.mint(m)
	c.sent = append(c.sent, &exchange{request: m, route: r})
	return nil
}

// unfold joins continuation lines and removes blanks before colons, which parseMessage does not forgive.
func unfold(head string) string {
	head = strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(head)
	lines := strings.Split(head, "\r\n")
	for i, line := range lines[1:] {
		if name, value, ok := strings.Cut(line, ":"); ok {
			lines[i+1] = strings.TrimRight(name, " \t") + ":" + value
		}
	}
	return strings.Join(lines, "\r\n")
}

// unescape replaces \xHH by that octet.
func unescape(s string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, `\x`)
		if i < 0 || i+4 > len(s) {
			b.WriteString(s)
			return b.String()
		}
		n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
		if err != nil {
			b.WriteString(s[:i+2])
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		b.WriteByte(byte(n))
		s = s[i+4:]
	}
}

// mint remembers what scripts made up, so that the rest is known to be the edge's.
func (s *script) mint(m *message) {
	s.norm.knownBody(m.body)
	if m.status != 0 {
		s.norm.known(m.toTag())
		return
	}
	s.norm.known(m.fromTag(), m.branch())
	if m.toTag() == "" {
		s.norm.known(m.callID())
	}
}
