package health

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// watch sends OPTIONS to one server. One is under way at most.
type watch struct {
	watcher *Watcher
	key     uint64 // of the shard that sends
	tag     string
	callID  string

	mu      sync.Mutex
	trunk   *trunks.Trunk
	nth     int // address of the trunk
	seq     uint32
	sent    time.Time
	stopped bool
	timer   *time.Timer // sends the next
}

func newWatch(w *Watcher, t *trunks.Trunk, nth int) *watch {
	x := &watch{watcher: w, key: rand.Uint64(), tag: token(), callID: token(), trunk: t, nth: nth}
	x.timer = time.AfterFunc(rand.N(t.Health.Interval.D()), x.send)
	return x
}

// change takes over the trunk's settings; a new interval holds from the next
// OPTIONS on.
func (x *watch) change(t *trunks.Trunk, nth int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.trunk, x.nth = t, nth
}

func (x *watch) stop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stopped = true
	x.timer.Stop()
}

// send sends one OPTIONS. It must not run on a shard.
func (x *watch) send() {
	x.mu.Lock()
	t, nth, stopped := x.trunk, x.nth, x.stopped
	x.seq++
	x.sent = time.Now()
	x.mu.Unlock()
	if stopped {
		return
	}
	flow, contact, ok := x.watcher.engine.Way(t, nth)
	if !ok {
		x.heard(time.Now(), trunks.OptionsUnreachable)
		return
	}
	_, err := x.watcher.engine.Send(x.watcher.ctx, x.key, sip.Outside{
		Method: wire.OPTIONS, Flow: flow,
		Timers: &transaction.Timers{F: min(t.Health.Interval.D(), longestWait)},
		Write: func(b, branch []byte, sentBy string) []byte {
			return x.write(b, t, flow.Proto, branch, sentBy, contact)
		},
		Response: x.response,
		Failed:   x.failed,
	})
	if err != nil && x.watcher.ctx.Err() == nil {
		x.heard(time.Now(), trunks.OptionsUnreachable)
	}
}

// longestWait for a response, when the interval is longer: Timer F.
const longestWait = 32 * time.Second

// write appends the OPTIONS. It runs on the shard.
func (x *watch) write(b []byte, t *trunks.Trunk, p transport.Proto, branch []byte, sentBy, contact string) []byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	user := "ping"
	if t.AuthUser != "" {
		user = string(wire.AppendUser(nil, t.AuthUser))
	}
	target := sip.HostPort(t)
	b = wire.AppendRequestLine(b, "OPTIONS", []byte("sip:"+target))
	b = wire.AppendVia(b, p.String(), sentBy, branch)
	if !t.OutboundProxy.IsZero() {
		b = fmt.Appendf(b, "Route: <sip:%s;lr>\r\n", t.OutboundProxy)
	}
	b = fmt.Appendf(b, "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%s\r\nTo: <sip:%s>\r\nCall-ID: %s\r\nCSeq: %d OPTIONS\r\nContact: %s\r\nAccept: application/sdp\r\n",
		user, t.Domain, x.tag, target, x.callID, x.seq, contact)
	return wire.AppendBody(b, "", nil)
}

// response takes a response. It runs on the shard.
func (x *watch) response(now time.Time, m *wire.Message) {
	switch {
	case m.Status < 200:
		return
	case m.Status == 503 || m.Status == 408:
		x.heard(now, trunks.OptionsRefused)
	default:
		x.heard(now, trunks.OptionsAnswered)
	}
}

// failed takes the news that no response will come.
func (x *watch) failed(now time.Time, err error) {
	if errors.Is(err, sip.ErrSilent) {
		x.heard(now, trunks.OptionsSilent)
		return
	}
	x.heard(now, trunks.OptionsUnreachable)
}

// heard passes a sign on and plans the next OPTIONS.
func (x *watch) heard(now time.Time, s trunks.Sign) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stopped {
		return
	}
	took := now.Sub(x.sent)
	x.watcher.counted(x.trunk.Name, s, took)
	x.watcher.engine.Judge(now, x.trunk, x.nth, s)
	x.timer.Reset(max(jittered(x.trunk.Health.Interval.D())-took, 0))
}
