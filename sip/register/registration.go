package register

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/transaction"
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
	held     string         // the Contact that the registrar holds; empty: none of ours
	at       netip.AddrPort // of the server that granted it; invalid: none has
	seen     netip.AddrPort // our address to show in Contact; invalid: our own
	seq      uint32
	cache    *digest.Cache
	ask      time.Duration // Expires to ask for, as 423 may have raised it
	try      try
	failures int   // tries in a row
	failing  State // of the last try while the binding still holds; empty: it went well
	busy     bool  // a try is under way
	changed  bool  // and what it was made of has changed since
	stopping bool
	timer    *time.Timer
	flow     transport.Flow // of the REGISTER that made the binding
	pinging  *time.Timer    // while an address translation must be held open
	gone     chan struct{}  // closed when the binding was taken back, or could not be
	logged   struct {       // last
		code    int
		server  netip.AddrPort
		contact string
	}
}

// try is one REGISTER and those that its answers ask for, at one server after
// another.
type try struct {
	began   time.Time
	tried   uint64         // servers that were asked
	server  netip.AddrPort // being asked; invalid: one is to be chosen
	flow    transport.Flow
	contact string
	drop    string        // a Contact of ours that is taken back along with it; empty: none
	asked   time.Duration // Expires of the REGISTER under way; 0: it takes the binding back
	attempt digest.Attempt
	raised  int  // 423s obeyed
	moved   bool // our address was seen to be another, and shown
	single  bool // the registrar does not take two Contacts at once
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
	r.failures, r.seen = 0, netip.AddrPort{}
	if r.changed = r.busy; !r.busy {
		r.plan(0)
	}
}

// current is the status as it is now: a binding that ran out is none.
func (r *registration) current() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.status
	s.Contact, s.Seen, s.Failures = r.held, r.seen, r.failures
	if s.State == Registered && !time.Now().Before(s.Expires) {
		if s.State = r.failing; s.State == "" { // the first try to refresh it is still under way
			s.State = Registering
		}
		s.Since, s.Expires = s.Expires, time.Time{}
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
	r.holdOpen(false)
	switch {
	case r.stopping:
	case r.busy: // what is under way goes on to its end, and then the binding is taken back
		r.keeper.engine.Bound(r.trunk.Name, nil)
	case r.bound():
		r.keeper.engine.Bound(r.trunk.Name, nil)
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

// register begins a try.
func (r *registration) register() {
	r.mu.Lock()
	if r.busy || r.stopping && !r.bound() { // the timer ran out at the same moment
		r.mu.Unlock()
		return
	}
	r.busy, r.try = true, try{began: time.Now(), single: r.try.single}
	r.mu.Unlock()
	r.send()
}

// send sends one REGISTER. It must not run on a shard.
func (r *registration) send() {
	r.mu.Lock()
	err := r.aim()
	flow, timers := r.try.flow, r.timers()
	r.mu.Unlock()
	if err != nil {
		r.failed(time.Now(), err)
		return
	}
	_, err = r.keeper.engine.Send(r.keeper.ctx, r.key, sip.Outside{
		Method: wire.REGISTER, Flow: flow, Timers: timers, Tells: true,
		Write:    func(b, branch []byte, sentBy string) []byte { return r.write(b, branch, sentBy, flow.Proto) },
		Response: r.response,
		Failed:   r.failed,
	})
	if err != nil {
		r.failed(time.Now(), err)
	}
}

// holdOpen starts or ends keep-alives through an address translation, so that calls
// find their way in between two REGISTERs. r.mu is held.
func (r *registration) holdOpen(wanted bool) {
	switch {
	case !wanted && r.pinging != nil:
		r.pinging.Stop()
		r.pinging = nil
	case wanted && r.pinging == nil:
		r.pinging = time.AfterFunc(pingAfter(rand.Float64()), r.ping)
	}
}

func (r *registration) ping() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pinging == nil { // it was ended at the same moment
		return
	}
	r.keeper.engine.Ping(r.key, r.flow)
	r.pinging.Reset(pingAfter(rand.Float64()))
}

// aim decides where the REGISTER goes and which Contact it carries. r.mu is held.
func (r *registration) aim() error {
	t := r.trunk
	nth := slices.Index(t.Servers, r.try.server)
	if nth < 0 {
		nth = r.choose()
	}
	if nth < 0 {
		return fmt.Errorf("%s has no address: its name is not found", hopOf(t))
	}
	flow, contact, ok := r.keeper.engine.Way(t, nth)
	if !ok {
		return fmt.Errorf("no listener in sip.listen can send to %s over %s", t.Servers[nth], t.Transport)
	}
	r.try.server, r.try.flow = flow.Remote, flow
	r.try.contact, r.try.drop = sip.RegisterContact(t, contact, r.seen), ""
	switch {
	case r.held == "" || r.held == r.try.contact:
	case r.ask == 0: // what is taken back is what there is
		r.try.contact = r.held
	case !r.try.single:
		r.try.drop = r.held
	}
	return nil
}

// hopOf is the host that REGISTERs go to.
func hopOf(t *trunks.Trunk) string {
	if t.OutboundProxy.Host != "" {
		return t.OutboundProxy.Host
	}
	return t.Server.Host
}

// choose returns the server to ask next in this try, -1 when none is left: the one
// that holds the binding, unless a better one has come back, and then the others
// (RFC 3263 §4.3). r.mu is held.
func (r *registration) choose() int {
	t := r.trunk
	avoid := r.try.tried | r.keeper.engine.Avoid(t, r.try.tried)
	if i := slices.Index(t.Servers, r.at); i >= 0 && i < 64 && avoid&(1<<i) == 0 {
		if better := t.Better(i) &^ avoid; better != 0 && r.ask > 0 {
			return t.Choose(^better, rand.Uint64())
		}
		return i
	}
	return t.Choose(avoid, rand.Uint64())
}

// timers are those of the trunk, with less patience while another server is left.
// r.mu is held.
func (r *registration) timers() *transaction.Timers {
	of := r.trunk.Timers
	t := transaction.Timers{T1: of.T1.D(), T2: of.T2.D(), T4: of.T4.D(), F: of.TimerF.D()}
	others := r.try.tried
	if nth := slices.Index(r.trunk.Servers, r.try.server); nth >= 0 {
		others |= 1 << nth
	}
	if patience := r.trunk.FailoverAfter.D(); patience > 0 && r.trunk.Choose(others, 0) >= 0 {
		t.F = patience
	}
	if t == (transaction.Timers{}) {
		return nil
	}
	return &t
}

// write appends the REGISTER. It runs on the shard.
func (r *registration) write(b, branch []byte, sentBy string, p transport.Proto) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	r.try.asked = r.ask
	domain := r.trunk.Domain
	user := wire.AppendUser(nil, r.trunk.AuthUser)
	uri := []byte("sip:" + domain)
	b = wire.AppendRequestLine(b, "REGISTER", uri)
	b = wire.AppendVia(b, p.String(), sentBy, branch)
	b = fmt.Appendf(b, "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%s\r\nTo: <sip:%s@%s>\r\nCall-ID: %s\r\nCSeq: %d REGISTER\r\nContact: %s\r\n",
		user, domain, r.tag, user, domain, r.callID, r.seq, r.try.contact)
	if r.try.drop != "" {
		b = fmt.Appendf(b, "Contact: %s;expires=0\r\n", r.try.drop)
	}
	b = fmt.Appendf(b, "Expires: %d\r\nSupported: path\r\n", int(r.try.asked.Seconds()))
	b = r.cache.Authorize(b, time.Now(), "REGISTER", uri, &r.try.attempt)
	return wire.AppendBody(b, "", nil)
}
