package carrier

import (
	"net/netip"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// onRegister is the registrar (RFC 3261 §10.3), for the one user there is.
func (c *Carrier) onRegister(req *sip.Request, tx sip.ServerTransaction) {
	f := c.fault()
	if !c.hears(req, f) || f.SilentRegister {
		return
	}
	if req.To() == nil || req.From() == nil || req.CallID() == nil || req.CSeq() == nil {
		c.phone.respond(req, tx, 400, nil)
		return
	}
	expires := askedExpires(req)
	if answer := c.mayRegister(req, expires, f); answer.code != 0 {
		if answer.code != 401 {
			c.note(req, answer.code, expires)
		}
		c.phone.deny(req, tx, answer)
		return
	}
	granted := min(expires, c.options.MaxExpires)
	c.note(req, 200, expires)
	contact := c.bind(req, granted, f)
	var headers []sip.Header
	if contact != nil {
		headers = append(headers, contact)
	}
	c.phone.respond(req, tx, 200, nil, headers...)
}

// mayRegister returns a zero code, or how the REGISTER is refused.
func (c *Carrier) mayRegister(req *sip.Request, expires int, f Faults) reply {
	switch {
	case f.RegisterCode != 0:
		return reply{code: f.RegisterCode}.retry(f.Retry)
	case f.ForbiddenSource:
		return c.options.Dialect.refusal(SourceRefused)
	case c.elsewhere(req.Recipient.Host):
		return reply{code: 404}
	}
	if c.digest != nil {
		if answer := c.digest.check(req, 401, f); answer.code != 0 {
			c.countChallenge(answer.code)
			return answer
		}
	}
	switch {
	case c.options.User != "" && req.To().Address.User != c.options.User:
		return c.options.Dialect.refusal(UnknownUser)
	case expires != 0 && expires < c.options.MinExpires:
		return reply{code: 423, headers: []sip.Header{sip.NewHeader("Min-Expires", strconv.Itoa(c.options.MinExpires))}}
	}
	return reply{}
}

// askedExpires: the Contact's parameter beats the header (RFC 3261 §10.2.1.1); neither means an hour.
func askedExpires(req *sip.Request) int {
	if contact := req.Contact(); contact != nil {
		if v, ok := contact.Params.Get("expires"); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return n
			}
		}
	}
	if h := req.GetHeader("Expires"); h != nil {
		if n, err := strconv.Atoi(h.Value()); err == nil {
			return n
		}
	}
	return 3600
}

// bind stores, or with 0 removes, a binding and returns the Contact for the 200: what is bound now.
func (c *Carrier) bind(req *sip.Request, granted int, f Faults) *sip.ContactHeader {
	c.mu.Lock()
	defer c.mu.Unlock()
	user := req.To().Address.User
	contact := req.Contact()
	b, bound := c.bindings[user]
	switch {
	case contact == nil: // a question
	case granted == 0:
		if bound && (contact.Address.Wildcard || contact.Address.String() == b.contact.String()) {
			delete(c.bindings, user)
			bound = false
		}
	default:
		b, bound = binding{contact: *contact.Address.Clone(), until: time.Now().Add(time.Duration(granted) * time.Second)}, !f.NoContact
		if !f.DropBindings && !f.NoContact {
			c.bindings[user] = b
		}
	}
	if !bound || !time.Now().Before(b.until) {
		return nil
	}
	shown := &sip.ContactHeader{Address: *b.contact.Clone(), Params: sip.NewParams()}
	shown.Params.Add("expires", strconv.Itoa(int(time.Until(b.until).Round(time.Second).Seconds())))
	return shown
}

// ForgetBindings loses all bindings, as a registrar that was restarted.
func (c *Carrier) ForgetBindings() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.bindings)
}

func (c *Carrier) note(req *sip.Request, code, expires int) {
	r := Registration{Time: time.Now(), User: req.To().Address.User, Expires: expires, Code: code}
	r.Source, _ = netip.ParseAddrPort(req.Source())
	if contact := req.Contact(); contact != nil {
		r.Contact = contact.Address.String()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registrations = append(c.registrations, r)
}
