package siptest

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"trunkline/sip/transport"
)

// party is a scripted user agent: it keeps the books of its calls so that a flow line need only say what is unusual.
type party struct {
	name     string
	user     string // in its own URIs
	endpoint *Endpoint
	edge     netip.AddrPort // where its new requests go
	calls    map[string]*call
	order    []*call // for look-ups by Call-ID, newest last
	count    int     // calls it started or took

	last      time.Time // of the last message sent or taken
	challenge challenge // the last one it sent
	sentRaw   bool
}

// call is everything under one Call-ID at one party.
type call struct {
	party    *party
	id       string
	number   int    // of this party's calls
	caller   bool   // the party sent the first request
	local    string // name-addr without tag
	remote   string
	localTag string // of a caller; a callee has one in each dialog
	cseq     uint32 // last number sent
	dialogs  []*dialog
	sent     []*exchange
	received []*exchange
	ended    *exchange         // INVITE whose final response came last
	highest  map[string]uint32 // highest CSeq of a new request of the edge, by To tag
}

// dialog is one of the dialogs of a call, early or confirmed.
type dialog struct {
	localTag, remoteTag string
	target              string   // remote target (Contact)
	routes              []string // in the order to be sent
	rseq                string   // of the last reliable provisional
	rseqCSeq            string
}

// exchange is a request and its responses.
type exchange struct {
	request   *message
	route     route
	responses []*message
	final     *message // last final response
}

func (x *exchange) method() string { return x.request.method }

func (p *party) host() string { return hostOf(p.endpoint.Addr) }

// hostOf is an address as URI host.
func hostOf(a netip.AddrPort) string {
	if a.Addr().Is6() {
		return "[" + a.Addr().String() + "]"
	}
	return a.Addr().String()
}

// contact is the party's own Contact value.
func (p *party) contact() string {
	uri := "sip:"
	if p.endpoint.Proto == transport.TLS {
		uri = "sips:"
	}
	uri += p.name + "@" + p.endpoint.Addr.String()
	if p.endpoint.Proto == transport.TCP {
		uri += ";transport=tcp"
	}
	return "<" + uri + ">"
}

// newCall starts the books of a call.
func (p *party) newCall(label, id string, caller bool) *call {
	p.count++
	c := &call{party: p, id: id, number: p.count, caller: caller, highest: map[string]uint32{}}
	if id == "" {
		c.id = fmt.Sprintf("%s-%d@%s", p.name, c.number, p.host())
	}
	if caller {
		c.localTag = c.mintTag("")
	}
	p.calls[label] = c
	p.order = append(p.order, c)
	return c
}

// mintTag names a tag after the party, the call and the fork.
func (c *call) mintTag(fork string) string {
	if fork != "" {
		fork = "-" + fork
	}
	return fmt.Sprintf("%s-%d%s", c.party.name, c.number, fork)
}

func (c *call) mintBranch() string {
	return fmt.Sprintf("z9hG4bK-%s-%d-%d", c.party.name, c.number, len(c.sent)+1)
}

func (p *party) byCallID(id string) *call {
	for i := len(p.order) - 1; i >= 0; i-- {
		if p.order[i].id == id {
			return p.order[i]
		}
	}
	return nil
}

// dialog picks by tag: "" is the newest, a fork's name or a remote tag names one. Nil if there is none.
func (c *call) dialog(tag string) *dialog {
	for i := len(c.dialogs) - 1; i >= 0; i-- {
		d := c.dialogs[i]
		if tag == "" || d.remoteTag == tag || d.localTag == tag || d.localTag == c.mintTag(tag) {
			return d
		}
	}
	return nil
}

// dialogOf finds or makes the dialog between two tags.
func (c *call) dialogOf(local, remote string) *dialog {
	for i, d := range c.dialogs {
		if d.localTag == local && (d.remoteTag == remote || d.remoteTag == "") {
			d.remoteTag = remote
			c.dialogs = append(append(c.dialogs[:i:i], c.dialogs[i+1:]...), d) // newest last
			return d
		}
	}
	d := &dialog{localTag: local, remoteTag: remote}
	c.dialogs = append(c.dialogs, d)
	return d
}

// lastSent is the newest request sent with a method; any but ACK and CANCEL when method is "".
func (c *call) lastSent(method string) *exchange {
	for i := len(c.sent) - 1; i >= 0; i-- {
		if m := c.sent[i].method(); m == method || method == "" && m != "ACK" && m != "CANCEL" {
			return c.sent[i]
		}
	}
	return nil
}

// toAnswer is the newest request received with a method that has no final response from us, or, with a method given, the
// newest at all: a second final response is a fork's or a mistake the flow wants.
func (c *call) toAnswer(method string) *exchange {
	var newest *exchange
	for i := len(c.received) - 1; i >= 0; i-- {
		x := c.received[i]
		if x.method() == "ACK" || method != "" && x.method() != method {
			continue
		}
		if x.final == nil {
			return x
		}
		if newest == nil {
			newest = x
		}
	}
	return newest
}

// answers finds the request a response belongs to (RFC 3261 §17.1.3: branch and CSeq method).
func (c *call) answers(m *message) *exchange {
	_, method := m.cseq()
	for i := len(c.sent) - 1; i >= 0; i-- {
		x := c.sent[i]
		if _, asked := x.request.cseq(); x.request.branch() == m.branch() && asked == method {
			return x
		}
	}
	return nil
}

// took notes a request of the edge and returns its exchange. A retransmission returns the first one's.
func (c *call) took(m *message, r route) *exchange {
	for _, x := range c.received {
		if x.method() == m.method && x.request.branch() == m.branch() {
			x.route = r
			return x
		}
	}
	x := &exchange{request: m, route: r}
	c.received = append(c.received, x)
	if c.local == "" {
		c.local, c.remote = withoutTag(m.get("To")), withoutTag(m.get("From"))
	}
	if tag := m.toTag(); tag != "" {
		d := c.dialogOf(tag, m.fromTag())
		d.refresh(m)
	}
	return x
}

// refresh follows the remote target (RFC 3261 §12.2).
func (d *dialog) refresh(m *message) {
	method := m.method
	if m.status != 0 {
		_, method = m.cseq()
	}
	if contact := m.list("Contact"); len(contact) > 0 && (method == "INVITE" || method == "UPDATE") {
		d.target, _ = address(contact[0])
	}
}

// heard notes a response of the edge.
func (c *call) heard(x *exchange, m *message) {
	x.responses = append(x.responses, m)
	if m.status >= 200 {
		x.final = m
		if x.method() == "INVITE" {
			c.ended = x
		}
	}
	if m.toTag() == "" || m.status == 100 || m.status >= 300 || x.method() == "CANCEL" || x.method() == "REGISTER" {
		return
	}
	d := c.dialogOf(m.fromTag(), m.toTag())
	d.refresh(m)
	if x.method() == "INVITE" && len(d.routes) == 0 {
		routes := m.list("Record-Route")
		for i := len(routes) - 1; i >= 0; i-- {
			d.routes = append(d.routes, routes[i])
		}
	}
	if rseq := m.get("RSeq"); rseq != "" {
		d.rseq, d.rseqCSeq = rseq, m.get("CSeq")
	}
}

// withoutTag removes the tag parameter of an address.
func withoutTag(value string) string {
	uri, params := address(value)
	kept := value[:len(value)-len(params)]
	if !strings.Contains(value, "<") && params != "" {
		kept = "<" + uri + ">"
	}
	for _, p := range splitParams(params) {
		p = strings.TrimSpace(p)
		if name, _, _ := strings.Cut(p, "="); p != "" && !strings.EqualFold(strings.TrimSpace(name), "tag") {
			kept += ";" + p
		}
	}
	return strings.TrimSpace(kept)
}
