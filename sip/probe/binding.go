package probe

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"trunkline/sip/wire"
)

// binding is one of ours that a probe has made.
type binding struct {
	contact string   // ours
	before  []string // Contact values that the registrar had, each with what was left of it
}

const (
	bindFor   = 120 // seconds asked for, in case that taking it back fails
	mostBound = 8   // bindings that are remembered
)

// sendQuery asks what is bound, without changing it: a REGISTER without Contact
// (RFC 3261 §10.2.3) proves the credentials and leaves the binding of whoever
// uses the trunk now.
func (j *job) sendQuery(now time.Time) {
	j.begin(now, Credentials, "REGISTER")
	x := j.register()
	x.granted = j.learnBindings
	j.run(now, x, func(now time.Time, o outcome) {
		found := judgeRegister(o, j.judgement(j.home))
		j.step.proven = o.answered && found.verdict == Pass
		if o.err != nil || o.code >= 300 || !j.r.wants(Inbound) || j.wantsBinding() || len(j.r.Checks) == 0 && !j.inForce() {
			j.finish(now, found)
			return
		}
		j.close(now, found)
		j.begin(now, Inbound, "binding")
		j.finish(now, j.judgeBindings(x.contact))
	})
}

// wantsBinding: the probe is going to bind this host itself.
func (j *job) wantsBinding() bool { return j.r.Bind && j.r.Number != "" }

// inForce reports whether the trunk is one that the edge serves: its registration is
// the edge's own.
func (j *job) inForce() bool {
	t := j.home.way.trunk
	return j.p.options.Engine.Trunks().Trunk(t.Name) == t
}

// register is a REGISTER for the trunk's user.
func (j *job) register() *exchange {
	x := j.exchange(j.home, wire.REGISTER, j.r.Timeout)
	x.uri = j.uri(j.home, "")
	x.from = j.uri(j.home, user(j.home))
	x.to = x.from
	return x
}

// learnBindings keeps what the registrar says is bound.
func (j *job) learnBindings(m *wire.Message) {
	j.report.Facts.Bindings = nil
	for v := range m.Values(wire.HContact) {
		if len(j.report.Facts.Bindings) < mostBound {
			j.report.Facts.Bindings = append(j.report.Facts.Bindings, string(v))
		}
	}
}

// judgeBindings: is this host among what the registrar has?
func (j *job) judgeBindings(contact string) finding {
	bound := j.report.Facts.Bindings
	for _, b := range bound {
		if j.ours(b, contact) {
			return passes("the registrar has this host's binding: %s", b)
		}
	}
	switch {
	case j.inForce() && len(bound) > 0:
		return fails(NotRegistered, "the registrar has no binding of this host; it has %s", strings.Join(bound, ", "))
	case j.inForce():
		return fails(NotRegistered, "the registrar has no binding of this host, nor of any other")
	case len(bound) > 0:
		f := leavesOpen(NotRun, "calls go to %s now, as the registrar says", strings.Join(bound, ", "))
		f.fix = "save the trunk with register: true, or prove it by a dial-in: name a number and let the test bind"
		return f
	}
	f := leavesOpen(NotRun, "nobody is bound at the registrar yet")
	f.fix = "save the trunk with register: true, or prove it by a dial-in: name a number and let the test bind"
	return f
}

// ours reports whether a binding leads here: by our Contact's host and port, or by
// the address the carrier sees, since registrars behind NAT note that.
func (j *job) ours(bound, contact string) bool {
	b, err := wire.ParseAddress([]byte(bound))
	if err != nil {
		return false
	}
	u, err := wire.ParseURI(b.URI)
	if err != nil {
		return false
	}
	if c, err := wire.ParseAddress([]byte(contact)); err == nil {
		if o, err := wire.ParseURI(c.URI); err == nil && strings.EqualFold(string(o.Host), string(u.Host)) && portOr(o.Port) == portOr(u.Port) {
			return true
		}
	}
	seen, err := netip.ParseAddrPort(j.report.Facts.SeenAs)
	addr, ok := wire.HostAddr(u.Host)
	return err == nil && ok && seen.Addr() == addr && int(seen.Port()) == portOr(u.Port)
}

// portOr: registrars leave the usual ports out.
func portOr(port int) int {
	if port == 0 || port == 5061 {
		return 5060
	}
	return port
}

// sendBinding binds this host, so that the carrier sends its calls here.
func (j *job) sendBinding(now time.Time) {
	j.begin(now, Inbound, "bind")
	before := j.report.Facts.Bindings
	x := j.register()
	x.expires, x.granted = new(bindFor), j.learnBindings
	j.run(now, x, func(now time.Time, o outcome) {
		found := judgeRegister(o, j.judgement(j.home))
		if o.err == nil && o.code < 300 {
			j.bound = &binding{contact: x.contact}
			for _, b := range append(before, j.report.Facts.Bindings...) {
				if !j.ours(b, x.contact) && !j.remembers(b) {
					j.bound.before = append(j.bound.before, b)
				}
			}
			found = passes("this host is bound for %d s; it is taken back afterwards", bindFor)
			j.step.proven = o.answered
		}
		j.finish(now, found)
	})
}

// remembers: the same URI is among what was bound before.
func (j *job) remembers(b string) bool {
	for _, one := range j.bound.before {
		if uriOf(one) == uriOf(b) {
			return true
		}
	}
	return false
}

func uriOf(contact string) string {
	a, err := wire.ParseAddress([]byte(contact))
	if err != nil {
		return contact
	}
	return string(a.URI)
}

// sendRestore takes our binding back; what the registrar had before and has lost
// over it is bound again, for as long as it would have lasted.
func (j *job) sendRestore(now time.Time) {
	j.begin(now, Inbound, "restore")
	before := j.bound.before
	j.bound = nil
	x := j.register()
	x.expires, x.granted = new(0), j.learnBindings
	j.run(now, x, func(now time.Time, o outcome) {
		if o.err != nil || o.code >= 300 {
			f := judgeRegister(o, j.judgement(j.home))
			f.verdict = Inconclusive
			f.message = "the binding could not be taken back and ends by itself within " + strconv.Itoa(bindFor) + " s: " + f.message
			j.finish(now, f)
			return
		}
		var lost []string
		for _, b := range before {
			if !has(j.report.Facts.Bindings, b) {
				lost = append(lost, b)
			}
		}
		if len(lost) == 0 {
			j.finish(now, passes("this host's binding is taken back; what was bound before is as it was"))
			return
		}
		j.x = nil
		again := j.register()
		for _, b := range lost {
			again.lines += "Contact: " + b + "\r\n"
		}
		again.granted = j.learnBindings
		j.run(now, again, func(now time.Time, o outcome) {
			if o.err != nil || o.code >= 300 {
				f := judgeRegister(o, j.judgement(j.home))
				f.verdict, f.fix = Inconclusive, "register the other device again"
				f.message = "what was bound before could not be bound again (" + strings.Join(lost, ", ") + "): " + f.message
				j.finish(now, f)
				return
			}
			j.finish(now, passes("this host's binding is taken back, and %s is bound again", strings.Join(lost, ", ")))
		})
	})
}

func has(bound []string, one string) bool {
	for _, b := range bound {
		if uriOf(b) == uriOf(one) {
			return true
		}
	}
	return false
}
