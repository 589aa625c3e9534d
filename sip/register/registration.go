package register

import (
	"bytes"
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
	"trunkline/trunks"
)

// registration is one trunk's binding.
type registration struct {
	keeper *Keeper
	trunk  *trunks.Trunk
	key    uint64 // decides the shard, always the same
	callID string // one for all REGISTERs (RFC 3261 §10.2)
	tag    string

	mu       sync.Mutex
	status   Status
	seq      uint32
	cache    *digest.Cache
	attempt  digest.Attempt
	ask      time.Duration // Expires to ask for
	address  int           // which of the trunk's addresses is used
	failures int           // in a row
	busy     bool          // a REGISTER is under way
	stopping bool
	timer    *time.Timer
	contact  string
	gone     chan struct{} // closed when the binding was taken back, or could not be
}

func newRegistration(k *Keeper, t *trunks.Trunk) *registration {
	return &registration{
		keeper: k, trunk: t, key: rand.Uint64(),
		callID: strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36),
		tag:    strconv.FormatUint(rand.Uint64(), 36),
		status: Status{Trunk: t.Name, State: Registering, Since: time.Now()},
		cache:  digest.NewCache(digest.Credentials{Username: t.AuthUser, Password: t.AuthPassword.Reveal(), Realm: t.Realm}, time.Hour),
		ask:    t.RegisterExpires.D(),
		gone:   make(chan struct{}),
	}
}

// sameAs: a REGISTER for t would be the same as this one.
func (r *registration) sameAs(t *trunks.Trunk) bool {
	a, b := r.trunk, t
	return a.Server == b.Server && a.Domain == b.Domain && a.Transport == b.Transport && a.OutboundProxy == b.OutboundProxy &&
		a.AuthUser == b.AuthUser && a.AuthPassword == b.AuthPassword && a.Realm == b.Realm &&
		a.RegisterExpires == b.RegisterExpires && a.TLS == b.TLS && a.Listener == b.Listener
}

func (r *registration) current() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

// plan sets the time of the next REGISTER. r.mu is held.
func (r *registration) plan(after time.Duration) {
	r.status.Next = time.Now().Add(after)
	if r.timer != nil {
		r.timer.Stop()
	}
	r.timer = time.AfterFunc(after, r.register)
}

// stop takes the binding back; the channel closes when that is over.
func (r *registration) stop() <-chan struct{} {
	r.mu.Lock()
	r.stopping = true
	if r.timer != nil {
		r.timer.Stop()
	}
	bound, busy := !r.status.Expires.IsZero(), r.busy
	r.ask = 0
	r.mu.Unlock()
	switch {
	case busy: // what is under way goes on to the end, and then takes the binding back
	case bound:
		go r.register() // ends with the transaction
	default:
		r.end()
	}
	return r.gone
}

func (r *registration) end() {
	select {
	case <-r.gone:
	default:
		close(r.gone)
	}
}

// register sends one REGISTER.
func (r *registration) register() {
	r.mu.Lock()
	r.attempt = digest.Attempt{}
	r.mu.Unlock()
	r.send()
}

func (r *registration) send() {
	r.mu.Lock()
	flow, contact, ok := r.keeper.engine.Way(r.trunk, r.address)
	r.contact, r.busy = contact, true
	r.mu.Unlock()
	if !ok {
		r.failed(time.Now(), "no address of the server is known, or no listener suits it")
		return
	}
	_, err := r.keeper.engine.Send(context.Background(), r.key, sip.Outside{
		Method: wire.REGISTER, Flow: flow,
		Write:    func(b, branch []byte, sentBy string) []byte { return r.write(b, branch, sentBy, flow.Proto) },
		Response: r.response,
		Failed:   func(now time.Time, err error) { r.failed(now, err.Error()) },
	})
	if err != nil {
		r.failed(time.Now(), err.Error())
	}
}

// write appends the REGISTER. It runs on the shard.
func (r *registration) write(b, branch []byte, sentBy string, p transport.Proto) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	t := r.trunk
	uri := []byte("sip:" + t.Domain)
	b = wire.AppendRequestLine(b, "REGISTER", uri)
	b = wire.AppendVia(b, p.String(), sentBy, branch)
	b = fmt.Appendf(b, "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%s\r\nTo: <sip:%s@%s>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\nContact: %s\r\nExpires: %d\r\n",
		t.AuthUser, t.Domain, r.tag, t.AuthUser, t.Domain, r.callID, r.seq, r.contact, int(r.ask.Seconds()))
	b = r.cache.Authorize(b, time.Now(), "REGISTER", uri, &r.attempt)
	return wire.AppendBody(b, "", nil)
}

// response takes a response to a REGISTER. It runs on the shard.
func (r *registration) response(now time.Time, m *wire.Message) {
	if m.Status < 200 {
		return
	}
	r.mu.Lock()
	again := r.take(now, m)
	r.busy = again
	stopped := r.stopping && !again
	r.mu.Unlock()
	switch {
	case again:
		go r.send() // a shard must not wait for itself; ends with the transaction
	case stopped && r.bound():
		go r.register()
	case stopped:
		r.end()
	}
}

func (r *registration) bound() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.status.Expires.IsZero()
}

// take changes the state by a final response, and reports whether the REGISTER
// is to be sent again at once. r.mu is held.
func (r *registration) take(now time.Time, m *wire.Message) (again bool) {
	r.status.Code = m.Status
	switch {
	case m.Status < 300:
		r.cache.Accepted(now, m)
		r.accepted(now, m)
	case m.Status == 401 || m.Status == 407:
		err := r.cache.Challenged(now, m, &r.attempt)
		if err == nil {
			return true
		}
		r.refused(now, AuthFailed, m, "the registrar refuses the credentials: "+err.Error())
	case m.Status == 423 && !r.stopping: // RFC 3261 §10.2.8
		least, err := strconv.ParseUint(string(m.Get(wire.HMinExpires)), 10, 31)
		if asked := time.Duration(least) * time.Second; err == nil && asked > r.ask {
			r.ask = asked
			return true
		}
		r.refused(now, Rejected, m, "423 without a larger Min-Expires")
	case m.Status == 408 || m.Status >= 500 && m.Status < 600:
		r.address++ // another address of the trunk may do better
		r.refused(now, Rejected, m, fmt.Sprintf("the registrar answers %d %s", m.Status, m.Reason))
	default:
		r.refused(now, Rejected, m, fmt.Sprintf("the registrar answers %d %s", m.Status, m.Reason))
	}
	return false
}

func (r *registration) accepted(now time.Time, m *wire.Message) {
	r.failures = 0
	granted := r.granted(m)
	if r.stopping || granted == 0 {
		r.status.Expires = time.Time{}
		r.keeper.counted(r.trunk.Name, "unregistered")
		if !r.stopping {
			r.enter(now, Rejected, "the registrar granted no time")
			r.plan(retryAfter(Rejected, m.Status, 1, 0, rand.Float64()))
		}
		return
	}
	r.keeper.counted(r.trunk.Name, "ok")
	r.enter(now, Registered, "")
	r.status.Expires = now.Add(granted)
	r.plan(refreshAfter(granted, rand.Float64()))
}

// granted is the expiry of our own Contact in the 200; its parameter goes before
// the Expires header (RFC 3261 §10.2.4). Without either it is what we asked for.
func (r *registration) granted(m *wire.Message) time.Duration {
	text := m.Get(wire.HExpires)
	own, err := wire.ParseAddress([]byte(r.contact))
	for v := range m.Values(wire.HContact) {
		if a, bad := wire.ParseAddress(v); err == nil && bad == nil && sameContact(a.URI, own.URI) {
			if expires, ok := a.Param("expires"); ok {
				text = expires
			}
			break
		}
	}
	if n, err := strconv.ParseUint(string(text), 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	return r.ask
}

// sameContact compares host and port; registrars rewrite the rest.
func sameContact(a, b []byte) bool {
	x, err := wire.ParseURI(a)
	y, bad := wire.ParseURI(b)
	return err == nil && bad == nil && bytes.EqualFold(x.Host, y.Host) && x.Port == y.Port && bytes.Equal(x.User, y.User)
}

func (r *registration) refused(now time.Time, s State, m *wire.Message, cause string) {
	asked := time.Duration(0)
	if n, err := strconv.ParseUint(string(m.Get(wire.HRetryAfter)), 10, 31); err == nil {
		asked = time.Duration(n) * time.Second
	}
	r.retry(now, s, m.Status, cause, asked)
}

// failed takes the end of a REGISTER without a response.
func (r *registration) failed(now time.Time, cause string) {
	r.mu.Lock()
	r.busy = false
	r.address++
	r.status.Code = 0
	r.retry(now, Unreachable, 0, cause, 0)
	stopping := r.stopping
	r.mu.Unlock()
	if stopping {
		r.end()
	}
}

// retry plans the next try after a failure. r.mu is held.
func (r *registration) retry(now time.Time, s State, code int, cause string, asked time.Duration) {
	r.failures++
	r.keeper.counted(r.trunk.Name, string(s))
	if now.After(r.status.Expires) || s == AuthFailed || s == Rejected {
		r.status.Expires = time.Time{}
		r.enter(now, s, cause)
	}
	r.status.Cause = cause
	if !r.stopping {
		r.plan(retryAfter(s, code, r.failures, asked, rand.Float64()))
	}
}

func (r *registration) enter(now time.Time, s State, cause string) {
	if r.status.State != s {
		r.status.Since = now
		r.keeper.log.Info("registration", "trunk", r.trunk.Name, "state", string(s), "code", r.status.Code, "cause", cause)
	}
	r.status.State, r.status.Cause = s, cause
}
