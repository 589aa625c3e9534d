package siptest

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"trunkline/sip/transport"
)

// lint holds a message of the edge against what RFC 3261 asks of every message, so that flows need not repeat it.
// It returns the first rule that is broken, "" if none is.
func (s *script) lint(p *party, c *call, m *message, r route) string {
	for _, name := range []string{"From", "To", "Call-ID", "CSeq", "Content-Length"} {
		if n := m.count(name); n != 1 && (m.status == 0 || !p.sentRaw) {
			return fmt.Sprintf("%d %s headers (RFC 3261 §8.1.1, §20)", n, name)
		}
	}
	for _, name := range []string{"Max-Forwards", "Content-Type", "Contact", "Expires", "Retry-After", "Session-Expires"} {
		if m.count(name) > 1 && (name != "Contact" || m.status/100 != 3) {
			return fmt.Sprintf("more than one %s", name)
		}
	}
	if n, err := strconv.Atoi(m.get("Content-Length")); err != nil || n != len(m.body) {
		return fmt.Sprintf("Content-Length %q with %d octets of body (RFC 3261 §18.3)", m.get("Content-Length"), len(m.body))
	}
	if (len(m.body) > 0) != m.has("Content-Type") {
		return "a body needs a Content-Type, and only a body (RFC 3261 §20.15)"
	}
	if m.status != 0 {
		return s.lintResponse(p, c, m)
	}
	return s.lintRequest(c, m, r)
}

func (s *script) lintRequest(c *call, m *message, r route) string {
	number, method := m.cseq()
	if method != m.method {
		return fmt.Sprintf("CSeq method %q in a %s (RFC 3261 §8.1.1.5)", method, m.method)
	}
	vias := m.list("Via")
	if len(vias) != 1 {
		return fmt.Sprintf("%d Vias: a B2BUA starts its own path (RFC 7092 §3.1)", len(vias))
	}
	if broken := s.lintVia(vias[0], r); broken != "" {
		return broken
	}
	if !strings.HasPrefix(m.branch(), "z9hG4bK") || len(m.branch()) < 15 {
		return fmt.Sprintf("branch %q (RFC 3261 §8.1.1.7)", m.branch())
	}
	if n, err := strconv.Atoi(m.get("Max-Forwards")); err != nil || n < 0 || n > 70 {
		return fmt.Sprintf("Max-Forwards %q (RFC 3261 §8.1.1.6)", m.get("Max-Forwards"))
	}
	if m.fromTag() == "" {
		return "From without tag (RFC 3261 §8.1.1.3)"
	}
	if m.has("Record-Route") {
		return "Record-Route from a B2BUA"
	}
	if m.method == "INVITE" || m.method == "UPDATE" || m.method == "SUBSCRIBE" {
		if broken := s.lintContact(m, r.proto); broken != "" {
			return broken
		}
	}
	switch m.method {
	case "CANCEL":
		return lintSameHop(c, m, "RFC 3261 §9.1")
	case "ACK":
		return lintACK(c, m)
	}
	if again := slices.ContainsFunc(c.received, func(x *exchange) bool { return x.request.branch() == m.branch() }); again {
		return ""
	}
	if highest := max(c.highest[""], c.highest[m.toTag()]); number <= highest {
		return fmt.Sprintf("CSeq %d after %d (RFC 3261 §12.2.1.1)", number, highest)
	}
	c.highest[m.toTag()] = number
	return ""
}

// lintVia: our transport, the listener's address, rport (RFC 3261 §18.1.1, RFC 3581 §3).
func (s *script) lintVia(via string, r route) string {
	protocol, rest, _ := strings.Cut(via, " ")
	if want := "SIP/2.0/" + r.proto.String(); protocol != want {
		return fmt.Sprintf("Via says %q, it came by %q", protocol, want)
	}
	sentBy, _, _ := strings.Cut(rest, ";")
	if r.proto == transport.UDP && strings.TrimSpace(sentBy) != s.sentBy(r.to) {
		return fmt.Sprintf("Via says %q, the listener it came from is %q (RFC 3261 §18.1.1)", sentBy, s.sentBy(r.to))
	}
	if _, ok := lookup(via, "rport"); !ok && r.proto == transport.UDP {
		return "Via without rport (RFC 3581 §3)"
	}
	return ""
}

// lintContact: one SIP URI at which the edge listens (RFC 3261 §8.1.1.8).
func (s *script) lintContact(m *message, proto transport.Proto) string {
	contacts := m.list("Contact")
	if len(contacts) != 1 {
		return fmt.Sprintf("%d Contacts (RFC 3261 §8.1.1.8)", len(contacts))
	}
	uri, _ := address(contacts[0])
	if _, err := s.resolve(uri, proto); err != nil {
		return err.Error()
	}
	return ""
}

// lintSameHop: a CANCEL, or an ACK to a non-2xx, matches its INVITE.
func lintSameHop(c *call, m *message, rule string) string {
	for _, x := range c.received {
		invite := x.request
		if invite.method != "INVITE" || invite.branch() != m.branch() {
			continue
		}
		a, _ := invite.cseq()
		b, _ := m.cseq()
		switch {
		case invite.uri != m.uri:
			return fmt.Sprintf("Request-URI %q, in the INVITE %q (%s)", m.uri, invite.uri, rule)
		case a != b:
			return fmt.Sprintf("CSeq %d, in the INVITE %d (%s)", b, a, rule)
		case invite.get("From") != m.get("From"):
			return fmt.Sprintf("From is not that of the INVITE (%s)", rule)
		case m.method == "CANCEL" && invite.get("To") != m.get("To"):
			return fmt.Sprintf("To is not that of the INVITE (%s)", rule)
		case !slices.Equal(invite.list("Route"), m.list("Route")):
			return fmt.Sprintf("Route is not that of the INVITE (%s)", rule)
		case len(m.body) > 0 || m.has("Require") || m.has("Proxy-Require"):
			return fmt.Sprintf("no body, Require or Proxy-Require here (%s)", rule)
		case invite.list("Via")[0] != m.list("Via")[0]:
			return fmt.Sprintf("Via is not that of the INVITE (%s)", rule)
		}
		return ""
	}
	return fmt.Sprintf("branch %q is that of no INVITE (%s)", m.branch(), rule)
}

// lintACK: for a non-2xx as its INVITE; for a 2xx a request of its own with the INVITE's number (RFC 3261 §13.2.2.4).
func lintACK(c *call, m *message) string {
	number, _ := m.cseq()
	for i := len(c.received) - 1; i >= 0; i-- {
		invite := c.received[i]
		if invite.method() != "INVITE" {
			continue
		}
		if n, _ := invite.request.cseq(); n != number {
			continue
		}
		if invite.final == nil {
			return "an ACK without a final response"
		}
		if invite.final.status >= 300 {
			if broken := lintSameHop(c, m, "RFC 3261 §17.1.1.3"); broken != "" {
				return broken
			}
			if m.get("To") != invite.final.get("To") {
				return "To is not that of the response (RFC 3261 §17.1.1.3)"
			}
			return ""
		}
		if m.branch() == invite.request.branch() {
			return "the branch of the INVITE: the ACK to a 2xx is a transaction of its own (RFC 3261 §13.2.2.4)"
		}
		if d := c.dialog(m.toTag()); d == nil || m.toTag() == "" {
			return fmt.Sprintf("To has the tag %q of no dialog", m.toTag())
		}
		return ""
	}
	return fmt.Sprintf("CSeq %d is that of no INVITE (RFC 3261 §13.2.2.4)", number)
}

func (s *script) lintResponse(p *party, c *call, m *message) string {
	x := c.answers(m)
	if x == nil {
		if p.sentRaw {
			return ""
		}
		return "it answers no request that was sent"
	}
	request := x.request
	if m.status > 100 && m.toTag() == "" && request.has("To") {
		return "To without tag (RFC 3261 §8.2.6.2)"
	}
	if tag := request.toTag(); tag != "" && m.toTag() != tag {
		return fmt.Sprintf("To has the tag %q, the request has %q (RFC 3261 §8.2.6.2)", m.toTag(), tag)
	}
	for _, name := range []string{"From", "Call-ID", "CSeq"} {
		if squeeze(m.get(name)) != squeeze(request.get(name)) {
			return fmt.Sprintf("%s %q, in the request %q (RFC 3261 §8.2.6.2)", name, m.get(name), request.get(name))
		}
	}
	if bare(m.get("To")) != bare(request.get("To")) {
		return fmt.Sprintf("To %q, in the request %q (RFC 3261 §8.2.6.2)", m.get("To"), request.get("To"))
	}
	if broken := lintViaEcho(request.list("Via"), m.list("Via"), x.route); broken != "" {
		return broken
	}
	if x.method() == "INVITE" && m.status > 100 && m.status < 300 {
		if broken := s.lintContact(m, x.route.proto); broken != "" && (m.status >= 200 || m.has("Contact")) {
			return broken
		}
		if m.status >= 180 && !slices.Equal(request.list("Record-Route"), m.list("Record-Route")) {
			return "Record-Route is not that of the request (RFC 3261 §12.1.1)"
		}
	}
	return ""
}

// lintViaEcho: every Via comes back, the top one with received and rport added (RFC 3261 §18.2.1, RFC 3581 §4).
func lintViaEcho(sent, got []string, r route) string {
	if len(sent) != len(got) {
		return fmt.Sprintf("%d Vias, the request had %d (RFC 3261 §8.2.6.2)", len(got), len(sent))
	}
	for i := range sent[1:] {
		if squeeze(sent[i+1]) != squeeze(got[i+1]) {
			return fmt.Sprintf("Via %q, in the request %q (RFC 3261 §8.2.6.2)", got[i+1], sent[i+1])
		}
	}
	if len(sent) == 0 {
		return ""
	}
	if strip(sent[0]) != strip(got[0]) {
		return fmt.Sprintf("Via %q, in the request %q (RFC 3261 §8.2.6.2)", got[0], sent[0])
	}
	if _, asked := lookup(sent[0], "rport"); asked && r.proto == transport.UDP {
		port, _ := lookup(got[0], "rport")
		received, _ := lookup(got[0], "received")
		if port != strconv.Itoa(int(r.from.Port())) || strings.Trim(received, "[]") != r.from.Addr().String() {
			return fmt.Sprintf("rport=%s and received=%s, the request came from %s (RFC 3581 §4)", port, received, r.from)
		}
		return ""
	}
	_, rest, _ := strings.Cut(sent[0], " ")
	sentBy, _, _ := strings.Cut(rest, ";")
	host, _, _ := strings.Cut(strings.TrimSpace(sentBy), ":")
	if a, err := netip.ParseAddr(host); err == nil && a != r.from.Addr() {
		if received, _ := lookup(got[0], "received"); received != r.from.Addr().String() {
			return fmt.Sprintf("received=%s, the request came from %s (RFC 3261 §18.2.1)", received, r.from)
		}
	}
	return ""
}

// strip removes received and rport from a Via value.
func strip(via string) string {
	var kept []string
	for _, p := range splitParams(via) {
		name, _, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "received") && !strings.EqualFold(name, "rport") {
			kept = append(kept, strings.TrimSpace(p))
		}
	}
	return squeeze(strings.Join(kept, ";"))
}

// bare is an address without its tag, however it is written.
func bare(value string) string {
	return strings.NewReplacer("<", "", ">", "").Replace(squeeze(withoutTag(value)))
}

// squeeze removes the white space that may be written or left out.
func squeeze(s string) string { return strings.NewReplacer(" ", "", "\t", "").Replace(s) }
