package dialog

import (
	"strconv"
	"time"

	"trunkline/sip/wire"
)

// SessionPolicy is what one side of a call is asked for and allowed (RFC 4028).
type SessionPolicy struct {
	Expires time.Duration // interval we ask for; 0: none, and a peer's own is taken
	Min     time.Duration // smallest interval we take
}

// Session is the session timer of one dialog: agreed, or as the request under way proposes it. The zero Session is none.
type Session struct {
	Interval time.Duration // 0: the session does not expire
	Min      time.Duration // Min-SE to send: what a 422 has taught us; 0: none
	Ours     bool          // we refresh
	Silent   bool          // the peer knows of no session timer: nothing is said, we refresh alone
	Named    bool          // the roles were agreed once: later requests name them
}

// leastSession is the smallest interval there is (RFC 4028 §4); longestSession is the largest a 422 can move us to.
const (
	leastSession   = 90 * time.Second
	longestSession = 24 * time.Hour
)

// Propose returns the timer of a first INVITE of ours (RFC 4028 §7.1): it names no refresher, so that the peer may choose.
func (p SessionPolicy) Propose() Session { return Session{Interval: p.Expires} }

// Accept returns the timer that our 2xx to an INVITE or UPDATE of the peer agrees to (RFC 4028 §9), and false if what
// the peer wants is too small: then 422 is due, with our Min-SE. now is the timer in force. Where the peer leaves the
// choice we refresh, so that a peer that forgets to does not end the call.
func (p SessionPolicy) Accept(m *wire.Message, now Session) (Session, bool) {
	asked, by, named := m.SessionExpires()
	knows := m.HasToken(wire.HSupported, "timer") || m.HasToken(wire.HRequire, "timer")
	if named && asked < p.Min && knows {
		return now, false
	}
	s := Session{Interval: max(asked, leastSession), Ours: true, Silent: !knows && !named, Named: true}
	least := max(leastSession, m.MinSE())
	switch {
	case !named:
		s.Interval = p.Expires
		if p.Expires > 0 {
			s.Interval = max(p.Expires, least)
		}
	case p.Expires > 0 && p.Expires < asked:
		s.Interval = min(asked, max(p.Expires, least))
	}
	if knows && (by == wire.UAC || by == wire.NoRefresher && now.Named && !now.Ours && !now.Silent) {
		s.Ours = false
	}
	return s, true
}

// Agreed returns the timer that a 2xx to our INVITE or UPDATE agrees to, which proposed this one (RFC 4028 §7.2). A peer
// that does not know session timers leaves us to refresh alone.
func (s Session) Agreed(m *wire.Message) Session {
	interval, by, named := m.SessionExpires()
	s.Named = true
	if !named || interval == 0 {
		s.Ours, s.Silent = true, true
		return s
	}
	s.Interval, s.Ours, s.Silent = max(interval, leastSession), by != wire.UAS, false
	return s
}

// Refused returns the larger timer to propose after a 422, and false if it asks for none (RFC 4028 §7.3).
func (s Session) Refused(m *wire.Message) (Session, bool) {
	least := m.MinSE()
	if s.Interval == 0 || least <= s.Interval || least > longestSession {
		return s, false
	}
	s.Interval, s.Min = least, least
	return s, true
}

// AppendRequest appends the Session-Expires and Min-SE lines of an INVITE or UPDATE of ours. In a session that runs they
// name the roles as they are, seen from this request (RFC 4028 §7.4).
func (s Session) AppendRequest(b []byte) []byte {
	if s.Interval == 0 {
		return b
	}
	b = appendInterval(b, "Session-Expires: ", s.Interval)
	switch {
	case !s.Named:
	case s.Ours:
		b = append(b, ";refresher=uac"...)
	default:
		b = append(b, ";refresher=uas"...)
	}
	b = append(b, crlf...)
	if s.Min > 0 {
		b = append(appendInterval(b, "Min-SE: ", s.Min), crlf...)
	}
	return b
}

// AppendResponse appends the Session-Expires line of a 2xx of ours, and the Require that a refreshing peer must see
// (RFC 4028 §9).
func (s Session) AppendResponse(b []byte) []byte {
	if s.Interval == 0 || s.Silent {
		return b
	}
	b = appendInterval(b, "Session-Expires: ", s.Interval)
	if s.Ours {
		return append(b, ";refresher=uas\r\n"...)
	}
	return append(b, ";refresher=uac\r\nRequire: timer\r\n"...)
}

// AppendMinSE appends the Min-SE line of a 422 of ours.
func (p SessionPolicy) AppendMinSE(b []byte) []byte {
	return append(appendInterval(b, "Min-SE: ", max(p.Min, leastSession)), crlf...)
}

func appendInterval(b []byte, name string, d time.Duration) []byte {
	return strconv.AppendInt(append(b, name...), int64((d+time.Second-1)/time.Second), 10)
}
