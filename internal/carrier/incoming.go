package carrier

import (
	"context"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// phrases for the codes phones answer with.
var phrases = map[int]string{
	100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily", 400: "Bad Request", 401: "Unauthorized",
	402: "Payment Required", 403: "Forbidden", 404: "Not Found", 407: "Proxy Authentication Required", 408: "Request Timeout", 423: "Interval Too Brief", 429: "Too Many Requests",
	480: "Temporarily Unavailable", 481: "Call/Transaction Does Not Exist", 486: "Busy Here", 487: "Request Terminated",
	488: "Not Acceptable Here", 500: "Server Internal Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Server Time-out", 600: "Busy Everywhere", 603: "Decline",
}

// onInvite takes an INVITE. sipgo has given it a goroutine of its own.
func (p *phone) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	if req.To() == nil || req.From() == nil || req.CallID() == nil || req.CSeq() == nil || req.Contact() == nil {
		p.respond(req, tx, 400, nil)
		return
	}
	if req.To().Params.Has("tag") {
		p.onReinvite(req, tx)
		return
	}
	// One tag for everything we say to this INVITE, the 487 that sipgo makes on its own included.
	req.To().Params.Add("tag", sip.GenerateTagN(16))
	p.invited(req, tx)
}

// reply says what to do with a call that came in. The zero value answers at once.
type reply struct {
	code    int           // final response; 0: 200
	reason  string        // empty: the standard phrase
	headers []sip.Header  // of a final response other than 200
	ring    time.Duration // 180 is sent at once and the final response so much later; 0: no 180; negative: never
	early   bool          // 183 with media in place of 180
	hangUp  time.Duration // the call is ended so long after the answer; 0: never
}

// incoming makes the books of a call that comes in.
func (p *phone) incoming(req *sip.Request, authenticated bool) *Call {
	tag, _ := req.To().Params.Get("tag")
	to := req.To()
	c := &Call{phone: p, transport: sip.NetworkToLower(req.Transport()), ended: make(chan struct{}), acked: make(chan struct{}), localTag: tag}
	c.info = CallInfo{Incoming: true, CallID: req.CallID().Value(), From: req.From().Address.User, To: req.Recipient.User, Start: time.Now(), Authenticated: authenticated}
	c.local, c.remote = to.AsFrom(), req.From().AsTo()
	c.target = *req.Contact().Address.Clone()
	for _, h := range req.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			c.routes = append(c.routes, *rr.Address.Clone())
		}
	}
	p.add(c)
	return c
}

// take rings, answers or refuses a call as told.
func (p *phone) take(req *sip.Request, tx sip.ServerTransaction, answer reply, authenticated bool) {
	c := p.incoming(req, authenticated)
	p.respond(req, tx, 100, nil)
	p.deliver(c, req, tx, answer)
}

// deliver is take for a call whose books are open.
func (p *phone) deliver(c *Call, req *sip.Request, tx sip.ServerTransaction, answer reply) {
	if answer.code >= 300 && answer.ring == 0 {
		p.refuse(c, req, tx, answer)
		return
	}
	body, ok := p.openMedia(c, req)
	if !ok {
		p.refuse(c, req, tx, reply{code: 488})
		return
	}
	contact := p.stack.contact(p.user, c.transport)
	switch {
	case answer.early:
		p.respond(req, tx, 183, body, contact)
	case answer.ring != 0:
		p.respond(req, tx, 180, nil, contact)
	}
	gaveUp := cancelled(tx)
	var ringing <-chan time.Time
	if answer.ring >= 0 {
		ringing = time.After(answer.ring)
	}
	select {
	case <-ringing:
	case <-gaveUp: // sipgo has answered 487
		c.answered(487)
		c.end("them")
		return
	case <-p.ctx.Done():
		c.end("us")
		return
	}
	if answer.code >= 300 {
		p.refuse(c, req, tx, answer)
		return
	}
	p.accept(c, req, tx, body)
	if answer.hangUp > 0 {
		p.work.Go(func() { // ends with the call, the time or the phone
			select {
			case <-time.After(answer.hangUp):
				ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
				defer cancel()
				if err := c.HangUp(ctx); err != nil {
					p.log.Warn("hang up", "error", err)
				}
			case <-c.ended:
			}
		})
	}
}

// cancelled is closed when the caller of an INVITE gives up, or its transaction is lost.
func cancelled(tx sip.ServerTransaction) <-chan struct{} {
	gone := make(chan struct{})
	var once sync.Once
	done := func() { once.Do(func() { close(gone) }) }
	if !tx.OnCancel(func(*sip.Request) { done() }) || !tx.OnTerminate(func(string, error) { done() }) {
		done()
	}
	return gone
}

// openMedia opens the RTP of a call and returns the answer to its offer, or our offer when it has none.
func (p *phone) openMedia(c *Call, req *sip.Request) (body []byte, ok bool) {
	media, err := newStream(p.stack.addr.Addr(), p.hz)
	if err != nil {
		p.log.Warn("no media", "error", err)
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.media, c.version = media, 1
	if len(req.Body()) == 0 {
		c.body = describe(p.user, media.addr(), c.version)
		return c.body, true
	}
	offer := readAudio(req.Body())
	if !offer.usable {
		return nil, false
	}
	media.aim(offer)
	c.body = describe(p.user, media.addr(), c.version, offer.codec)
	return c.body, true
}

// refuse ends a call with a final response.
func (p *phone) refuse(c *Call, req *sip.Request, tx sip.ServerTransaction, answer reply) {
	c.answered(answer.code)
	c.end("us")
	p.deny(req, tx, answer)
}

// deny sends a final response to a request that is no call.
func (p *phone) deny(req *sip.Request, tx sip.ServerTransaction, answer reply) {
	reason := answer.reason
	if reason == "" {
		reason = phrases[answer.code]
	}
	if err := tx.Respond(response(req, answer.code, reason, nil, answer.headers...)); err != nil {
		p.log.Warn("response not sent", "code", answer.code, "error", err)
	}
}

// accept sends the 200 and repeats it until the ACK (RFC 3261 §13.3.1.4), which sipgo leaves to its users.
func (p *phone) accept(c *Call, req *sip.Request, tx sip.ServerTransaction, body []byte) {
	c.answered(200)
	res := response(req, 200, "OK", body, p.stack.contact(p.user, c.transport))
	deadline := time.After(64 * sip.T1)
	for wait := sip.T1; ; wait = min(2*wait, sip.T2) {
		if err := tx.Respond(res); err != nil {
			p.log.Warn("200 not sent", "error", err)
			c.end("timeout")
			return
		}
		select {
		case <-c.acked:
			return
		case <-c.ended:
			return
		case <-time.After(wait):
		case <-deadline:
			ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
			defer cancel()
			if err := c.HangUp(ctx); err != nil {
				p.log.Warn("hang up after missing ACK", "error", err)
			}
			return
		case <-p.ctx.Done():
			return
		}
	}
}

// onAck confirms a 200. The body is the answer when our 200 held the offer.
func (p *phone) onAck(req *sip.Request, tx sip.ServerTransaction) {
	if tx != nil {
		defer tx.Terminate() // sipgo would keep a transaction for it
	}
	c := p.find(req)
	if c == nil {
		return
	}
	if media := c.stream(); media != nil && len(req.Body()) > 0 {
		if a := readAudio(req.Body()); a.usable {
			media.aim(a)
		}
	}
	c.ackOnce.Do(func() { close(c.acked) })
}

// onReinvite answers a change of the session at once; hold is obeyed.
func (p *phone) onReinvite(req *sip.Request, tx sip.ServerTransaction) {
	c := p.find(req)
	if c == nil || c.stream() == nil {
		p.respond(req, tx, 481, nil)
		return
	}
	c.mu.Lock()
	c.target = *req.Contact().Address.Clone()
	body := c.body
	c.mu.Unlock()
	if len(req.Body()) > 0 {
		offer := readAudio(req.Body())
		if !offer.usable {
			p.respond(req, tx, 488, nil)
			return
		}
		c.stream().aim(offer)
		c.mu.Lock()
		c.version++
		body = describe(p.user, c.media.addr(), c.version, offer.codec)
		c.body = body
		c.mu.Unlock()
	}
	// Sent once: a copy of the INVITE brings it again, and nothing here depends on the ACK.
	p.respond(req, tx, 200, body, p.stack.contact(p.user, c.transport))
}

func (p *phone) onBye(req *sip.Request, tx sip.ServerTransaction) {
	c := p.find(req)
	if c == nil {
		p.respond(req, tx, 481, nil)
		return
	}
	p.respond(req, tx, 200, nil)
	c.end("them")
}

func (p *phone) onStrayCancel(req *sip.Request, tx sip.ServerTransaction) {
	p.respond(req, tx, 481, nil)
}

// onInDialog answers INFO and UPDATE of calls there are.
func (p *phone) onInDialog(req *sip.Request, tx sip.ServerTransaction) {
	if c := p.find(req); c == nil {
		p.respond(req, tx, 481, nil)
		return
	}
	p.respond(req, tx, 200, nil)
}
