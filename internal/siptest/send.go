package siptest

import (
	"fmt"
	"net/netip"
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
