package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/sip/resolve"
	"trunkline/trunks"
)

// preparation is what precedes the SIP of a probe and may take time: names, files,
// and the first connection to a stream server.
type preparation struct {
	started   time.Time
	home, out way
	steps     []Step
	addresses []string
	tls       *TLSFacts
	ready     bool // SIP can follow
}

// simple reports whether a request needs no preparation.
func (r *Request) simple() bool {
	return r.Trunk != nil && !r.Public && len(r.Trunk.Servers) > 0 && r.Trunk.Transport != config.TLSTransport && r.Trunk.Transport != config.TCP
}

func (r *Request) dialOut() *trunks.Trunk {
	if r.DialOut != nil {
		return r.DialOut
	}
	return r.Trunk
}

func (p *Prober) prepare(ctx context.Context, r *Request, tell func(Step)) (found preparation) {
	found.started = time.Now().UTC()
	step := func(name string, do func(s *Step) finding) bool {
		s := Step{Name: name, At: time.Now().UTC()}
		do(&s).into(&s)
		s.Duration = Duration(time.Since(s.At))
		found.steps = append(found.steps, s)
		tell(s)
		return s.Verdict != Fail
	}
	if !step("resolve", func(*Step) finding { return p.resolve(ctx, r) }) {
		return found
	}
	t := r.Trunk
	found.home, found.out = way{trunk: t}, way{trunk: r.dialOut()}
	for _, a := range t.Servers {
		found.addresses = append(found.addresses, a.String())
	}
	if t.Transport == config.UDP || t.Transport == "" {
		found.ready = true
		return found
	}
	var err error
	if found.home.peer, err = p.options.Engine.Peer(t); err == nil && p.options.Engine.Trunks().Trunk(t.Name) == t {
		found.home.peer = nil // Way knows it
	}
	if found.out.trunk == t {
		found.out = found.home
	}
	if err != nil {
		step("tls", func(*Step) finding {
			f := fails(TLSFailed, "the trunk's TLS files cannot be used: %v", err)
			f.fix = "correct tls.ca, tls.certificate and tls.key"
			return f
		})
		return found
	}
	var c *connected
	found.ready = step("connect", func(*Step) finding {
		var f finding
		c, f = p.connect(ctx, t, r.Timeout)
		return f
	})
	if c == nil {
		return found
	}
	defer c.close()
	found.home.nth = c.nth
	if found.out.trunk == t {
		found.out.nth = c.nth
	}
	if t.Transport == config.TLSTransport {
		peer, _ := p.options.Engine.Peer(t)
		found.ready = step("tls", func(*Step) finding {
			var f finding
			found.tls, f = c.handshake(ctx, peer, r.Timeout)
			return f
		})
	}
	return found
}

// job is the machine for the SIP that follows.
func (f *preparation) job(p *Prober, r Request, tell func(Step)) *job {
	j := newJob(p, r, f.home, f.out)
	j.sink = tell
	j.report.Started = f.started
	j.report.Steps = append(make([]Step, 0, len(f.steps)+4), f.steps...)
	j.report.Facts.TLS = f.tls
	return j
}

// report is that of a probe which ends before any SIP.
func (f *preparation) report(r Request) Report {
	out := Report{Started: f.started, Steps: f.steps, Duration: Duration(time.Since(f.started))}
	t := r.Trunk
	if t == nil {
		t = &trunks.Trunk{Trunk: *r.Config}
	}
	out.Trunk, out.Server, out.Transport = t.Name, t.Server.String(), string(t.Transport)
	out.Facts.Addresses, out.Facts.TLS = f.addresses, f.tls
	out.Checks = checks(out.Steps, r, t)
	out.Verdict = verdict(out.Checks)
	return out
}

// resolve finds the addresses of the trunk and says how, and refuses those that must
// not be tested.
func (p *Prober) resolve(ctx context.Context, r *Request) finding {
	walked := ""
	if r.Trunk == nil {
		t, how, err := p.build(ctx, *r.Config)
		if err != nil {
			return fails(NoAddress, "%v", err)
		}
		r.Trunk, walked = t, how
	}
	t := r.Trunk
	if len(t.Servers) == 0 {
		return fails(NoAddress, "%s has no address: %s", nextHop(t.Trunk), orElse(walked, "its name cannot be found"))
	}
	if r.Public {
		for _, trunk := range []*trunks.Trunk{t, r.dialOut()} {
			if i := slices.IndexFunc(trunk.Servers, func(a netip.AddrPort) bool { return Private(a.Addr()) }); i >= 0 {
				return fails(PrivateTarget, "%s is %s, which is not on the public network", nextHop(trunk.Trunk), trunk.Servers[i].Addr())
			}
		}
	}
	var all []string
	for _, a := range t.Servers {
		all = append(all, a.String())
	}
	over := strings.ToLower(string(t.Transport))
	if literal := nextHop(t.Trunk); len(all) == 1 && (literal.String() == all[0] || literal.Host == t.Servers[0].Addr().String()) {
		return passes("%s over %s", all[0], over)
	}
	return passes("%s is %s over %s%s", nextHop(t.Trunk), strings.Join(all, ", "), over, inBrackets(walked))
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func nextHop(t config.Trunk) config.HostPort {
	if !t.OutboundProxy.IsZero() {
		return t.OutboundProxy
	}
	return t.Server
}

// build makes a trunk of settings that are not in force, and tells how its server
// was found.
func (p *Prober) build(ctx context.Context, c config.Trunk) (*trunks.Trunk, string, error) {
	if c.Transport == "" {
		c.Transport = config.UDP
	}
	cfg := config.Config{Trunks: []config.Trunk{c}}
	names, how := trunks.Names{}, ""
	hop := nextHop(c)
	for _, h := range trunks.Hosts(cfg) {
		if p.options.Resolver == nil {
			continue
		}
		q := resolve.Query{Host: h.Name, Port: 5060} // the port is not looked at: it only means that there is one
		const by = "by its A and AAAA records"
		if h.Transport != "" {
			q = resolve.Query{Host: h.Name, Transport: h.Transport}
		}
		answer, err := p.options.Resolver.Resolve(ctx, q)
		switch {
		case h.Name != hop.Host:
		case errors.Is(err, resolve.ErrUnavailable):
			how = "no DNS server answers"
		case err != nil:
			how = err.Error()
		default:
			if how = by; h.Transport != "" {
				how = walked(answer.Targets)
			}
			if answer.Stale {
				how += "; the answer is old, since no DNS server answers"
			}
		}
		for _, t := range answer.Targets {
			names[h] = append(names[h], trunks.Server{Addr: t.Addr, Priority: t.Priority, Weight: t.Weight, Record: t.Server})
		}
	}
	s, err := trunks.Build(cfg, names)
	if err != nil {
		return nil, "", fmt.Errorf("the trunk's settings do not fit together: %w", err)
	}
	return s.Trunks[0], how, nil
}

// walked tells how a server without a port was found: by SRV records, whose
// priorities and weights say who is tried first, else by its addresses.
func walked(targets []resolve.Target) string {
	var records []string
	for _, t := range targets {
		if t.Priority != 0 || t.Weight != 0 {
			records = append(records, fmt.Sprintf("%s priority %d weight %d", t.Addr, t.Priority&0xffff, t.Weight))
		}
	}
	if len(records) == 0 {
		return "it has no SRV records with a priority: by its A and AAAA records, at the usual port"
	}
	return "by its SRV records: " + strings.Join(records, ", ")
}
