package register

import (
	"bytes"
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
	key    uint64 // decides the shard, always the same
	callID string // one for all REGISTERs (RFC 3261 §10.2)
	tag    string

	mu       sync.Mutex
	trunk    *trunks.Trunk
	status   Status
	contact  string
	seq      uint32
	cache    *digest.Cache
	attempt  digest.Attempt
	ask      time.Duration // Expires to ask for, as 423 may have raised it
	asked    time.Duration // Expires of the REGISTER under way; 0: it takes the binding back
	raised   int           // 423s obeyed in this try
	address  int           // which of the trunk's addresses is used
	failures int           // in a row
	failing  State         // of the last try while the binding still holds; empty: it went well
	busy     bool          // a REGISTER is under way
	changed  bool          // and what it was made of has changed since
	stopping bool
	timer    *time.Timer
	gone     chan struct{} // closed when the binding was taken back, or could not be
}

// maxRaised bounds the 423s that one try obeys: each must ask for more, but a
// registrar may climb by seconds.
const maxRaised = 2

func newRegistration(k *Keeper, t *trunks.Trunk) *registration {
	r := &registration{
		keeper: k, key: rand.Uint64(),
		callID: strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36),
		tag:    strconv.FormatUint(rand.Uint64(), 36),
		status: Status{Trunk: t.Name, State: Registering, Since: time.Now()},
		gone:   make(chan struct{}),
	}
	r.learn(t)
	return r
}

// learn takes over what t says of a REGISTER. r.mu is held.
func (r *registration) learn(t *trunks.Trunk) {
	r.trunk, r.ask = t, t.RegisterExpires.D()
	r.forgetChallenges()
}

// forgetChallenges makes the next REGISTER go out without credentials. r.mu is held.
func (r *registration) forgetChallenges() {
	t := r.trunk
	r.cache = digest.NewCache(digest.Credentials{Username: t.AuthUser, Password: t.AuthPassword.Reveal(), Realm: t.Realm}, time.Hour)
}

// sameRecord: t has the same address of record, so that a REGISTER for it renews
// this binding.
func (r *registration) sameRecord(t *trunks.Trunk) bool {
	return r.trunk.Domain == t.Domain && r.trunk.AuthUser == t.AuthUser
}

// sameAs: a REGISTER for t would be the same as this one.
func (r *registration) sameAs(t *trunks.Trunk) bool {
	a, b := r.trunk, t
	return a.Server == b.Server && a.Domain == b.Domain && a.Transport == b.Transport && a.OutboundProxy == b.OutboundProxy &&
		a.AuthUser == b.AuthUser && a.AuthPassword == b.AuthPassword && a.Realm == b.Realm &&
		a.RegisterExpires == b.RegisterExpires && a.TLS == b.TLS && a.Listener == b.Listener
}

// change goes on with t, which has the same address of record. A REGISTER that
// differs goes out at once, or behind the one under way; the binding holds
// meanwhile, since taking it back first would lose calls, and afterwards would
// take the new one.
func (r *registration) change(t *trunks.Trunk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sameAs(t) {
		r.trunk = t // its addresses may be others
		return
	}
	r.learn(t)
	r.failures, r.address = 0, 0
	if r.changed = r.busy; !r.busy {
		r.plan(0)
	}
}

// current is the status as it is now: a binding that ran out is none.
func (r *registration) current() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	if s.State == Registered && r.failing != "" && !time.Now().Before(s.Expires) {
		s.State, s.Since, s.Expires = r.failing, s.Expires, time.Time{}
	}
	return s
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
	defer r.mu.Unlock()
	if r.timer != nil {
		r.timer.Stop()
	}
	switch {
	case r.stopping:
	case r.busy: // what is under way goes on to its end, and then the binding is taken back
	case r.bound():
		go r.register() // ends when the shard has taken it over
	default:
		r.end()
	}
	r.stopping, r.ask = true, 0
	return r.gone
}

// end says that there is no binding of ours any more, or that no more can be
// done about it. r.mu is held.
func (r *registration) end() {
	select {
	case <-r.gone: // a REGISTER that was given up has been answered after all
	default:
		close(r.gone)
	}
}

// bound reports whether the registrar may hold a binding of ours. r.mu is held.
func (r *registration) bound() bool { return !r.status.Expires.IsZero() }

// register begins a try: one REGISTER and those that its answers ask for.
func (r *registration) register() {
	r.mu.Lock()
	if r.busy || r.stopping && !r.bound() { // the timer ran out at the same moment
		r.mu.Unlock()
		return
	}
	r.busy, r.attempt, r.raised = true, digest.Attempt{}, 0
	r.mu.Unlock()
	r.send()
}

// send sends one REGISTER. It must not run on a shard.
func (r *registration) send() {
	r.mu.Lock()
	flow, contact, ok := r.keeper.engine.Way(r.trunk, r.address)
	r.contact = contact
	r.mu.Unlock()
	if !ok {
		r.failed(time.Now(), "no address of the server is known, or no listener suits it")
		return
	}
	_, err := r.keeper.engine.Send(r.keeper.ctx, r.key, sip.Outside{
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
	r.asked = r.ask
	domain := r.trunk.Domain
	user := wire.AppendUser(nil, r.trunk.AuthUser)
	uri := []byte("sip:" + domain)
	b = wire.AppendRequestLine(b, "REGISTER", uri)
	b = wire.AppendVia(b, p.String(), sentBy, branch)
	b = fmt.Appendf(b, "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%s\r\nTo: <sip:%s@%s>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\nContact: %s\r\nExpires: %d\r\n",
		user, domain, r.tag, user, domain, r.callID, r.seq, r.contact, int(r.asked.Seconds()))
	b = r.cache.Authorize(b, time.Now(), "REGISTER", uri, &r.attempt)
	return wire.AppendBody(b, "", nil)
}

// response takes a response to a REGISTER. It runs on the shard.
func (r *registration) response(now time.Time, m *wire.Message) {
	if m.Status < 200 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.take(now, m) {
		go r.send() // a shard must not wait for itself; ends when the shard has taken it over
		return
	}
	r.over()
}

// over ends a try, and begins the next one where that cannot wait. r.mu is held.
func (r *registration) over() {
	r.busy = false
	switch {
	case r.stopping && r.asked > 0 && r.bound():
		go r.register() // as above
	case r.stopping:
		r.end()
	case r.changed:
		r.changed = false
		r.plan(0)
	}
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
		r.forgetChallenges() // else the next try would begin with a wrong answer
		r.refused(now, AuthFailed, m, "the registrar refuses the credentials: "+err.Error())
	case m.Status == 423 && r.asked > 0: // RFC 3261 §10.2.8
		least, ok := m.Number(wire.HMinExpires)
		longer := time.Duration(least) * time.Second
		if ok && longer > r.asked && r.raised < maxRaised {
			r.ask = longer
			r.raised++
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
	r.failures, r.failing = 0, ""
	if r.asked == 0 {
		r.status.Expires = time.Time{}
		r.keeper.counted(r.trunk.Name, "unregistered")
		return
	}
	granted := r.granted(m)
	if granted == 0 {
		r.retry(now, Rejected, m.Status, "the registrar granted no time", 0)
		return
	}
	r.keeper.counted(r.trunk.Name, "ok")
	r.status.Expires = now.Add(granted)
	r.enter(now, Registered, "")
	if !r.stopping {
		r.plan(refreshAfter(granted, rand.Float64()))
	}
}

// granted is how long our binding lasts by a 200: what stands at our own Contact
// goes before the Expires header (RFC 3261 §10.2.4), and without either it is what
// we asked for. A registrar may list bindings of others, or of ours before a
// restart, and may show ours as the NAT made it: then the shortest counts, since a
// refresh too early costs a message and one too late costs calls.
func (r *registration) granted(m *wire.Message) time.Duration {
	own := contactURI([]byte(r.contact))
	shortest := time.Duration(-1)
	header, ok := m.Number(wire.HExpires)
	if !ok {
		header = uint64(r.asked / time.Second)
	}
	for v := range m.Values(wire.HContact) {
		a, err := wire.ParseAddress(v)
		if err != nil {
			continue
		}
		seconds := header
		if text, ok := a.Param("expires"); ok {
			if n, err := strconv.ParseUint(string(text), 10, 32); err == nil {
				seconds = n
			}
		}
		expires := time.Duration(seconds) * time.Second
		if sameContact(a.URI, own) {
			return expires
		}
		if shortest < 0 || expires < shortest {
			shortest = expires
		}
	}
	if shortest < 0 {
		return time.Duration(header) * time.Second
	}
	return shortest
}

func contactURI(contact []byte) []byte {
	a, err := wire.ParseAddress(contact)
	if err != nil {
		return nil
	}
	return a.URI
}

// sameContact compares user, host and port (RFC 3261 §19.1.4); registrars rewrite
// the rest.
func sameContact(a, b []byte) bool {
	x, err := wire.ParseURI(a)
	y, bad := wire.ParseURI(b)
	return err == nil && bad == nil && bytes.EqualFold(x.Host, y.Host) && portOf(x) == portOf(y) && bytes.Equal(x.User, y.User)
}

// portOf: registrars leave the usual port out.
func portOf(u wire.URI) int {
	transport, _ := u.Param("transport")
	switch {
	case u.Port != 0:
		return u.Port
	case bytes.EqualFold(u.Scheme, []byte("sips")), bytes.EqualFold(transport, []byte("tls")):
		return 5061
	}
	return 5060
}

func (r *registration) refused(now time.Time, s State, m *wire.Message, cause string) {
	seconds, _ := m.Number(wire.HRetryAfter)
	r.retry(now, s, m.Status, cause, time.Duration(seconds)*time.Second)
}

// failed takes the end of a REGISTER without a response.
func (r *registration) failed(now time.Time, cause string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.address++
	r.status.Code = 0
	r.retry(now, Unreachable, 0, cause, 0)
	r.over()
}

// retry plans the next try after a failure. A binding outlives silence and errors
// of the registrar, but not its refusal. r.mu is held.
func (r *registration) retry(now time.Time, s State, code int, cause string, asked time.Duration) {
	r.failures++
	r.keeper.counted(r.trunk.Name, string(s))
	passing := s == Unreachable || code == 408 || code >= 500 && code < 600
	if passing && now.Before(r.status.Expires) {
		r.failing, r.status.Cause = s, cause
	} else {
		r.failing, r.status.Expires = "", time.Time{}
		r.enter(now, s, cause)
	}
	if !r.stopping {
		r.plan(retryAfter(s, code, r.failures, asked, rand.Float64()))
	}
}

func (r *registration) enter(now time.Time, s State, cause string) {
	if r.status.State != s {
		r.status.Since = now
		log := r.keeper.log.Info
		if s != Registered {
			log = r.keeper.log.Warn
		}
		log("registration", "trunk", r.trunk.Name, "state", string(s), "code", r.status.Code, "cause", cause)
	}
	r.status.State, r.status.Cause = s, cause
}
