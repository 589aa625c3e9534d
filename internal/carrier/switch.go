package carrier

import (
	"slices"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// hears counts a request outside calls and tells whether it is to be answered.
func (c *Carrier) hears(req *sip.Request, f Faults) bool {
	c.mu.Lock()
	c.seen[string(req.Method)]++
	c.mu.Unlock()
	only := c.options.Transport
	return !f.Silent && (only == "" || strings.EqualFold(only, req.Transport()))
}

// elsewhere tells that a Request-URI's host is not ours.
func (c *Carrier) elsewhere(host string) bool {
	return c.options.Domain != "" && !strings.EqualFold(host, c.options.Domain)
}

func (c *Carrier) onOptions(req *sip.Request, tx sip.ServerTransaction) {
	f := c.fault()
	switch {
	case !c.hears(req, f) || f.SilentOptions:
	case f.OptionsCode != 0:
		c.phone.deny(req, tx, reply{code: f.OptionsCode}.retry(f.Retry))
	default:
		c.phone.respond(req, tx, 200, nil, sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO, UPDATE"))
	}
}

// onInvite is the switch: source, pace, credentials, caller, then the called number.
func (c *Carrier) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	f := c.fault()
	if !c.hears(req, f) || f.SilentInvite {
		tx.Terminate() // or sipgo would send a 100
		return
	}
	if f.StuckInvite {
		<-tx.Done() // sipgo's 100 after 200 ms goes out, and when it is cancelled a 487; nothing else
		return
	}
	if f.ForbiddenSource {
		c.phone.deny(req, tx, c.options.Dialect.refusal(SourceRefused))
		return
	}
	if c.options.CPSChallenged && !c.inPace(f) {
		c.phone.deny(req, tx, c.tooFast())
		return
	}
	authenticated := false
	if c.digest != nil {
		if answer := c.digest.check(req, 407, f); answer.code != 0 {
			c.countChallenge(answer.code)
			c.phone.deny(req, tx, answer)
			return
		}
		authenticated = true
	}
	if f.InviteCode == 0 && !c.options.CPSChallenged && !c.inPace(f) {
		c.phone.deny(req, tx, c.tooFast())
		return
	}
	number := req.Recipient.User
	if answer := c.refusal(req, f); answer.code != 0 {
		c.phone.take(req, tx, answer, authenticated)
	} else if slices.Contains(c.options.DIDs, number) {
		c.loop(req, tx, authenticated, f)
	} else {
		c.phone.take(req, tx, c.behave(c.options.Numbers[number]), authenticated)
	}
}

// refusal returns a zero code, or how a call with right credentials is refused.
func (c *Carrier) refusal(req *sip.Request, f Faults) reply {
	o := c.options
	switch {
	case f.InviteCode != 0:
		return reply{code: f.InviteCode}.retry(f.Retry)
	case f.Refuse != NotRefused:
		return o.Dialect.refusal(f.Refuse).retry(f.Retry)
	case c.elsewhere(req.Recipient.Host):
		return o.Dialect.refusal(NumberInvalid)
	case o.FromUser && req.From().Address.User != o.User:
		return o.Dialect.refusal(OtherFrom)
	case len(o.Callers) > 0 && !slices.Contains(o.Callers, callerOf(req, o)):
		return o.Dialect.refusal(CallerRefused)
	case o.MaxCalls > 0 && c.up() >= o.MaxCalls:
		return o.Dialect.refusal(NoChannel)
	}
	return reply{}
}

// callerOf is the number a call shows: the first identity header there is, else From. Twilio looks at From first.
func callerOf(req *sip.Request, o Options) string {
	from := req.From().Address.User
	if o.Dialect == Twilio && !o.FromUser {
		return from
	}
	for _, name := range [...]string{"P-Preferred-Identity", "P-Asserted-Identity", "Remote-Party-ID"} {
		if h := req.GetHeader(name); h != nil {
			return userOf(h.Value())
		}
	}
	return from
}

// userOf is the user part in a name-addr or addr-spec.
func userOf(value string) string {
	if i := strings.IndexByte(value, '<'); i >= 0 {
		value, _, _ = strings.Cut(value[i+1:], ">")
	}
	var uri sip.Uri
	if sip.ParseUri(strings.TrimSpace(value), &uri) != nil {
		return ""
	}
	if uri.User == "" { // tel:
		return uri.Host
	}
	return uri.User
}

// up is how many calls from the edge are not over.
func (c *Carrier) up() (n int) {
	for _, call := range c.Calls() {
		if call.Incoming && call.End.IsZero() {
			n++
		}
	}
	return n
}

func (c *Carrier) inPace(f Faults) bool {
	limit := c.options.CPS
	if f.CPS != 0 {
		limit = f.CPS
	}
	return c.pace.admit(time.Now(), limit)
}

func (c *Carrier) tooFast() reply {
	answer, after := c.options.Dialect.refusal(TooFast), c.options.CPSRetryAfter
	if code := c.options.CPSCode; code != 0 {
		answer.code, answer.reason = code, ""
	}
	if after == 0 && c.options.Dialect == Plain {
		after = time.Second
	}
	return answer.retry(after)
}

func (c *Carrier) behave(b Behavior) reply {
	ring := c.options.Ring
	switch b {
	case Busy:
		return reply{code: 486}
	case Unanswered:
		return reply{ring: -1}
	case Forbidden:
		return reply{code: 403}
	case NotFound:
		return reply{code: 404}
	case EarlyMedia:
		return reply{ring: ring, early: true}
	case Declined:
		return reply{ring: ring, code: 603}
	case Hangup:
		return reply{ring: ring, hangUp: time.Second}
	}
	return reply{ring: ring}
}

func (c *Carrier) countChallenge(code int) {
	if code == 401 || code == 407 {
		c.mu.Lock()
		c.challenged++
		c.mu.Unlock()
	}
}
