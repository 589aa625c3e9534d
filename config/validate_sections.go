package config

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (l *loader) validateMedia(m *Media) {
	switch r := m.Ports; {
	case r.First > r.Last:
		l.bad("media.ports", "%s ends before it begins", r)
	case r.First < 1024 || int(r.Last)-int(r.First) < 3:
		l.bad("media.ports", "%s is out of range", r)
	}
	m.Address = m.Address.Unmap()
	if a := m.Address; a.IsMulticast() || a.Zone() != "" {
		l.bad("media.address", "%s is no local address", a)
	}
	l.whole("media.threads", m.Threads, 0, 256)
	l.duration("media.timeout", m.Timeout, Duration(5*time.Second), Day, true)
	l.duration("media.early_timeout", m.EarlyTimeout, Duration(5*time.Second), Day, true)
}

func (l *loader) validateHTTP(h *HTTP) {
	l.keyPair("http.tls", h.TLS.Certificate, h.TLS.Key)
	l.rate("http.rate_limit", h.RateLimit)
	l.whole("http.rate_burst", h.RateBurst, 0, 100_000)
	if h.Listen == "" {
		return
	}
	host, port, err := net.SplitHostPort(h.Listen)
	if err != nil {
		l.bad("http.listen", "%s has no port", quoteShort(h.Listen))
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		l.bad("http.listen", "port %s is not a number from 0 to 65535", quoteShort(port))
		return
	}
	if host != "" && host != "localhost" {
		if _, err := netip.ParseAddr(host); err != nil {
			l.bad("http.listen", "%s is not an address", quoteShort(host))
		}
	}
}

func (l *loader) validateStorage(s *Storage) {
	if s.Directory == "" || strings.ContainsRune(s.Directory, 0) {
		l.bad("storage.directory", "missing directory")
	}
	l.duration("storage.commit_interval", s.CommitInterval, Duration(10*time.Millisecond), Duration(10*time.Second), false)
	l.duration("storage.retention", s.Retention, Duration(time.Hour), 3650*Day, true)
	l.whole("storage.queue", s.Queue, 1000, 10_000_000)
}

func (l *loader) validateTrace(t *Trace) {
	l.size("trace.memory", t.Memory, MiB, 64*GiB, true)
}

func (l *loader) validateLimits(m *Limits) {
	if m.MaxCalls < 0 {
		l.bad("limits.max_calls", "%d is negative", m.MaxCalls)
	}
	for i, n := range m.EmergencyNumbers {
		if len(n) < 2 || len(n) > 8 || strings.Trim(n, "0123456789") != "" {
			l.bad(at("limits.emergency_numbers", i), "%s is not a short number", quoteShort(n))
		}
	}
	l.rate("limits.unknown_rate", m.UnknownRate)
	l.rate("limits.source_rate", m.SourceRate)
	l.duration("limits.overload_delay", m.OverloadDelay, Duration(10*time.Millisecond), Duration(10*time.Second), true)
	l.duration("limits.retry_after", m.RetryAfter, Duration(time.Second), Duration(time.Hour), false)
	if m.RetryAfter.D()%time.Second != 0 {
		l.bad("limits.retry_after", "%s is not a whole number of seconds", m.RetryAfter)
	}
}

func (l *loader) validateDrain(d *Drain) {
	l.duration("drain.deadline", d.Deadline, 0, Day, true)
}

func (l *loader) validateProbe(p *Probe) {
	l.rate("probe.rate", p.Rate)
	l.duration("probe.ring_limit", p.RingLimit, Duration(time.Second), Duration(time.Minute), false)
	l.duration("probe.interval", p.Interval, Duration(time.Minute), 30*Day, true)
	l.duration("probe.number_interval", p.NumberInterval, Duration(time.Minute), 30*Day, true)
	if p.Target == "" {
		return
	}
	digits, number := strings.CutPrefix(p.Target, "+")
	number = number && len(digits) >= 8 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
	if !number && new(URI).UnmarshalText([]byte(p.Target)) != nil {
		l.bad("probe.target", "%s is neither a number nor a SIP URI", quoteShort(p.Target))
	}
}

func (l *loader) validateProviders(p *Providers) {
	for key, text := range map[string]string{
		"twilio_url": p.TwilioURL, "twilio_trunking_url": p.TwilioTrunkingURL, "telnyx_url": p.TelnyxURL,
		"signalwire_url": p.SignalWireURL, "vonage_url": p.VonageURL,
	} {
		if text == "" {
			continue
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			l.bad("providers."+key, "is not such a URL") // not repeated: it may hold a password
		}
	}
}

// validatePorts finds two listeners of ours on one port.
func (l *loader) validatePorts() {
	c := &l.config
	http, httpErr := netip.ParseAddrPort(strings.Replace(c.HTTP.Listen, "localhost", "127.0.0.1", 1))
	if strings.HasPrefix(c.HTTP.Listen, ":") {
		http, httpErr = netip.ParseAddrPort("0.0.0.0" + c.HTTP.Listen)
	}
	for i, a := range c.SIP.Listen {
		path := at("sip.listen", i)
		if a.Transport != UDP {
			if httpErr == nil && collide(a.Addr, http) {
				l.badAllowed("http.listen", "", "%s is taken by sip.listen[%d]", c.HTTP.Listen, i)
			}
			for j, b := range c.SIP.Listen[:i] {
				if b.Transport != UDP && b.Socket() != a.Socket() && collide(a.Addr, b.Addr) {
					l.badAllowed(path, "", "port %d is taken by sip.listen[%d]", a.Addr.Port(), j)
				}
			}
			continue
		}
		if port := a.Addr.Port(); c.Media.Relay && port != 0 && port >= c.Media.Ports.First && port <= c.Media.Ports.Last {
			l.badAllowed("media.ports", "", "%s holds port %d of sip.listen[%d]", c.Media.Ports, port, i)
		}
	}
}

// collide reports whether two stream sockets cannot be open together.
func collide(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && a.Port() != 0 &&
		(a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}
