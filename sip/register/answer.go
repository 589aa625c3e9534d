package register

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

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

// failed takes the end of a REGISTER without a response.
func (r *registration) failed(now time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Code, r.status.Server = 0, r.try.server
	cause := r.told(err)
	if r.another(cause) {
		go r.send() // as above
		return
	}
	r.retry(now, Unreachable, 0, cause, 0)
	r.over()
}

// told says why no response came, and from where.
func (r *registration) told(err error) string {
	text := err.Error()
	if !errors.Is(err, sip.ErrFailed) || strings.Contains(text, r.try.server.String()) {
		return text
	}
	if text == "timeout" {
		text = "no answer"
	}
	return fmt.Sprintf("%s over %s: %s", r.try.server, r.try.flow.Proto, text)
}

// another moves on to a server that was not asked in this try, and reports whether
// there is one. r.mu is held.
func (r *registration) another(cause string) bool {
	nth := slices.Index(r.trunk.Servers, r.try.server)
	if nth < 0 || nth >= 64 || r.ask == 0 {
		return false
	}
	r.try.tried |= 1 << nth
	if r.choose() < 0 {
		return false
	}
	r.log(false, "registration: the next server is asked", "server", r.try.server, "cause", cause)
	r.try.server, r.try.attempt = netip.AddrPort{}, digest.Attempt{}
	return true
}

// over ends a try, and begins the next one where that cannot wait. r.mu is held.
func (r *registration) over() {
	r.busy = false
	switch {
	case r.stopping && r.try.asked > 0 && r.bound():
		go r.register() // as above
	case r.stopping:
		r.end()
	case r.changed:
		r.changed = false
		r.plan(0)
	}
}

// take changes the state by a final response, and reports whether a REGISTER is to
// be sent at once: again, or to another server. r.mu is held.
func (r *registration) take(now time.Time, m *wire.Message) (again bool) {
	r.status.Code, r.status.Server = m.Status, r.try.server
	says := fmt.Sprintf("the registrar answers %d %s", m.Status, m.Reason)
	switch {
	case m.Status < 300:
		r.cache.Accepted(now, m)
		return r.accepted(now, m)
	case m.Status == 401 || m.Status == 407:
		err := r.cache.Challenged(now, m, &r.try.attempt)
		if err == nil {
			return true
		}
		r.forgetChallenges() // else the next try would begin with a wrong answer
		r.refused(now, AuthFailed, m, unauthorized(err))
	case m.Status == 423 && r.try.asked > 0: // RFC 3261 §10.2.8
		least, ok := m.Number(wire.HMinExpires)
		longer := time.Duration(least) * time.Second
		if ok && longer > r.try.asked && r.try.raised < maxRaised {
			r.ask = longer
			r.try.raised++
			return true
		}
		r.refused(now, Rejected, m, "423 without a larger Min-Expires")
	case m.Status == 408 || m.Status >= 500 && m.Status < 600:
		if r.another(says) {
			return true
		}
		r.refused(now, Rejected, m, says)
	case r.try.drop != "" && m.Status != 403: // the old Contact will run out by itself
		r.try.single = true
		return true
	default:
		r.refused(now, Rejected, m, says)
	}
	return false
}

// unauthorized says why a challenge is not answered, or not once more.
func unauthorized(err error) string {
	switch {
	case errors.Is(err, digest.ErrLoop):
		return "the registrar calls every nonce stale at once, fresh ones too"
	case errors.Is(err, digest.ErrRejected):
		return "the registrar refuses auth_user or auth_password"
	case errors.Is(err, digest.ErrRealm):
		return "the registrar asks for another realm than the trunk's"
	}
	return "the registrar's challenge cannot be answered: " + err.Error()
}

// accepted takes a 2xx. It asks for another REGISTER when that shows our address
// to be another than the one in our Contact (RFC 3581 §4, RFC 5626 §4.2). r.mu is held.
func (r *registration) accepted(now time.Time, m *wire.Message) (again bool) {
	r.failures, r.failing = 0, ""
	if r.try.asked == 0 {
		r.status.Expires = time.Time{}
		r.held, r.at = "", netip.AddrPort{}
		r.holdOpen(false)
		r.keeper.counted(r.trunk.Name, "unregistered")
		return false
	}
	granted := granted(m, r.try.contact, r.try.asked)
	if granted == 0 {
		r.retry(now, Rejected, m.Status, "the registrar granted no time", 0)
		return false
	}
	r.held, r.at, r.flow = r.try.contact, r.try.server, r.try.flow
	r.status.Expires, r.status.Routes = now.Add(granted), routesOf(m)
	if r.stopping {
		return false
	}
	refresh := refreshAfter(granted, rand.Float64())
	if nth := slices.Index(r.trunk.Servers, r.at); nth >= 0 && r.trunk.Better(nth) != 0 {
		refresh = returnAfter(refresh, rand.Float64())
	}
	r.plan(refresh)
	r.enter(now, Registered, "")
	r.keeper.engine.Bound(r.trunk.Name, &sip.Binding{Server: r.at, Seen: r.seen, Routes: r.status.Routes})
	seen := r.keeper.engine.Seen(r.try.flow, m)
	if seen != r.seen && !r.try.moved && !r.changed {
		r.seen, r.try.moved, r.try.attempt = seen, true, digest.Attempt{}
		return true
	}
	r.holdOpen(r.seen.IsValid() && r.flow.Proto == transport.UDP)
	r.keeper.granted(r.trunk.Name, now.Sub(r.try.began))
	return false
}

// routesOf returns the values of Service-Route that can stand in a Route (RFC 3608).
func routesOf(m *wire.Message) (routes []string) {
	for v := range m.Values(wire.HServiceRoute) {
		if a, err := wire.ParseAddress(v); err == nil && len(routes) < maxRoutes {
			if _, err := wire.ParseURI(a.URI); err == nil {
				routes = append(routes, string(v))
			}
		}
	}
	return routes
}

// maxRoutes bounds the Service-Route that is kept.
const maxRoutes = 8

func (r *registration) refused(now time.Time, s State, m *wire.Message, cause string) {
	seconds, _ := m.Number(wire.HRetryAfter)
	r.retry(now, s, m.Status, cause, time.Duration(seconds)*time.Second)
}

// retry plans the next try after a failure. A binding outlives silence and errors
// of the registrar, but not its refusal. r.mu is held.
func (r *registration) retry(now time.Time, s State, code int, cause string, asked time.Duration) {
	r.failures++
	r.keeper.counted(r.trunk.Name, string(s))
	if !r.stopping {
		r.plan(retryAfter(s, code, r.failures, asked, rand.Float64()))
	}
	passing := s == Unreachable || code == 408 || code >= 500 && code < 600
	if passing && now.Before(r.status.Expires) {
		if r.failing == "" {
			r.log(false, "registration could not be refreshed; it holds until it runs out", "state", string(s), "code", code, "cause", cause,
				"expires_in", r.status.Expires.Sub(now).Round(time.Second))
		}
		r.failing, r.status.Cause = s, cause
		return
	}
	r.failing, r.status.Expires, r.status.Routes = "", time.Time{}, nil
	r.held, r.at = "", netip.AddrPort{}
	r.holdOpen(false)
	r.enter(now, s, cause)
	if !r.stopping {
		r.keeper.engine.Bound(r.trunk.Name, nil)
	}
}

// enter changes the state. What is new of it is logged: the state, the code, the
// server that a trunk is registered at, its Contact there. r.mu is held.
func (r *registration) enter(now time.Time, s State, cause string) {
	was := r.status
	if r.status.State, r.status.Cause = s, cause; was.State != s {
		r.status.Since = now
	}
	news := was.State != s || s != Registered && r.logged.code != r.status.Code ||
		s == Registered && (r.logged.server != r.at || r.logged.contact != r.held)
	r.logged.code, r.logged.server, r.logged.contact = r.status.Code, r.at, r.held
	if !news {
		return
	}
	args := []any{"state", string(s)}
	if r.status.Code > 0 {
		args = append(args, "code", r.status.Code)
	}
	if r.status.Server.IsValid() {
		args = append(args, "server", r.status.Server)
	}
	if s == Registered {
		args = append(args, "contact", r.held, "expires_in", r.status.Expires.Sub(now).Round(time.Second))
	} else {
		args = append(args, "cause", cause)
	}
	if !r.stopping {
		args = append(args, "next_in", r.status.Next.Sub(now).Round(time.Second))
	}
	r.log(s == Registered, "registration", args...)
}

func (r *registration) log(good bool, text string, args ...any) {
	log := r.keeper.log.Warn
	if good {
		log = r.keeper.log.Info
	}
	log(text, append([]any{"trunk", r.trunk.Name}, args...)...)
}
