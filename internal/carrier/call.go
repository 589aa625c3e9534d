package carrier

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// CallInfo is what is known of a call.
type CallInfo struct {
	Incoming      bool // it came in, as seen by the Carrier or App it is asked of
	CallID        string
	From, To      string // user parts
	Code          int    // final response; 0: none yet
	Authenticated bool   // its INVITE carried credentials that were right
	Start, Answer time.Time
	End           time.Time // zero: not over
	EndedBy       string    // "us", "them" or "timeout"; empty: not over, or never answered
	Media         MediaStats
}

// Billed is the answered time in started seconds, as carriers count.
func (i CallInfo) Billed() time.Duration {
	if i.Answer.IsZero() {
		return 0
	}
	end := i.End
	if end.IsZero() {
		end = time.Now()
	}
	return (end.Sub(i.Answer) + time.Second - 1).Truncate(time.Second)
}

// Call is one call of a Carrier or an App. Its methods may be called concurrently.
type Call struct {
	phone     *phone
	transport string
	ended     chan struct{}
	acked     chan struct{}
	ackOnce   sync.Once

	mu       sync.Mutex
	media    *stream // nil: none yet, or bodies are somebody else's business
	info     CallInfo
	local    sip.FromHeader // with our tag
	remote   sip.ToHeader   // with theirs, once known
	localTag string
	target   sip.Uri
	routes   []sip.Uri
	cseq     uint32
	over     bool
	version  int
	body     []byte // the last description we sent
	onEnd    func() // told once, when the other side hangs up; may be nil
}

func (c *Call) key() string { return c.info.CallID + " " + c.localTag }

// Info is a snapshot.
func (c *Call) Info() CallInfo {
	c.mu.Lock()
	info, media := c.info, c.media
	c.mu.Unlock()
	if media != nil {
		info.Media = media.snapshot()
	}
	return info
}

// Ended is closed when the call is over.
func (c *Call) Ended() <-chan struct{} { return c.ended }

// HangUp sends a BYE and waits for its answer. A call that is over, or was never answered, is left as it is.
func (c *Call) HangUp(ctx context.Context) error {
	if c.Info().Answer.IsZero() || !c.end("us") {
		return nil
	}
	res, err := c.phone.do(ctx, c.request(sip.BYE), c.transport)
	if err == nil && res.StatusCode != 200 && res.StatusCode != 481 {
		err = errors.New("BYE was answered " + res.StartLine())
	}
	return err
}

// stream is the call's media; nil: none.
func (c *Call) stream() *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.media
}

// answered notes the final response.
func (c *Call) answered(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.info.Code = code
	switch {
	case code >= 300:
		c.info.End = time.Now()
	case c.info.Answer.IsZero():
		c.info.Answer = time.Now()
	}
}

// end closes the books, once.
func (c *Call) end(by string) bool {
	c.mu.Lock()
	if c.over {
		c.mu.Unlock()
		return false
	}
	c.over = true
	if c.info.End.IsZero() {
		c.info.End = time.Now()
	}
	if !c.info.Answer.IsZero() {
		c.info.EndedBy = by
	}
	tell := c.onEnd
	media := c.media
	c.mu.Unlock()
	close(c.ended)
	if media != nil {
		media.close()
	}
	if tell != nil {
		tell()
	}
	return true
}

// request builds an in-dialog request (RFC 3261 §12.2.1.1); an ACK takes the INVITE's number from the caller.
func (c *Call) request(method sip.RequestMethod) *sip.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	req := sip.NewRequest(method, *c.target.Clone())
	for _, r := range c.routes {
		req.AppendHeader(&sip.RouteHeader{Address: *r.Clone()})
	}
	req.AppendHeader(sip.HeaderClone(&c.local))
	req.AppendHeader(sip.HeaderClone(&c.remote))
	id := sip.CallIDHeader(c.info.CallID)
	req.AppendHeader(&id)
	if method != sip.ACK {
		c.cseq++
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: c.cseq, MethodName: method})
	next := c.target
	if len(c.routes) > 0 {
		next = c.routes[0]
	}
	req.SetTransport(strings.ToUpper(c.transport))
	req.SetDestination(hostPort(next))
	return req
}

// do sends a request and waits for its final response.
func (p *phone) do(ctx context.Context, req *sip.Request, transport string) (*sip.Response, error) {
	res, err := p.stack.client(transport).Do(ctx, req)
	if err == nil && res == nil { // sipgo, when its transaction ends without an error of its own
		err = ErrClosed
	}
	return res, err
}
