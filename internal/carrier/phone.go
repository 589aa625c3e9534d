package carrier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// ErrClosed: the Carrier or App was closed.
var ErrClosed = errors.New("closed")

// setup of a phone.
type setup struct {
	listen    netip.AddrPort
	user      string // in Contact and SDP
	transport string // of its calls
	hz        int    // tone it plays; 0: echo
	log       *slog.Logger
}

// phone is a SIP user agent on sipgo with media: what Carrier and App have in common.
type phone struct {
	setup
	stack  *stack
	served chan struct{}
	ctx    context.Context // ends with close
	stop   context.CancelCauseFunc
	work   sync.WaitGroup
	// invited takes each INVITE outside a dialog, on sipgo's goroutine for it.
	invited func(req *sip.Request, tx sip.ServerTransaction)

	mu    sync.Mutex
	calls []*Call // all there ever were, oldest first
	byKey map[string]*Call
}

// tones a phone may play, far enough apart that a listener can tell them.
var tones = []int{400, 620}

func toneOf(m Media, hz int) int {
	if m == Echo {
		return 0
	}
	return hz
}

// newPhone binds the address. Nothing is received before serve.
func newPhone(ctx context.Context, o setup) (*phone, error) {
	if o.transport == "" {
		o.transport = "udp"
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	s, err := newStack(o.listen.String(), o.user, o.log)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.user, err)
	}
	p := &phone{setup: o, stack: s, byKey: map[string]*Call{}}
	p.ctx, p.stop = context.WithCancelCause(ctx)
	s.server.OnInvite(p.onInvite)
	s.server.OnAck(p.onAck)
	s.server.OnBye(p.onBye)
	s.server.OnCancel(p.onStrayCancel)
	s.server.OnOptions(func(req *sip.Request, tx sip.ServerTransaction) { p.respond(req, tx, 200, nil) })
	s.server.OnInfo(p.onInDialog)
	s.server.OnUpdate(p.onInDialog)
	return p, nil
}

// serve starts to receive. When ctx ends the phone closes.
func (p *phone) serve(ctx context.Context) error {
	served, err := p.stack.serve(ctx)
	p.served = served
	if err != nil {
		p.close()
		return fmt.Errorf("%s: %w", p.user, err)
	}
	context.AfterFunc(ctx, p.close)
	return nil
}

// close hangs up every call, waits for what is under way, and closes the sockets. It may be called more than once.
func (p *phone) close() {
	p.mu.Lock()
	calls := slices.Clone(p.calls)
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range calls {
		all.Go(func() { // ends with the answer to the BYE, or ctx
			if err := c.HangUp(ctx); err != nil {
				p.log.Debug("hang up at close", "error", err)
			}
		})
	}
	all.Wait()
	p.stop(ErrClosed)
	p.stack.close()
	if p.served != nil {
		<-p.served
	}
	p.work.Wait()
}

// list is every call, oldest first.
func (p *phone) list() []CallInfo {
	p.mu.Lock()
	calls := slices.Clone(p.calls)
	p.mu.Unlock()
	infos := make([]CallInfo, len(calls))
	for i, c := range calls {
		infos[i] = c.Info()
	}
	return infos
}

// add makes a call known.
func (p *phone) add(c *Call) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, c)
	p.byKey[c.key()] = c
}

// find returns the call an in-dialog request belongs to, by Call-ID and our tag.
func (p *phone) find(req *sip.Request) *Call {
	if req.CallID() == nil || req.To() == nil {
		return nil
	}
	tag, _ := req.To().Params.Get("tag")
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byKey[req.CallID().Value()+" "+tag]
}

// respond answers a request; what cannot be sent is logged.
func (p *phone) respond(req *sip.Request, tx sip.ServerTransaction, code int, body []byte, headers ...sip.Header) {
	if err := tx.Respond(response(req, code, phrases[code], body, headers...)); err != nil {
		p.log.Warn("response not sent", "code", code, "error", err)
	}
}

func response(req *sip.Request, code int, reason string, body []byte, headers ...sip.Header) *sip.Response {
	r := sip.NewResponseFromRequest(req, code, reason, body)
	for _, h := range headers {
		r.AppendHeader(h)
	}
	if len(body) > 0 {
		r.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	}
	return r
}
