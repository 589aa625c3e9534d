package carrier

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
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
	pace    pace
	trusted []byte // Authority

	mu            sync.Mutex
	faults        Faults
	bindings      map[string]binding // by user
	registrations []Registration
	challenged    int
	seen          map[string]int // requests outside calls, by method
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
	c := &Carrier{options: o, phone: p, bindings: map[string]binding{}, seen: map[string]int{}}
	if o.TLS {
		if err := c.openTLS(); err != nil {
			p.stack.close()
			return nil, fmt.Errorf("carrier: TLS: %w", err)
		}
	}
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

// SetPassword changes Options.Password from the next request on, as a customer does in the carrier's dashboard.
func (c *Carrier) SetPassword(password string) {
	if c.digest == nil {
		return
	}
	c.digest.mu.Lock()
	defer c.digest.mu.Unlock()
	c.digest.Password = password
}

// Addr is the address listened on.
func (c *Carrier) Addr() netip.AddrPort { return c.phone.stack.addr }

// openTLS listens for TLS.
func (c *Carrier) openTLS() error {
	id, err := newIdentity(c.Addr().Addr().AsSlice(), c.options.TLSNames)
	if err != nil {
		return err
	}
	c.trusted = id.authority
	return c.phone.stack.bindTLS(c.options.Listen, c.serverTLS(id))
}

// TLSAddr is the address listened on for TLS; the zero value without Options.TLS.
func (c *Carrier) TLSAddr() netip.AddrPort { return c.phone.stack.secureAddr }

// Authority is the certificate, in PEM, of whoever signed the carrier's; nil without Options.TLS.
func (c *Carrier) Authority() []byte { return c.trusted }

// Close hangs up every call and closes the sockets.
func (c *Carrier) Close() error {
	c.phone.close()
	return nil
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

// Seen is how many requests with a method came outside calls, copies and those that were not answered included.
func (c *Carrier) Seen(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[method]
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
	return c.phone.dial(ctx, order{to: uri, from: from, called: c.options.Inbound.of(to)})
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
	if c.options.Inbound == InTo {
		return at.String(), nil
	}
	uri := sip.Uri{Scheme: "sip", User: c.options.Inbound.of(number), Host: at.Host, Port: at.Port, UriParams: at.UriParams}
	return uri.String(), nil
}

// of writes a number.
func (s NumberShape) of(number string) string {
	switch s {
	case NoPlus:
		return strings.TrimPrefix(number, "+")
	case National:
		return strings.TrimPrefix(strings.TrimPrefix(number, "+"), "1")
	}
	return number
}
