package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// exchange is one request with its answers to challenges: a Call-ID, a From tag
// and rising CSeq numbers.
type exchange struct {
	run     *run
	step    *Step
	method  wire.Method
	uri     string
	from    string // user part
	to      string // whole URI
	body    string
	timeout time.Duration
	cancel  bool // an INVITE: give it up as soon as it is taken up, which 100 does not say

	bare bool // no challenge is answered

	callID, tag string
	seq         int
	attempt     digest.Attempt
}

// outcome is how one transaction ended.
type outcome struct {
	code      int
	reason    string
	trying    bool  // a 100 came: the request is there, no more
	taken     bool  // another provisional came
	challenge error // why a 401 or 407 was not answered; nil: not challenged
	again     bool  // the challenge can be answered
	answered  bool  // a challenge was answered before
	err       error // no final response
}

func newExchange(r *run, s *Step, m wire.Method) *exchange {
	return &exchange{run: r, step: s, method: m, timeout: r.timeout,
		callID: strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36),
		tag:    strconv.FormatUint(rand.Uint64(), 36)}
}

// cancelWait is how long a call that was given up late is waited for.
const cancelWait = 2 * time.Second

// do sends the request, answers challenges, and returns how it ended.
func (x *exchange) do(ctx context.Context) outcome {
	for answered := false; ; answered = true {
		o := x.once(ctx)
		if o.answered = answered; !o.again || ctx.Err() != nil {
			return o
		}
	}
}

// once is one transaction.
func (x *exchange) once(ctx context.Context) outcome {
	whole := ctx
	ctx, stop := context.WithTimeout(ctx, x.timeout)
	defer stop()
	flow, contact, ok := x.run.engine.Way(x.run.trunk, 0)
	if !ok {
		return outcome{err: errNoWay}
	}
	x.seq++
	h := hearing{ended: make(chan struct{}), taken: make(chan struct{})}
	sent, err := x.run.engine.Send(ctx, x.run.key, sip.Outside{
		Method: x.method, Flow: flow,
		Write: func(b, branch []byte, sentBy string) []byte {
			b = x.write(b, branch, sentBy, flow.Proto, contact)
			x.trace(true, flow, b)
			return b
		},
		Response: func(now time.Time, m *wire.Message) {
			x.trace(false, flow, m.Bytes)
			h.response(m, func() error {
				if x.bare {
					return errBare
				}
				return x.run.cache.Challenged(now, m, &x.attempt)
			})
		},
		Failed: func(_ time.Time, err error) { h.failed(err) },
	})
	if err != nil { // the shard may take it over later all the same
		sent.Cancel()
		return outcome{err: endOf(whole, err)}
	}
	taken := h.taken
	for {
		select {
		case <-h.ended:
			return h.current()
		case <-taken:
			taken = nil
			if x.cancel {
				sent.Cancel()
			}
		case <-ctx.Done():
			if x.method == wire.INVITE { // any other request has no way back
				sent.Cancel()
				select {
				case <-h.ended:
				case <-time.After(cancelWait):
				}
			}
			o := h.current()
			if o.code == 0 || o.code == 487 {
				o.code, o.reason, o.err = 0, "", endOf(whole, ctx.Err())
			}
			return o
		}
	}
}

// endOf says why waiting ended: the whole probe did, or the time for one answer.
func endOf(whole context.Context, err error) error {
	if whole.Err() != nil {
		return errInterrupted
	}
	return err
}

// hearing is what is heard of one transaction. The shard writes, the probe reads.
type hearing struct {
	ended chan struct{} // closed with the final response, or the news that none comes
	taken chan struct{} // closed with the first provisional response but 100

	mu sync.Mutex
	o  outcome
}

func (h *hearing) response(m *wire.Message, challenged func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over(): // a copy, or another fork
	case m.Status == 100:
		h.o.trying = true
	case m.Status < 200:
		if !h.o.taken {
			h.o.taken = true
			close(h.taken)
		}
	default:
		h.o.code, h.o.reason = m.Status, string(m.Reason)
		if m.Status == 401 || m.Status == 407 {
			h.o.challenge = challenged()
			h.o.again = h.o.challenge == nil
		}
		close(h.ended)
	}
}

func (h *hearing) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.over() {
		h.o.err = err
		close(h.ended)
	}
}

func (h *hearing) over() bool { return h.o.code != 0 || h.o.err != nil }

func (h *hearing) current() outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.o
}

func (x *exchange) write(b, branch []byte, sentBy string, p transport.Proto, contact string) []byte {
	b = wire.AppendRequestLine(b, x.method.String(), []byte(x.uri))
	b = wire.AppendVia(b, p.String(), sentBy, branch)
	b = fmt.Appendf(b, "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%s\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: %d %s\r\n",
		x.from, x.run.trunk.Domain, x.tag, x.to, x.callID, x.seq, x.method)
	if x.method != wire.REGISTER { // there it would bind us, and take the calls of whoever uses the trunk now
		b = wire.AppendHeaderString(b, "Contact", contact)
	}
	b = x.run.cache.Authorize(b, time.Now(), x.method.String(), []byte(x.uri), &x.attempt)
	kind := ""
	if x.body != "" {
		kind = "application/sdp"
	}
	return wire.AppendBody(b, kind, []byte(x.body))
}

func (x *exchange) trace(sent bool, f transport.Flow, b []byte) {
	x.run.mu.Lock()
	defer x.run.mu.Unlock()
	x.step.Messages = append(x.step.Messages, sip.Traced{At: time.Now(), Sent: sent, Flow: f, Bytes: sip.Redact(append([]byte(nil), b...))})
}
