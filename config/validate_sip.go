package config

import (
	"net/netip"
	"time"
)

func (l *loader) validateSIP(s *SIP) {
	l.validateListen(s)
	if a := s.PublicAddress; a.IsValid() {
		s.PublicAddress = a.Unmap()
		if a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			l.bad("sip.public_address", "%s is no address a peer can send to", a)
		}
	}
	l.header("sip.user_agent", s.UserAgent, 128, "")
	l.validateTLS(s)
	l.whole("sip.shards", s.Shards, 0, 256)
	l.size("sip.receive_buffer", s.ReceiveBuffer, 64*KiB, GiB, false)
	l.size("sip.max_message_size", s.MaxMessageSize, 4*KiB, 16*MiB, false)
	l.duration("sip.idle_timeout", s.IdleTimeout, Duration(10*time.Second), Day, true)
	l.validateTimers("sip.timers", s.Timers, false)
	l.validateResolvers(s.Resolvers)
	l.validateRegistrar(&s.Registrar)
}

// maxResolvers bounds how long a name may take when none of them answers.
const maxResolvers = 8

func (l *loader) validateRegistrar(r *Registrar) {
	l.header("sip.registrar.realm", r.Realm, 255, `"\`)
	if r.Realm == "" {
		l.bad("sip.registrar.realm", "is empty")
	}
	l.duration("sip.registrar.min_expires", r.MinExpires, Duration(10*time.Second), Duration(time.Hour), false)
	l.duration("sip.registrar.max_expires", r.MaxExpires, max(Duration(time.Minute), r.MinExpires), Day, false)
	l.duration("sip.registrar.keep_alive", r.KeepAlive, Duration(5*time.Second), Duration(10*time.Minute), true)
	l.whole("sip.registrar.contacts", r.Contacts, 1, 15)
}

func (l *loader) validateResolvers(resolvers []Resolver) {
	if n := len(resolvers); n > maxResolvers {
		l.badAllowed("sip.resolvers", "up to 8", "%d resolvers", n)
	}
	first := map[Resolver]int{}
	for i, r := range resolvers {
		if !r.AddrPort().IsValid() {
			continue // its mistake is noted
		}
		if j, twice := first[r]; twice {
			l.badAllowed(at("sip.resolvers", i), "", "%s is listed already, as sip.resolvers[%d]", r, j)
			continue
		}
		first[r] = i
	}
}

func (l *loader) validateListen(s *SIP) {
	if len(s.Listen) == 0 {
		l.bad("sip.listen", "no listener is left")
	}
	first := map[string]int{}
	for i, listener := range s.Listen {
		path := at("sip.listen", i)
		if !listener.Addr.IsValid() {
			continue // its mistake is noted
		}
		if j, twice := first[listener.Socket()]; twice && listener.Addr.Port() != 0 {
			l.badAllowed(path, "", "%s is listed already, as sip.listen[%d]", listener.Socket(), j)
			continue
		}
		first[listener.Socket()] = i
		if listener.Addr.Addr().IsMulticast() {
			l.bad(path, "%s is a multicast address", listener.Addr.Addr())
		}
		if p := listener.Public; p.IsValid() && (p.IsUnspecified() || p.IsMulticast() || p.Zone() != "") {
			l.bad(path, "public %s is no address a peer can send to", p)
		}
		if listener.Addr.Addr().IsUnspecified() && !s.Shown(listener).IsValid() {
			l.badAllowed(path, "?public=address here, or sip.public_address of the same family", "%s is every address of this host, and Via and Contact need one", listener.Socket())
		}
	}
}

// Shown returns the address that Via, Contact and SDP show for requests through listener: its own public one, else
// sip.public_address when of the same family, else the address it listens on. It is invalid when none of these is one address.
func (s *SIP) Shown(listener Listener) netip.Addr {
	own := listener.Addr.Addr()
	switch {
	case listener.Public.IsValid():
		return listener.Public
	case s.PublicAddress.IsValid() && s.PublicAddress.Unmap().Is4() == own.Is4():
		return s.PublicAddress.Unmap()
	case own.IsUnspecified():
		return netip.Addr{}
	}
	return own
}

func (l *loader) validateTLS(s *SIP) {
	t := &s.TLS
	l.keyPair("sip.tls", t.Certificate, t.Key)
	l.certificates("sip.tls.client_ca", t.ClientCA)
	if t.ClientAuth != ClientAuthNone && t.ClientCA == "" {
		l.badAllowed("sip.tls.client_auth", "", "%s needs sip.tls.client_ca", t.ClientAuth)
	}
}

// validateTimers checks timers; in a trunk 0 means as in the sip section.
func (l *loader) validateTimers(path string, t Timers, zero bool) {
	const ms = Duration(time.Millisecond)
	const second = Duration(time.Second)
	const minute = Duration(time.Minute)
	l.duration(path+".t1", t.T1, 50*ms, 10*second, zero)
	l.duration(path+".t2", t.T2, 50*ms, minute, zero)
	l.duration(path+".t4", t.T4, 50*ms, minute, zero)
	l.duration(path+".timer_b", t.TimerB, 500*ms, 5*minute, zero)
	l.duration(path+".timer_f", t.TimerF, 500*ms, 5*minute, zero)
	l.duration(path+".timer_c", t.TimerC, second, 60*minute, zero)
	inherited := l.config.SIP.Timers
	if t1, t2 := orElse(t.T1, inherited.T1), orElse(t.T2, inherited.T2); t1 > t2 && !l.wrong[path+".t1"] {
		l.bad(path+".t2", "%s is below t1, %s", t2, t1)
	}
}

// orElse is d, or other when d is zero.
func orElse(d, other Duration) Duration {
	if d == 0 {
		return other
	}
	return d
}
