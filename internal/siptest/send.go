package siptest

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"trunkline/sip/transport"
)

// send builds and sends the message of a line.
func (s *script) send(step step) error {
	p := s.parties[step.party]
	if p == nil {
		return fmt.Errorf("no party %q", step.party)
	}
	defer s.settle()
	p.last = time.Now()
	r, err := s.routeOf(p, step)
	if err != nil {
		return err
	}
	switch {
	case step.what.ping:
		_, err := p.endpoint.send(r, []byte(transport.Ping))
		return err
	case step.what.raw != "":
		return s.sendRaw(p, step, r)
	case step.what.repeat:
		return s.sendAgain(p, step)
	case step.what.statuses != nil:
		return s.respond(p, step)
	}
	return s.request(p, step, r)
}

// routeOf is the way a line takes: the party's own, changed by from=, to= and over=.
func (s *script) routeOf(p *party, step step) (route, error) {
	r := route{proto: p.endpoint.Proto, from: p.endpoint.Addr, to: p.edge}
	var err error
	if v := step.options["over"]; v != "" {
		if r.proto, err = parseProto(v); err != nil {
			return r, err
		}
		for _, l := range s.net.listeners {
			if l.Proto == r.proto && l.Addr.Addr().Is4() == p.endpoint.Addr.Addr().Is4() {
				r.to = l.Addr
				break
			}
		}
	}
	if v := step.options["from"]; v != "" {
		if r.from, err = s.parseAddr(v); err != nil {
			return r, err
		}
	}
	if v := step.options["to"]; v != "" {
		if r.to, err = s.parseAddr(v); err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseProto(s string) (transport.Proto, error) {
	for _, p := range []transport.Proto{transport.UDP, transport.TCP, transport.TLS} {
		if strings.EqualFold(s, p.String()) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%q is no transport", s)
}

// parseAddr reads ADDRESS:PORT or the name of a party.
func (s *script) parseAddr(v string) (netip.AddrPort, error) {
	if p := s.parties[v]; p != nil {
		return p.endpoint.Addr, nil
	}
	a, err := netip.ParseAddrPort(v)
	if err != nil {
		return a, fmt.Errorf("%q is neither a party nor ADDRESS:PORT", v)
	}
	return a, nil
}

// request sends a request, in a dialog or not.
func (s *script) request(p *party, step step, r route) error {
	method := step.what.method
	c := p.calls[step.label]
	outside := c == nil || step.what.uri != "" && !inDialogOnly(method)
	if outside {
		c = p.newCall(step.label, "", true)
	}
	var m *message
	var err error
	switch {
	case method == "CANCEL":
		m, err = c.sameHop(s, step, "CANCEL")
	case method == "ACK":
		m, err = c.ack(s, step, &r)
	case outside:
		m, err = s.firstRequest(p, c, step)
	default:
		m, err = c.inDialog(s, step, &r)
	}
	if err != nil {
		return err
	}
	if method == "INVITE" || step.options["body"] != "" {
		if err := s.attach(m, step, p, c, "offer.sdp"); err != nil {
			return err
		}
	}
	if branch := step.options["branch"]; branch != "" {
		m.set("Via", via(r, p, branch))
	}
	s.override(m, step, p, c)
	if n, _ := m.cseq(); method != "ACK" && method != "CANCEL" && n > c.cseq {
		c.cseq = n
	}
	if id := m.callID(); id != c.id && id != "" {
		c.id = id
	}
	if tag := m.fromTag(); outside {
		c.localTag = tag
		c.local, c.remote = withoutTag(m.get("From")), withoutTag(m.get("To"))
	}
	r, err = p.endpoint.send(r, m.bytes())
	if err != nil {
		return err
	}
	s.mint(m)
	if old := c.answersTo(m); old != nil {
		old.route = r
		return nil
	}
	c.sent = append(c.sent, &exchange{request: m, route: r})
	return nil
}

// answersTo is the exchange of a request that was sent before with the same branch.
func (c *call) answersTo(m *message) *exchange {
	for _, x := range c.sent {
		if x.method() == m.method && x.request.branch() == m.branch() {
			return x
		}
	}
	return nil
}

// inDialogOnly methods belong to a call even when the line gives a Request-URI.
func inDialogOnly(method string) bool {
	switch method {
	case "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "NOTIFY", "REFER":
		return true
	}
	return false
}

func via(r route, p *party, branch string) string {
	return fmt.Sprintf("SIP/2.0/%s %s;branch=%s;rport", r.proto, p.endpoint.Addr, branch)
}

const allow = "INVITE, ACK, BYE, CANCEL, OPTIONS, PRACK, UPDATE, INFO"

// firstRequest is a request outside any dialog (RFC 3261 §8.1.1).
func (s *script) firstRequest(p *party, c *call, step step) (*message, error) {
	uri := s.expand(step.what.uri, p, c)
	if uri == "" {
		return nil, fmt.Errorf("%s starts a call and needs a Request-URI", step.what.method)
	}
	r, err := s.routeOf(p, step)
	if err != nil {
		return nil, err
	}
	c.local = fmt.Sprintf("<sip:%s@%s>", p.user, p.host())
	c.remote = "<" + toURI(uri) + ">"
	c.cseq++
	m := &message{method: step.what.method, uri: uri}
	m.add("Via", via(r, p, c.mintBranch()))
	m.add("Max-Forwards", "70")
	m.add("From", c.local+";tag="+c.localTag)
	m.add("To", c.remote)
	m.add("Call-ID", c.id)
	m.add("CSeq", fmt.Sprintf("%d %s", c.cseq, m.method))
	m.add("Contact", p.contact())
	m.add("Allow", allow)
	m.add("Content-Length", "0")
	return m, nil
}

// toURI is a Request-URI as it stands in To: without port and parameters (RFC 3261 §19.1.1, table 1).
func toURI(uri string) string {
	hostPort := uriHostPort(uri)
	if !strings.HasPrefix(strings.ToLower(uri), "sip") || hostPort == "" {
		return uri
	}
	host := hostPort
	if a, err := netip.ParseAddrPort(hostPort); err == nil {
		host = hostOf(a)
	}
	at := strings.LastIndex(uri, hostPort)
	return uri[:at] + host
}

// sameHop is a CANCEL, or the ACK of a non-2xx: what the INVITE looked like at its first hop (RFC 3261 §9.1, §17.1.1.3).
func (c *call) sameHop(s *script, step step, method string) (*message, error) {
	x := c.lastSent("INVITE")
	if method == "ACK" && c.ended != nil {
		x = c.ended
	}
	if x == nil {
		if step.what.uri == "" {
			return nil, fmt.Errorf("no INVITE was sent")
		}
		return s.firstRequest(c.party, c, step)
	}
	invite := x.request
	m := &message{method: method, uri: invite.uri}
	if step.what.uri != "" {
		m.uri = s.expand(step.what.uri, c.party, c)
	}
	n, _ := invite.cseq()
	m.add("Via", invite.list("Via")[0])
	m.add("Max-Forwards", "70")
	m.add("From", invite.get("From"))
	m.add("To", invite.get("To"))
	if method == "ACK" && x.final != nil {
		m.set("To", x.final.get("To"))
	}
	m.add("Call-ID", invite.callID())
	m.add("CSeq", fmt.Sprintf("%d %s", n, method))
	for _, value := range invite.list("Route") {
		m.add("Route", value)
	}
	m.add("Content-Length", "0")
	return m, nil
}

// ack acknowledges the last final response to an INVITE of this call.
func (c *call) ack(s *script, step step, r *route) (*message, error) {
	x := c.ended
	if x == nil || x.final.status >= 300 {
		return c.sameHop(s, step, "ACK")
	}
	m, err := c.inDialog(s, step, r)
	if err != nil {
		return nil, err
	}
	n, _ := x.request.cseq()
	m.set("CSeq", fmt.Sprintf("%d ACK", n))
	if len(x.request.body) == 0 && step.options["body"] == "" { // the 2xx held the offer
		return m, s.attach(m, step, c.party, c, "answer.sdp")
	}
	return m, nil
}

// inDialog is a request within the newest dialog, or the one tag= names (RFC 3261 §12.2.1.1).
func (c *call) inDialog(s *script, step step, r *route) (*message, error) {
	d := c.dialog(step.options["tag"])
	if d == nil && len(c.received) > 0 && step.options["tag"] == "" { // a callee before its first tagged response
		d = c.dialogOf(c.mintTag(""), c.received[0].request.fromTag())
		d.refresh(c.received[0].request)
	}
	if d == nil {
		return nil, fmt.Errorf("there is no such dialog")
	}
	p := c.party
	if step.what.method != "ACK" {
		c.cseq++
	}
	m := &message{method: step.what.method, uri: d.target}
	if step.what.uri != "" {
		m.uri = s.expand(step.what.uri, p, c)
	}
	var routes []string
	for _, value := range d.routes {
		uri, _ := address(value)
		if to, err := netip.ParseAddrPort(uriHostPort(uri)); err == nil && s.isEdge(to) {
			routes = append(routes, value)
		}
	}
	next := d.target
	if len(routes) > 0 {
		next, _ = address(routes[0])
	}
	if step.options["to"] == "" && next != "" {
		to, err := s.resolve(next, r.proto)
		if err != nil {
			return nil, err
		}
		r.to = to
	}
	m.add("Via", via(*r, p, c.mintBranch()))
	m.add("Max-Forwards", "70")
	for _, value := range routes {
		m.add("Route", value)
	}
	m.add("From", c.local+";tag="+d.localTag)
	m.add("To", c.remote)
	if d.remoteTag != "" {
		m.set("To", c.remote+";tag="+d.remoteTag)
	}
	m.add("Call-ID", c.id)
	m.add("CSeq", fmt.Sprintf("%d %s", c.cseq, m.method))
	switch m.method {
	case "INVITE", "UPDATE":
		m.add("Contact", p.contact())
		m.add("Allow", allow)
	case "PRACK":
		m.add("RAck", d.rseq+" "+d.rseqCSeq)
	}
	m.add("Content-Length", "0")
	return m, nil
}

func (s *script) isEdge(a netip.AddrPort) bool {
	for _, l := range s.net.listeners {
		if l.Addr == a || l.SentBy == a.String() {
			return true
		}
	}
	return false
}

// resolve is where a request for a Contact or Route of the edge goes; it must be one of its listeners.
func (s *script) resolve(uri string, proto transport.Proto) (netip.AddrPort, error) {
	hostPort := uriHostPort(uri)
	for _, text := range []string{hostPort, hostPort + ":5060", hostPort + ":5061"} {
		a, err := netip.ParseAddrPort(text)
		if err != nil {
			continue
		}
		for _, l := range s.net.listeners {
			if l.Proto == proto && (l.Addr == a || l.SentBy == a.String()) {
				return l.Addr, nil
			}
		}
	}
	return netip.AddrPort{}, fmt.Errorf("the edge gave %q as its Contact, where it does not listen for %s", uri, proto)
}

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
