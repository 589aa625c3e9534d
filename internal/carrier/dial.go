package carrier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// order is a call to be placed.
type order struct {
	to     string // SIP URI
	from   string // user part of From
	called string // user part of To; empty: that of the URI

	// For the switchboard, whose media is elsewhere.
	bare        bool // body is the INVITE's, in place of an offer of our own
	body        []byte
	provisional func(*sip.Response) // each 1xx above 100
	answered    func(*sip.Response) // the 2xx
}

// Refused is the error of a call that was answered with a final response other than 2xx.
type Refused struct {
	Code   int
	Reason string
}

func (r *Refused) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Reason) }

// dial calls and returns when the call is answered. The error is a *Refused, the context's, or says what went wrong. When
// ctx ends first the call is cancelled.
func (p *phone) dial(ctx context.Context, o order) (*Call, error) {
	invite, c, err := p.invitation(o)
	if err != nil {
		return nil, err
	}
	p.add(c)
	call, err := p.invite(ctx, invite, c, o)
	if err != nil {
		c.end("us")
	}
	return call, err
}

// invitation builds the INVITE.
func (p *phone) invitation(o order) (*sip.Request, *Call, error) {
	var uri sip.Uri
	if err := sip.ParseUri(o.to, &uri); err != nil || uri.Host == "" {
		return nil, nil, fmt.Errorf("call %q: not a SIP URI", o.to)
	}
	c := &Call{phone: p, transport: p.transport, ended: make(chan struct{}), acked: make(chan struct{}),
		localTag: sip.GenerateTagN(16), target: uri, cseq: 1, version: 1}
	if t := transportOf(uri); t != "udp" {
		c.transport = t
	}
	called := o.called
	if called == "" {
		called = uri.User
	}
	c.local = sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: o.from, Host: uriHost(p.stack.addr.Addr())}, Params: sip.NewParams()}
	c.local.Params.Add("tag", c.localTag)
	c.remote = sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: called, Host: uri.Host}, Params: sip.NewParams()}
	c.info = CallInfo{CallID: sip.GenerateTagN(24) + "@" + p.stack.addr.Addr().String(), From: o.from, To: called, Start: time.Now()}
	body := o.body
	if !o.bare {
		media, err := newStream(p.stack.addr.Addr(), p.hz)
		if err != nil {
			return nil, nil, fmt.Errorf("call %s: %w", o.to, err)
		}
		c.media = media
		c.body = describe(p.user, media.addr(), c.version)
		body = c.body
	}
	req := sip.NewRequest(sip.INVITE, *uri.Clone())
	req.AppendHeader(sip.HeaderClone(&c.local))
	req.AppendHeader(sip.HeaderClone(&c.remote))
	id := sip.CallIDHeader(c.info.CallID)
	req.AppendHeader(&id)
	req.AppendHeader(&sip.CSeqHeader{SeqNo: 1, MethodName: sip.INVITE})
	req.AppendHeader(p.stack.contact(p.user, c.transport))
	if len(body) > 0 {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	req.SetBody(body)
	req.SetTransport(strings.ToUpper(c.transport))
	req.SetDestination(hostPort(uri))
	return req, c, nil
}

// invite sends the INVITE and waits for its final response.
func (p *phone) invite(ctx context.Context, invite *sip.Request, c *Call, o order) (*Call, error) {
	client := p.stack.client(c.transport)
	tx, err := client.TransactionRequest(context.WithoutCancel(ctx), invite)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	again := make(chan struct{}, 8)
	tx.OnRetransmission(func(r *sip.Response) {
		if r.IsSuccess() {
			select {
			case again <- struct{}{}:
			default:
			}
		}
	})
	provisional, cancelled := false, false
	gaveUp := ctx.Done()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return p.final(ctx, client, tx, c, res, o, again)
			}
			provisional = true
			if o.provisional != nil && res.StatusCode > 100 {
				o.provisional(res)
			}
		case <-gaveUp:
			gaveUp = nil
		case <-tx.Done():
			return nil, fmt.Errorf("call: %w", errors.Join(tx.Err(), ctx.Err()))
		case <-p.ctx.Done():
			tx.Terminate()
			return nil, ErrClosed
		}
		if gaveUp == nil && provisional && !cancelled { // RFC 3261 §9.1: not before a provisional
			cancelled = true
			p.work.Go(func() { // ends with the CANCEL's transaction
				if _, err := client.Do(p.ctx, cancelOf(invite)); err != nil {
					p.log.Warn("cancel", "error", err)
				}
			})
		}
	}
}

// final takes the final response of an INVITE.
func (p *phone) final(ctx context.Context, client *sipgo.Client, tx sip.ClientTransaction, c *Call, res *sip.Response, o order, again <-chan struct{}) (*Call, error) {
	c.answered(int(res.StatusCode))
	if !res.IsSuccess() {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Refused{Code: res.StatusCode, Reason: res.Reason}
	}
	if res.Contact() == nil || res.To() == nil {
		return nil, errors.New("call: the 200 has no Contact")
	}
	c.confirm(res)
	ack := c.request(sip.ACK)
	if err := client.WriteRequest(ack); err != nil {
		return nil, fmt.Errorf("call: ACK: %w", err)
	}
	p.work.Go(func() { // ends with the transaction, 64*T1 after the answer, or with the phone
		for {
			select {
			case <-again: // RFC 3261 §13.2.2.4: an ACK for each copy
				if err := client.WriteRequest(ack); err != nil {
					p.log.Warn("ACK not sent", "error", err)
				}
			case <-tx.Done():
				return
			case <-p.ctx.Done():
				tx.Terminate()
				return
			}
		}
	})
	if ctx.Err() != nil { // the answer crossed our CANCEL
		hangUp, done := context.WithTimeout(p.ctx, 10*time.Second)
		defer done()
		return nil, errors.Join(ctx.Err(), c.HangUp(hangUp))
	}
	if o.answered != nil {
		o.answered(res)
	}
	return c, nil
}

// confirm enters a 2xx in the books (RFC 3261 §12.1.2).
func (c *Call) confirm(res *sip.Response) {
	c.mu.Lock()
	c.remote = *res.To()
	c.target = *res.Contact().Address.Clone()
	c.routes = nil
	for _, h := range res.GetHeaders("Record-Route") {
		if rr, ok := h.(*sip.RecordRouteHeader); ok {
			c.routes = append([]sip.Uri{*rr.Address.Clone()}, c.routes...)
		}
	}
	c.mu.Unlock()
	if media := c.stream(); media != nil {
		if a := readAudio(res.Body()); a.usable {
			media.aim(a)
		}
	}
}

// cancelOf is the CANCEL of an INVITE: its branch, Request-URI, Route and number (RFC 3261 §9.1).
func cancelOf(invite *sip.Request) *sip.Request {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(sip.HeaderClone(invite.Via()))
	sip.CopyHeaders("Route", invite, req)
	req.AppendHeader(sip.HeaderClone(invite.From()))
	req.AppendHeader(sip.HeaderClone(invite.To()))
	req.AppendHeader(sip.HeaderClone(invite.CallID()))
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	return req
}
