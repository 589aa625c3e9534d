package carrier

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"
)

// loop answers an INVITE to one of the customer's own numbers with a new INVITE back to the customer, as the public network would,
// and joins the two. Media goes past us. A detour brings it back from another carrier, or has somebody else answer.
func (c *Carrier) loop(req *sip.Request, tx sip.ServerTransaction, authenticated bool, f Faults) {
	p, back := c.phone, c
	in := p.incoming(req, authenticated)
	p.respond(req, tx, 100, nil)
	number := req.Recipient.User
	if other, ok := f.Detours[number]; ok {
		if other == nil {
			p.deliver(in, req, tx, c.behave(c.options.Numbers[number]))
			return
		}
		back = other
	}
	uri, err := back.route(number)
	if err != nil {
		p.refuse(in, req, tx, c.options.Dialect.refusal(NotReachable))
		return
	}
	contact := p.stack.contact(p.user, in.transport)
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	gaveUp := cancelled(tx)
	p.work.Go(func() { // ends with this call's set-up
		select {
		case <-gaveUp:
			cancel()
		case <-ctx.Done():
		}
	})
	var answer []byte
	out, err := back.phone.dial(ctx, order{
		to: uri, from: callerOf(req, c.options), called: back.options.Inbound.of(number), bare: true, body: req.Body(),
		provisional: func(res *sip.Response) { p.respond(req, tx, res.StatusCode, res.Body(), contact) },
		answered:    func(res *sip.Response) { answer = res.Body() },
	})
	if err != nil {
		if refused, ok := errors.AsType[*Refused](err); ok {
			p.refuse(in, req, tx, reply{code: refused.Code, reason: refused.Reason})
			return
		}
		select {
		case <-gaveUp: // sipgo has answered 487
			in.answered(487)
			in.end("them")
		default:
			p.refuse(in, req, tx, reply{code: 480})
		}
		return
	}
	in.join(out)
	out.join(in)
	p.accept(in, req, tx, answer)
}

// join hangs up on other when c is hung up by its peer.
func (c *Call) join(other *Call) {
	c.mu.Lock()
	over := c.over
	c.onEnd = func() {
		c.phone.work.Go(func() { // ends with the BYE's transaction
			ctx, cancel := context.WithTimeout(c.phone.ctx, 10*time.Second)
			defer cancel()
			if err := other.HangUp(ctx); err != nil {
				c.phone.log.Warn("hang up", "error", err)
			}
		})
	}
	c.mu.Unlock()
	if over {
		c.onEnd()
	}
}
