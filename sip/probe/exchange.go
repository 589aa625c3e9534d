package probe

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks/provider"
)

// exchange is one request with its answers to challenges: a Call-ID, a From tag
// and rising CSeq numbers. It belongs to its job's desk.
type exchange struct {
	job    *job
	side   *side
	method wire.Method
	uri    string
	from   string // whole URI
	to     string // whole URI
	lines  string // further headers
	body   string

	timeout time.Duration
	ring    time.Duration // of an INVITE: longest without a final response
	bare    bool          // no challenge is answered
	patient bool          // an INVITE that is not given up when it rings

	callID  string
	tag     []byte
	seq     int
	attempt digest.Attempt
	flow    transport.Flow
	contact string

	sent    sip.Sent
	live    bool // a transaction has no final response yet
	given   bool // it was given up
	over    bool // ended was called
	began   time.Time
	alarm   sip.Alarm
	o       outcome
	place   *place                // that keeps other tests from calling the same numbers meanwhile
	expires *int                  // seconds that a REGISTER binds us for; nil: it does not
	granted func(m *wire.Message) // told of a 2xx, if it is not nil
	ended   func(now time.Time, o outcome)
}

// side is a trunk that requests go out on, with what is known of its challenges.
type side struct {
	way   way
	cache *digest.Cache // made with the first challenge
}

// outcome is how one exchange ended.
type outcome struct {
	code       int
	reason     string
	trying     bool // a 100 came: the request is there, no more
	rang       bool // another provisional came
	challenged bool
	challenge  error // why the last challenge was not answered
	realm      string
	answered   bool // a challenge was answered
	retryAfter bool
	meaning    provider.Meaning // of a refusal, by the carrier's tables
	known      bool             // there is one
	err        error            // no final response
	rtt        time.Duration    // to the first response
}

func (j *job) exchange(s *side, m wire.Method, timeout time.Duration) *exchange {
	x := &exchange{job: j, side: s, method: m, timeout: timeout,
		callID: strconv.FormatUint(rand.Uint64(), 36) + strconv.FormatUint(rand.Uint64(), 36)}
	x.tag = j.desk.Tag(make([]byte, 0, 20))
	x.alarm.Ring = x.late
	return x
}

// cancelWait is how long the end of a call that was given up is waited for.
const cancelWait = 2 * time.Second

// start sends the request. ended is called once, perhaps before start returns.
func (x *exchange) start(now time.Time) {
	x.began = now
	if x.job.r.Messages {
		x.job.desk.Watch(x.tag, x.job.note)
	}
	x.once(now)
}

// once is one transaction.
func (x *exchange) once(now time.Time) {
	flow, contact, ok := x.side.way.next(x.job.p.options.Engine)
	if !ok {
		x.end(now, errNoWay)
		return
	}
	x.flow, x.contact = flow, contact
	x.seq++
	o := sip.Outside{Method: x.method, Flow: flow, Write: x.write, Response: x.response, Failed: x.failed}
	if x.method != wire.INVITE {
		o.Timers = x.job.timers(x.timeout)
	}
	x.live = true
	sent, err := x.job.desk.Send(now, o)
	x.sent = sent
	if err != nil {
		x.failed(now, err)
		return
	}
	if x.method == wire.INVITE {
		x.job.desk.Set(&x.alarm, now.Add(x.timeout))
	}
}

// late: an INVITE has waited long enough for what it waits for.
func (x *exchange) late(now time.Time) {
	switch {
	case x.given:
		x.end(now, errNoEnd)
	case x.o.trying || x.o.rang: // it is there: give it the time that calls take
		if left := x.began.Add(x.ring); now.Before(left) {
			x.job.desk.Set(&x.alarm, left)
			return
		}
		x.giveUp(now)
	default:
		x.giveUp(now)
		x.end(now, errSilence)
	}
}

// giveUp cancels an INVITE: at once if it was heard of, else when it is (RFC 3261
// §9.1), so that no phone goes on ringing whatever becomes of the probe.
func (x *exchange) giveUp(now time.Time) {
	if x.given || !x.live || x.method != wire.INVITE {
		return
	}
	x.given = true
	x.job.desk.Cancel(now, x.sent)
	if !x.over {
		x.job.desk.Set(&x.alarm, now.Add(cancelWait))
	}
}

// stop ends the wait, because the probe is interrupted.
func (x *exchange) stop(now time.Time) {
	switch {
	case x.over:
	case x.method == wire.INVITE && x.live && (x.o.trying || x.o.rang):
		x.giveUp(now) // its end follows
	default:
		x.giveUp(now)
		x.end(now, errInterrupted)
	}
}

func (x *exchange) response(now time.Time, m *wire.Message) {
	if x.o.rtt == 0 {
		x.o.rtt = now.Sub(x.began)
		if f := &x.job.report.Facts; f.RTT == 0 {
			f.RTT = Duration(x.o.rtt)
		}
		x.job.seen(m)
	}
	if m.Status >= 200 {
		x.settled()
	}
	switch {
	case x.over: // the probe has gone on; the transaction layer ends what is left
	case m.Status == 100:
		x.o.trying = true
	case m.Status < 200:
		if !x.o.rang {
			x.o.rang = true
			if !x.patient {
				x.giveUp(now)
			}
		}
	case (m.Status == 401 || m.Status == 407) && x.again(now, m):
		x.o.trying, x.o.rang = false, false
		x.once(now)
	default:
		x.final(now, m)
	}
}

// again reports whether the challenge can be answered.
func (x *exchange) again(now time.Time, m *wire.Message) bool {
	x.o.challenged = true
	x.o.realm = realmOf(m)
	switch {
	case x.bare:
		x.o.challenge = errBare
	case x.given:
		x.o.challenge = errInterrupted
	default:
		x.o.challenge = x.side.credentials().Challenged(now, m, &x.attempt)
	}
	if x.o.challenge == nil {
		x.o.answered = true
	}
	return x.o.challenge == nil
}

func (x *exchange) final(now time.Time, m *wire.Message) {
	x.o.code, x.o.reason = m.Status, string(m.Reason)
	x.o.retryAfter = m.Has(wire.HRetryAfter)
	if m.Status >= 300 && m.Status != 401 && m.Status != 407 {
		x.o.meaning, x.o.known = provider.Explain(provider.Refusal{
			Provider: provider.Kind(x.job.r.Provider), Domain: x.side.way.trunk.Domain,
			Status: m.Status, Reason: x.o.reason, Header: func(name string) string { return headerOf(m, name) },
		})
	}
	if m.Status < 300 && x.granted != nil {
		x.granted(m)
	}
	x.end(now, nil)
}

func (x *exchange) failed(now time.Time, err error) {
	x.settled()
	if !x.over {
		x.end(now, err)
	}
}

// settled: no call of ours is up any more.
func (x *exchange) settled() {
	x.live = false
	if x.place != nil {
		x.job.p.guard.leave(x.place)
		x.place = nil
	}
	if x.over {
		x.forget()
	}
}

// end tells the outcome. What is still under way is looked after without the probe.
func (x *exchange) end(now time.Time, err error) {
	x.over, x.o.err = true, err
	x.job.desk.Stop(&x.alarm)
	if !x.live {
		x.settled()
	}
	x.ended(now, x.o)
}

// forget ends what the exchange would still hear.
func (x *exchange) forget() {
	if x.job.r.Messages && x.job.over {
		x.job.desk.Watch(x.tag, nil)
	}
}

func (x *exchange) write(b, branch []byte, sentBy string) []byte {
	t := x.side.way.trunk
	b = wire.AppendRequestLine(b, x.method.String(), []byte(x.uri))
	b = wire.AppendVia(b, x.flow.Proto.String(), sentBy, branch)
	if proxy := t.OutboundProxy; proxy.Host != "" {
		b = fmt.Appendf(b, "Route: <sip:%s;lr>\r\n", proxy)
	}
	b = append(b, "Max-Forwards: 70\r\nFrom: <"...)
	b = append(b, x.from...)
	b = append(b, ">;tag="...)
	b = append(b, x.tag...)
	b = append(b, "\r\nTo: <"...)
	b = append(b, x.to...)
	b = append(b, ">\r\nCall-ID: "...)
	b = append(b, x.callID...)
	b = append(b, "\r\n"...)
	b = wire.AppendCSeq(b, uint32(x.seq), x.method.String())
	switch {
	case x.method != wire.REGISTER:
		b = wire.AppendHeaderString(b, "Contact", x.contact)
		b = append(b, x.lines...)
	case x.expires != nil: // without a Contact it binds nothing, and leaves the calls to whoever uses the trunk now
		b = fmt.Appendf(b, "Contact: %s\r\nExpires: %d\r\n", x.contact, *x.expires)
	default:
		b = append(b, x.lines...)
	}
	if x.method == wire.INVITE {
		b = wire.AppendHeaderString(b, "Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")
	}
	if x.side.cache != nil {
		b = x.side.cache.Authorize(b, time.Now(), x.method.String(), []byte(x.uri), &x.attempt)
	}
	kind := ""
	if x.body != "" {
		kind = "application/sdp"
	}
	return wire.AppendBody(b, kind, []byte(x.body))
}

func (s *side) credentials() *digest.Cache {
	if s.cache == nil {
		t := s.way.trunk
		s.cache = digest.NewCache(digest.Credentials{Username: t.AuthUser, Password: t.AuthPassword.Reveal(), Realm: t.Realm}, 0)
	}
	return s.cache
}

// silence is an offer nobody will send media to: the call is given up before.
func silence(f transport.Flow) string {
	family, address := "IP4", "0.0.0.0"
	if f.Remote.Addr().Is6() {
		family, address = "IP6", "::"
	}
	return "v=0\r\no=- 1 1 IN " + family + " " + address + "\r\ns=-\r\nc=IN " + family + " " + address +
		"\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=inactive\r\n"
}

// realmOf returns the realm of the first challenge.
func realmOf(m *wire.Message) string {
	for _, id := range [...]wire.ID{wire.HWWWAuthenticate, wire.HProxyAuthenticate} {
		for v := range m.All(id) {
			if _, rest, ok := bytes.Cut(v, []byte(`realm="`)); ok {
				realm, _, _ := bytes.Cut(rest, []byte{'"'})
				return string(realm)
			}
		}
	}
	return ""
}

func headerOf(m *wire.Message, name string) string {
	id := wire.LookupHeader([]byte(name))
	for i := range m.Headers {
		h := &m.Headers[i]
		if id != wire.HOther && h.ID == id || id == wire.HOther && bytes.EqualFold(h.Name, []byte(name)) {
			return string(h.Value)
		}
	}
	return ""
}

// seen learns from a response what the carrier sees of us, and what it is.
func (j *job) seen(m *wire.Message) {
	f := &j.report.Facts
	if f.SeenAs == "" {
		if addr, ok := wire.HostAddr(m.Via.Received); ok {
			f.SeenAs = addr.String()
			if m.Via.RPortValue > 0 {
				f.SeenAs = netip.AddrPortFrom(addr, uint16(m.Via.RPortValue)).String()
			}
		} else if m.Via.RPortValue > 0 {
			if addr, ok := wire.HostAddr(m.Via.Host); ok {
				f.SeenAs = netip.AddrPortFrom(addr, uint16(m.Via.RPortValue)).String()
			}
		}
	}
	for _, name := range [...]string{"Server", "User-Agent"} {
		if f.Agent == "" {
			f.Agent = headerOf(m, name)
		}
	}
}

// timers are those of a request that is not an INVITE.
func (j *job) timers(timeout time.Duration) *transaction.Timers {
	if j.own == nil || j.own.F != timeout {
		j.own = &transaction.Timers{F: timeout}
	}
	return j.own
}
