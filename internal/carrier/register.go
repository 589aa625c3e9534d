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
	if f.SilentRegister {
		return
	}
	if req.To() == nil || req.CallID() == nil || req.CSeq() == nil {
		c.phone.respond(req, tx, 400, nil)
		return
	}
	if c.digest != nil && f.RegisterCode == 0 {
		if code, headers := c.digest.check(req, 401); code != 0 {
			c.countChallenge(code)
			if code != 401 {
				c.note(req, code, 0)
			}
			c.phone.respond(req, tx, code, nil, headers...)
			return
		}
	}
	expires := askedExpires(req)
	if f.RegisterCode != 0 {
		c.note(req, f.RegisterCode, expires)
		c.phone.respond(req, tx, f.RegisterCode, nil)
		return
	}
	if expires != 0 && expires < c.options.MinExpires {
		c.note(req, 423, expires)
		c.phone.respond(req, tx, 423, nil, sip.NewHeader("Min-Expires", strconv.Itoa(c.options.MinExpires)))
		return
	}
	granted := min(expires, c.options.MaxExpires)
	c.note(req, 200, expires)
	contact := c.bind(req, granted)
	var headers []sip.Header
	if contact != nil {
		headers = append(headers, contact)
	}
	c.phone.respond(req, tx, 200, nil, headers...)
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
func (c *Carrier) bind(req *sip.Request, granted int) *sip.ContactHeader {
	c.mu.Lock()
	defer c.mu.Unlock()
	user := req.To().Address.User
	contact := req.Contact()
	switch {
	case contact != nil && granted == 0:
		delete(c.bindings, user)
	case contact != nil:
		c.bindings[user] = binding{contact: *contact.Address.Clone(), until: time.Now().Add(time.Duration(granted) * time.Second)}
	}
	b, ok := c.bindings[user]
	if !ok {
		return nil
	}
	shown := &sip.ContactHeader{Address: *b.contact.Clone(), Params: sip.NewParams()}
	shown.Params.Add("expires", strconv.Itoa(int(time.Until(b.until).Round(time.Second).Seconds())))
	return shown
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
