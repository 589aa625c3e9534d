package carrier

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Registration is a REGISTER seen.
type Registration struct {
	Time    time.Time
	User    string // of To
	Contact string
	Source  netip.AddrPort
	Expires int // seconds asked for; 0: removal
	Code    int // our answer
}

// Carrier is a registrar, a switch with test numbers and a customer's DIDs, and a till. Its methods may be called concurrently.
type Carrier struct {
	options Options
	phone   *phone
	digest  *guard
	pace    *pace

	mu            sync.Mutex
	faults        Faults
	bindings      map[string]binding // by user
	registrations []Registration
	challenged    int
}

// binding is where a registered user is reached.
type binding struct {
	contact sip.Uri
	until   time.Time
}

// Start opens the sockets and answers until Close or until ctx ends.
func Start(ctx context.Context, o Options) (*Carrier, error) {
	if o.Realm == "" {
		o.Realm = "carrier.example"
	}
	if o.Algorithm == "" {
		o.Algorithm = "MD5"
	}
	if o.Ring == 0 {
		o.Ring = 200 * time.Millisecond
	}
	if o.MaxExpires == 0 {
		o.MaxExpires = 3600
	}
	if o.NonceLife == 0 {
		o.NonceLife = 5 * time.Minute
	}
	p, err := newPhone(ctx, setup{listen: o.Listen, user: "carrier", hz: toneOf(o.Media, tones[0]), log: o.Log})
	if err != nil {
		return nil, err
	}
	c := &Carrier{options: o, phone: p, bindings: map[string]binding{}, pace: &pace{limit: o.CPS}}
	if o.User != "" {
		c.digest = newGuard(o)
	}
	p.invited = c.onInvite
	p.stack.server.OnRegister(c.onRegister)
	p.stack.server.OnOptions(c.onOptions)
	if err := p.serve(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Addr is the address listened on.
func (c *Carrier) Addr() netip.AddrPort { return c.phone.stack.addr }

// Close hangs up every call and closes the sockets.
func (c *Carrier) Close() error {
	c.phone.close()
	return nil
}

// SetFaults replaces the faults in force.
func (c *Carrier) SetFaults(f Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
}

func (c *Carrier) fault() Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}

// Calls are all calls, both ways, oldest first. INVITEs that were challenged or throttled are not calls.
func (c *Carrier) Calls() []CallInfo { return c.phone.list() }

// Registrations are the REGISTERs seen, without those that were challenged, oldest first.
func (c *Carrier) Registrations() []Registration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.registrations)
}

// Registered reports whether a user is registered now, and where.
func (c *Carrier) Registered(user string) (contact string, ok bool) {
	b, ok := c.binding(user)
	return b.contact.String(), ok
}

func (c *Carrier) binding(user string) (binding, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.bindings[user]
	return b, ok && time.Now().Before(b.until)
}

// Challenged is how many requests were answered 401 or 407.
func (c *Carrier) Challenged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.challenged
}

// Throttled is how many INVITEs were above Options.CPS.
func (c *Carrier) Throttled() int { return c.pace.refused() }

// Peak is the largest number of INVITEs taken in any second.
func (c *Carrier) Peak() int { return c.pace.peak() }

// Billed is the answered time of the calls that came from the edge, each in started seconds.
func (c *Carrier) Billed() time.Duration {
	var total time.Duration
	for _, call := range c.Calls() {
		if call.Incoming {
			total += call.Billed()
		}
	}
	return total
}

// Call places a call to the edge, as from the public network: to the contact it registered, else to Options.Contact. It
// returns once the call is answered. The error is a *Refused, that of ctx, or says what went wrong; when ctx ends first the call is
// cancelled.
func (c *Carrier) Call(ctx context.Context, from, to string) (*Call, error) {
	uri, err := c.route(to)
	if err != nil {
		return nil, err
	}
	return c.phone.dial(ctx, order{to: uri, from: from})
}

// route is the URI of one of the edge's numbers.
func (c *Carrier) route(number string) (string, error) {
	var at sip.Uri
	if b, ok := c.binding(c.options.User); ok && c.options.User != "" {
		at = b.contact
	} else if c.options.Contact == "" {
		return "", fmt.Errorf("nobody is registered for %s", number)
	} else if err := sip.ParseUri(c.options.Contact, &at); err != nil {
		return "", fmt.Errorf("carrier: contact %q: %w", c.options.Contact, err)
	}
	uri := sip.Uri{Scheme: "sip", User: number, Host: at.Host, Port: at.Port}
	if transportOf(at) == "tcp" {
		uri.UriParams = sip.NewParams()
		uri.UriParams.Add("transport", "tcp")
	}
	return uri.String(), nil
}

func (c *Carrier) onOptions(req *sip.Request, tx sip.ServerTransaction) {
	if !c.fault().SilentOptions {
		c.phone.respond(req, tx, 200, nil, sip.NewHeader("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, INFO, UPDATE"))
	}
}

// onInvite is the switch: credentials, pace, then the called number.
func (c *Carrier) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	f := c.fault()
	if f.SilentInvite {
		<-tx.Done() // sipgo's 100 after 200 ms goes out; nothing else
		return
	}
	authenticated := false
	if c.digest != nil {
		code, challenges := c.digest.check(req, 407)
		if code != 0 {
			c.countChallenge(code)
			c.phone.respond(req, tx, code, nil, challenges...)
			return
		}
		authenticated = true
	}
	number := req.Recipient.User
	switch {
	case f.InviteCode != 0:
		c.phone.take(req, tx, reply{code: f.InviteCode}, authenticated)
	case !c.pace.admit(time.Now()):
		c.phone.respond(req, tx, 503, nil, sip.NewHeader("Retry-After", "1"))
	case slices.Contains(c.options.DIDs, number):
		c.loop(req, tx, authenticated)
	default:
		c.phone.take(req, tx, c.behave(c.options.Numbers[number]), authenticated)
	}
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
