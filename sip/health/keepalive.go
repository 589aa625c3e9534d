package health

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/sip"
	"trunkline/sip/registrar"
	"trunkline/sip/transaction"
	"trunkline/sip/wire"
)

// KeepAlive sends OPTIONS to agents that have registered over UDP from behind a NAT, each once in an interval and evenly spread over it: what
// they answer keeps the NAT open for calls to them, which it need not be by what comes from outside alone (RFC 4787 §4.3). Nothing else
// comes of it; a place that is silent stays registered until that expires. Its methods may be called concurrently.
type KeepAlive struct {
	engine   Sender
	bindings func(now time.Time, turn int) []registrar.Binding // of a group, 0 to registrar.Turns-1
	interval time.Duration
	tag      string

	cancel  context.CancelFunc
	running sync.WaitGroup

	answered, silent atomic.Uint64
}

// Sender is what of an [Engine] a KeepAlive needs.
type Sender interface {
	// Send starts a request outside any call.
	Send(ctx context.Context, key uint64, o sip.Outside) (*sip.Sent, error)
}

// patience with a place that does not answer: Timer F. Three copies are enough to open a NAT again.
const patience = 2 * time.Second

// NewKeepAlive begins to keep bindings alive until Close; each group of them is asked for once an interval. With an interval of 0 nothing is sent.
func NewKeepAlive(e Sender, bindings func(now time.Time, turn int) []registrar.Binding, interval time.Duration) *KeepAlive {
	ctx, cancel := context.WithCancel(context.Background())
	k := &KeepAlive{engine: e, bindings: bindings, interval: interval, tag: token(), cancel: cancel}
	if interval > 0 {
		k.running.Go(func() { k.run(ctx) }) // ends with Close
	}
	return k
}

// Close ends it and returns when nothing more will be sent.
func (k *KeepAlive) Close() {
	k.cancel()
	k.running.Wait()
}

func (k *KeepAlive) run(ctx context.Context) {
	step := k.interval / registrar.Turns
	look := time.NewTicker(step)
	defer look.Stop()
	for turn := 0; ; turn = (turn + 1) % registrar.Turns {
		if !until(ctx, look.C) {
			return
		}
		due := k.bindings(time.Now(), turn)
		for i := range due {
			if i > 0 && !until(ctx, time.After(step/time.Duration(len(due)))) {
				return
			}
			k.send(ctx, due[i])
		}
	}
}

// until waits and reports whether it is still to go on.
func until(ctx context.Context, c <-chan time.Time) bool {
	select {
	case <-ctx.Done():
		return false
	case <-c:
		return true
	}
}

// send asks one place how it is.
func (k *KeepAlive) send(ctx context.Context, b registrar.Binding) {
	_, _ = k.engine.Send(ctx, rand.Uint64(), sip.Outside{ // an error is told to Failed, unless the edge or we have ended
		Method: wire.OPTIONS, Flow: b.Flow, Timers: &transaction.Timers{F: patience},
		Write: func(to, branch []byte, sentBy string) []byte {
			to = wire.AppendRequestLine(to, "OPTIONS", []byte(b.URI))
			to = wire.AppendVia(to, b.Flow.Proto.String(), sentBy, branch)
			to = fmt.Appendf(to, "Max-Forwards: 70\r\nFrom: <sip:ping@%s>;tag=%s\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\n",
				sentBy, k.tag, b.URI, token())
			return wire.AppendBody(to, "", nil)
		},
		Response: func(_ time.Time, m *wire.Message) {
			if m.Status >= 200 {
				k.answered.Add(1)
			}
		},
		Failed: func(time.Time, error) { k.silent.Add(1) },
	})
}
