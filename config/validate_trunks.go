package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

func (l *loader) validateTrunk(path string, t *Trunk) {
	l.name(path+".name", t.Name)
	if t.Server.IsZero() {
		l.bad(path+".server", "missing host")
	}
	l.host(path+".domain", &t.Domain)
	l.validateListener(path, t)
	l.header(path+".realm", t.Realm, 255, `"\`)
	l.validateCredentials(path, t.AuthUser, t.AuthPassword, t.AuthPasswordFile)
	if t.Register && t.AuthUser == "" {
		l.badAllowed(path+".register", "", "true needs auth_user")
	}
	l.duration(path+".register_expires", t.RegisterExpires, Duration(30*time.Second), Day, false)
	l.validateSourceList(path+".source_addresses", t.SourceAddresses)
	if limit := t.CPSLimit; limit != nil && *limit <= 0 {
		l.bad(path+".cps_limit", "%v is not above 0", *limit)
	}
	if t.CPSKey != "" {
		l.name(path+".cps_key", t.CPSKey)
	}
	l.whole(path+".cps_burst", t.CPSBurst, 0, 10_000)
	l.duration(path+".cps_wait", t.CPSWait, Duration(time.Millisecond), Duration(time.Minute), true)
	l.optionalCount(path+".max_calls", t.MaxCalls)
	l.validateNumberFormat(path, t)
	l.host(path+".from_domain", &t.FromDomain)
	if t.FromUser == FromAuthUser && t.AuthUser == "" {
		l.badAllowed(path+".from_user", "", "auth_user needs auth_user beside it")
	}
	if len(t.TechPrefix) > 16 || strings.Trim(t.TechPrefix, "0123456789*+") != "" {
		l.bad(path+".tech_prefix", "%s is not a prefix of a number", quoteShort(t.TechPrefix))
	}
	l.duration(path+".keep_alive", t.KeepAlive, Duration(time.Second), Duration(time.Hour), true)
	if t.KeepAlive > 0 && t.Transport == UDP {
		l.badAllowed(path+".keep_alive", "0", "is set, but transport is udp, where nobody answers a ping")
	}
	l.duration(path+".failover_after", t.FailoverAfter, Duration(500*time.Millisecond), Duration(5*time.Minute), true)
	l.validateSession(path, t.SessionExpires, t.MinSE)
	l.validatePartyMedia(path+".media", t.Media)
	l.duration(path+".health.interval", t.Health.Interval, Duration(time.Second), Duration(time.Hour), true)
	l.whole(path+".health.misses", t.Health.Misses, 1, 100)
	l.whole(path+".health.hits", t.Health.Hits, 1, 100)
	l.optionalRate(path+".source_rate", t.SourceRate)
	l.validateTimers(path+".timers", t.Timers, true)
	l.validateTrunkTLS(path+".tls", t)
}

// validateSession checks the session timer of a trunk or agent.
func (l *loader) validateSession(path string, expires, least Duration) {
	l.duration(path+".session_expires", expires, minSE, Day, true)
	l.duration(path+".min_se", least, minSE, Day, false)
	if expires >= minSE && least >= minSE && expires < least {
		l.bad(path+".session_expires", "%s is below min_se, which is %s", expires, least)
	}
}

// validateListener checks that requests to t can leave from somewhere.
func (l *loader) validateListener(path string, t *Trunk) {
	listen := l.config.SIP.Listen
	if l.wrong[path+".transport"] {
		return
	}
	if t.Listener != "" {
		i := slices.IndexFunc(listen, func(a Listener) bool { return a.Socket() == t.Listener })
		switch {
		case i < 0:
			l.badAllowed(path+".listener", listenerNames(listen, t.Transport), "%s is not in sip.listen", quoteShort(t.Listener))
		case listen[i].Transport != t.Transport:
			l.badAllowed(path+".listener", listenerNames(listen, t.Transport), "%s does not speak %s", quoteShort(t.Listener), t.Transport)
		}
		return
	}
	hop := t.OutboundProxy
	key := ".outbound_proxy"
	if hop.IsZero() {
		hop, key = t.Server, ".server"
	}
	if problem := unreachable(listen, t.Transport, hop.Host); problem != "" && !l.listenWrong() {
		if a, ok := hop.Addr(); !ok || !a.IsValid() {
			key = ".transport"
		}
		l.badAllowed(path+key, "", "%s", problem)
	}
}

// unreachable says why no listener can send to host over transport; empty: one can.
func unreachable(listen []Listener, transport Transport, host string) string {
	target, err := netip.ParseAddr(host)
	spoken := false
	for _, a := range listen {
		if a.Transport != transport {
			continue
		}
		spoken = true
		own := a.Addr.Addr()
		if err != nil || own.Is4() == target.Is4() || own == netip.IPv6Unspecified() {
			return ""
		}
	}
	switch {
	case !spoken:
		return fmt.Sprintf("no %s listener in sip.listen to send from", transport)
	case target.Is4():
		return fmt.Sprintf("no %s listener with an IPv4 address in sip.listen to reach %s from", transport, target)
	}
	return fmt.Sprintf("no %s listener with an IPv6 address in sip.listen to reach %s from", transport, target)
}

// listenWrong reports whether sip.listen has mistakes of its own, which would bring more with them.
func (l *loader) listenWrong() bool {
	if l.wrong["sip.listen"] {
		return true
	}
	for i, a := range l.config.SIP.Listen {
		if !a.Addr.IsValid() || l.wrong[at("sip.listen", i)] {
			return true
		}
	}
	return false
}

// listenerNames lists what a trunk may name as its listener.
func listenerNames(listen []Listener, transport Transport) string {
	var names []string
	for _, a := range listen {
		if a.Transport == transport {
			names = append(names, a.Socket())
		}
	}
	return strings.Join(names, ", ")
}

func (l *loader) validateCredentials(path, user string, password Secret, file string) {
	l.header(path+".auth_user", user, 255, `"\`)
	switch some := password != "" || file != ""; {
	case user != "" && !some:
		l.badAllowed(path+".auth_user", "", "needs auth_password or auth_password_file beside it")
	case user == "" && password != "":
		l.badAllowed(path+".auth_password", "", "needs auth_user beside it")
	case user == "" && file != "":
		l.badAllowed(path+".auth_password_file", "", "needs auth_user beside it")
	}
}

func (l *loader) validateNumberFormat(path string, t *Trunk) {
	if l.digits(path+".country_code", t.CountryCode, 3) && strings.HasPrefix(t.CountryCode, "0") {
		l.bad(path+".country_code", "%q begins with 0", t.CountryCode)
	}
	l.digits(path+".national_prefix", t.NationalPrefix, 4)
	if t.NumberFormat == FormatNational && t.CountryCode == "" {
		l.badAllowed(path+".number_format", "", "national needs country_code")
	}
	if t.NationalPrefix != "" && t.CountryCode == "" {
		l.badAllowed(path+".national_prefix", "", "needs country_code")
	}
}

func (l *loader) validateTrunkTLS(path string, t *Trunk) {
	if t.TLS != (TrunkTLS{}) && t.Transport != TLSTransport {
		l.badAllowed(path, "", "is set, but transport is %s", t.Transport)
		return
	}
	l.host(path+".server_name", &t.TLS.ServerName)
	l.certificates(path+".ca", t.TLS.CA)
	l.keyPair(path, t.TLS.Certificate, t.TLS.Key)
}

func (l *loader) validateAgent(path string, a *Agent) {
	l.name(path+".name", a.Name)
	if n := len(a.Destinations); n > 64 {
		l.badAllowed(path+".destinations", "up to 64", "%d destinations", n)
	}
	seen := map[URI]int{}
	for i, d := range a.Destinations {
		l.validateDestination(at(path+".destinations", i), d, seen, i)
	}
	l.validateSourceList(path+".source_addresses", a.SourceAddresses)
	l.duration(path+".failover_after", a.FailoverAfter, Duration(500*time.Millisecond), Duration(5*time.Minute), true)
	l.validateSession(path, a.SessionExpires, a.MinSE)
	l.optionalCount(path+".max_calls", a.MaxCalls)
	l.optionalRate(path+".source_rate", a.SourceRate)
	l.validateCredentials(path, a.AuthUser, a.AuthPassword, a.AuthPasswordFile)
	l.validateToll(path+".toll", a.Toll)
	l.validatePartyMedia(path+".media", a.Media)
}

func (l *loader) validateOrganization(path string, o *Organization) {
	switch {
	case o.Name == "":
		l.bad(path+".name", "missing name")
	case utf8.RuneCountInString(o.Name) > 120 || strings.ContainsFunc(o.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		l.bad(path+".name", "%s is no name of an organization", quoteShort(o.Name))
	}
	l.validateToll(path+".toll", o.Toll)
}

func (l *loader) validateToll(path string, t Toll) {
	for i, code := range t.Countries {
		if code == "" || len(code) > 15 || code[0] == '0' || strings.Trim(code, "0123456789") != "" {
			l.bad(at(path+".countries", i), "%s is not the beginning of a number in E.164 form", quoteShort(code))
		}
	}
	l.whole(path+".calls_per_minute", t.CallsPerMinute, 0, 100_000)
	l.whole(path+".minutes_per_day", t.MinutesPerDay, 0, 10_000_000)
}

func (l *loader) validatePartyMedia(path string, m PartyMedia) {
	if len(m.Codecs) > 32 {
		l.badAllowed(path+".codecs", "up to 32", "%d codecs", len(m.Codecs))
	}
	for i, name := range m.Codecs {
		key := at(path+".codecs", i)
		lower := strings.ToLower(name)
		first := slices.IndexFunc(m.Codecs[:i], func(c string) bool { return strings.EqualFold(c, name) })
		switch {
		case name == "" || len(name) > 32 || strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "":
			l.bad(key, "%s is no encoding name", quoteShort(name))
		case lower == "telephone-event" || lower == "cn":
			l.bad(key, "%s is no codec and goes with those that have its clock", name)
		case first >= 0:
			l.bad(key, "%s is listed already, as codecs[%d]", name, first)
		}
	}
	if m.DTMF == DTMFInfo && !l.config.Media.Relay {
		l.badAllowed(path+".dtmf", "", "info needs media.relay, for it changes the packets")
	}
}

func (l *loader) validateDestination(path string, d Destination, seen map[URI]int, i int) {
	l.whole(path+".priority", d.Priority, 0, 65535)
	l.whole(path+".weight", d.Weight, 0, 65535)
	if d.URI.Host == "" {
		l.bad(path+".uri", "missing URI")
		return
	}
	if first, twice := seen[d.URI]; twice {
		l.badAllowed(path+".uri", "", "%s is listed already, as destinations[%d]", d.URI, first)
		return
	}
	seen[d.URI] = i
	if problem := unreachable(l.config.SIP.Listen, d.URI.Transport, d.URI.Host); problem != "" && !l.listenWrong() {
		l.badAllowed(path+".uri", "", "%s", problem)
	}
}

func (l *loader) validateNumber(path string, n *Number) {
	digits, plus := strings.CutPrefix(n.Number, "+")
	switch {
	case n.Number == "":
		l.bad(path+".number", "missing number")
	case !plus || len(digits) < 3 || len(digits) > 15 || digits[0] == '0' || strings.Trim(digits, "0123456789") != "":
		l.bad(path+".number", "%s is not in E.164 form", quoteShort(n.Number))
	}
	if n := len(n.Routes); n > maxRoutes {
		l.badAllowed(path+".routes", fmt.Sprintf("up to %d", maxRoutes), "%d routes", n)
	}
	for i, r := range n.Routes {
		l.whole(at(path+".routes", i)+".priority", r.Priority, 0, 65535)
		l.whole(at(path+".routes", i)+".weight", r.Weight, 0, 65535)
	}
}

// maxRoutes of one number: as many as the places one call is tried at.
const maxRoutes = 16

func (l *loader) optionalCount(path string, n *int) {
	if n != nil && *n < 0 {
		l.bad(path, "%d is negative", *n)
	}
}

func (l *loader) optionalRate(path string, r *float64) {
	if r != nil {
		l.rate(path, *r)
	}
}

func (l *loader) validateSourceList(path string, sources []Source) {
	first := make(map[Source]int, len(sources))
	for i, s := range sources {
		if s == (Source{}) {
			continue // its mistake is noted
		}
		if j, twice := first[s]; twice {
			l.badAllowed(at(path, i), "", "%s is listed already, as source_addresses[%d]", s, j)
			continue
		}
		first[s] = i
	}
}
