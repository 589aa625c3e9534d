package siptest

import (
	"fmt"
	"strconv"
	"strings"
)

// respond sends a response.
func (s *script) respond(p *party, step step) error {
	c := p.calls[step.label]
	var x *exchange
	if c != nil {
		x = c.toAnswer(step.what.method)
	}
	if x == nil {
		return fmt.Errorf("there is no request to answer")
	}
	status := step.what.statuses[0]
	m := &message{status: status, reason: step.what.reason}
	if m.reason == "" {
		if m.reason = reasons[status]; m.reason == "" {
			m.reason = "Other"
		}
	}
	for _, value := range x.request.list("Via") {
		m.add("Via", value)
	}
	dialogMaking := x.method() == "INVITE" && status > 100 && status < 300
	if dialogMaking {
		for _, value := range x.request.list("Record-Route") {
			m.add("Record-Route", value)
		}
	}
	m.add("From", x.request.get("From"))
	m.add("To", x.request.get("To"))
	if x.request.toTag() == "" && status > 100 {
		m.set("To", x.request.get("To")+";tag="+c.mintTag(step.options["tag"]))
	}
	m.add("Call-ID", x.request.callID())
	m.add("CSeq", x.request.get("CSeq"))
	if dialogMaking || x.method() == "UPDATE" && status < 300 {
		m.add("Contact", p.contact())
		m.add("Allow", allow)
	}
	m.add("Content-Length", "0")
	if algorithm := step.options["challenge"]; algorithm != "" {
		if err := p.demandDigest(m, algorithm); err != nil {
			return err
		}
	}
	if err := s.attachAnswer(m, x, step, p, c); err != nil {
		return err
	}
	s.override(m, step, p, c)
	if tag := m.toTag(); tag != "" && status > 100 && status < 300 && x.method() != "CANCEL" {
		d := c.dialogOf(tag, x.request.fromTag())
		if x.method() == "INVITE" || x.method() == "UPDATE" {
			d.refresh(x.request)
		}
		if x.method() == "INVITE" && len(d.routes) == 0 {
			d.routes = x.request.list("Record-Route")
		}
	}
	r := x.route
	if step.options["from"] != "" || step.options["over"] != "" || step.options["to"] != "" {
		var err error
		if r, err = s.routeOf(p, step); err != nil {
			return err
		}
	}
	x.responses = append(x.responses, m)
	if status >= 200 {
		x.final = m
	}
	s.mint(m)
	_, err := p.endpoint.send(r, m.bytes())
	return err
}

// attachAnswer gives a response the body it would have: an answer to an offer, an offer when there was none.
func (s *script) attachAnswer(m *message, x *exchange, step step, p *party, c *call) error {
	invite := x.method() == "INVITE" && (m.status == 183 || m.status/100 == 2)
	update := x.method() == "UPDATE" && m.status/100 == 2 && len(x.request.body) > 0
	if !invite && !update && step.options["body"] == "" {
		return nil
	}
	name := "answer.sdp"
	if invite && len(x.request.body) == 0 {
		name = "offer.sdp"
	}
	return s.attach(m, step, p, c, name)
}

// attach sets the body a line asks for, or the default.
func (s *script) attach(m *message, step step, p *party, c *call, name string) error {
	if v := step.options["body"]; v != "" {
		name = v
	}
	if name == "none" {
		m.body = nil
		m.remove("Content-Type")
		m.set("Content-Length", "0")
		return nil
	}
	text, err := s.body(name)
	if err != nil {
		return err
	}
	text = s.expand(text, p, c)
	m.body = []byte(text)
	m.remove("Content-Length")
	if !m.has("Content-Type") {
		m.add("Content-Type", "application/sdp")
	}
	m.add("Content-Length", strconv.Itoa(len(m.body)))
	return nil
}

// body is a part of the file, or a session description everybody knows, with line ends as on the wire.
func (s *script) body(name string) (string, error) {
	data, ok := s.flow.part(name)
	text := string(data)
	switch {
	case ok:
	case name == "offer.sdp":
		text = defaultOffer
	case name == "answer.sdp":
		text = defaultAnswer
	default:
		return "", fmt.Errorf("there is no part %s", name)
	}
	return unescape(strings.ReplaceAll(text, "\n", "\r\n")), nil
}

const (
	defaultOffer = `v=0
o=$name 1001 1 IN $family $ip
s=-
c=IN $family $ip
t=0 0
m=audio 4000 RTP/AVP 0 8 101
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendrecv
`
	defaultAnswer = `v=0
o=$name 2002 1 IN $family $ip
s=-
c=IN $family $ip
t=0 0
m=audio 4000 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=sendrecv
`
)

// override applies the indented lines.
func (s *script) override(m *message, step step, p *party, c *call) {
	for _, d := range step.details {
		value := unescape(s.expand(d.value, p, c))
		switch {
		case d.op == '-':
			m.remove(d.name)
		case d.op == '+':
			m.add(d.name, value)
		default:
			m.set(d.name, value)
		}
	}
}
