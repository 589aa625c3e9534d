package probe

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
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
	headers func(contact string) string
	body    string
	timeout time.Duration
	cancel  bool // an INVITE: give it up as soon as it is taken up

	callID, tag string
	seq         int
	attempt     digest.Attempt
}

// outcome is how one transaction ended.
type outcome struct {
	code      int
	reason    string
	taken     bool  // a provisional came
	challenge error // why a 401 or 407 was not answered; nil: not challenged
	again     bool  // the challenge can be answered
	answered  bool  // a challenge was answered before
	err       error // no final response
	received  string
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
		if o.answered = answered; !o.again {
			return o
		}
	}
}

// once is one transaction.
func (x *exchange) once(ctx context.Context) outcome {
	ctx, stop := context.WithTimeout(ctx, x.timeout)
	defer stop()
	flow, contact, ok := x.run.engine.Way(x.run.trunk, 0)
	if !ok {
		return outcome{err: errNoWay}
	}
	x.seq++
	ended := make(chan outcome, 1)
	taken := make(chan struct{}, 1)
	var last outcome // written on the shard only, until ended
	sent, err := x.run.engine.Send(ctx, x.run.key, sip.Outside{
		Method: x.method, Flow: flow,
		Write: func(b, branch []byte, sentBy string) []byte {
			b = x.write(b, branch, sentBy, flow.Proto, contact)
			x.trace(true, flow, b)
			return b
		},
		Response: func(now time.Time, m *wire.Message) {
			x.trace(false, flow, m.Bytes)
			if m.Status < 200 {
				last.taken = true
				select {
				case taken <- struct{}{}:
				default:
				}
				return
			}
			last.code, last.reason, last.received = m.Status, string(m.Reason), string(m.Via.Received)
			if m.Status == 401 || m.Status == 407 {
				last.challenge = x.run.cache.Challenged(now, m, &x.attempt)
				last.again = last.challenge == nil
			}
			ended <- last
		},
		Failed: func(_ time.Time, err error) { last.err = err; ended <- last },
	})
	if err != nil {
		return outcome{err: err}
	}
	answered := false
	for {
		select {
		case o := <-ended:
			return o
		case <-taken:
			answered = true
			if x.cancel {
				sent.Cancel()
			}
		case <-ctx.Done():
			if x.method == wire.INVITE { // any other request has no way back
				sent.Cancel()
				select {
				case <-ended:
				case <-time.After(cancelWait):
				}
			}
			return outcome{err: context.Cause(ctx), taken: answered}
		}
	}
}

func (x *exchange) write(b, branch []byte, sentBy string, p transport.Proto, contact string) []byte {
	b = wire.AppendRequestLine(b, x.method.String(), []byte(x.uri))
	b = wire.AppendVia(b, p.String(), sentBy, branch)
	b = fmt.Appendf(b, "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%s\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: %d %s\r\nContact: %s\r\n",
		x.from, x.run.trunk.Domain, x.tag, x.to, x.callID, x.seq, x.method, contact)
	b = x.run.cache.Authorize(b, time.Now(), x.method.String(), []byte(x.uri), &x.attempt)
	if x.headers != nil {
		b = append(b, x.headers(contact)...)
	}
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
