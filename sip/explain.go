package sip

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"trunkline/config"
	"trunkline/sip/admit"
	"trunkline/sip/rewrite"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Gate is one thing that decides about a call before it is made: source, message, route. Target and limit say what it then
// goes to.
type Gate struct {
	Name   string
	Passed bool
	Why    string
}

// Explain says what would become of an INVITE that came from an address: the gates in order, up to the one that stops it. Nothing is
// sent or counted. text may have been pasted: line ends and the end of the header are mended.
func Explain(s *trunks.Snapshot, transport string, from netip.AddrPort, text []byte) (gates []Gate, taken bool) {
	return explainer{}.explain(s, transport, from, text)
}

// Explain is Explain with the state of the limits. s is the snapshot in force, or a part of it.
func (e *Edge) Explain(s *trunks.Snapshot, transport string, from netip.AddrPort, text []byte) (gates []Gate, taken bool) {
	return explainer{pace: e.paceNow, help: e.isEmergency, running: true, busy: e.behind.Load() > 0}.explain(s, transport, from, text)
}

// paceNow tells the state of a trunk's limit.
func (e *Edge) paceNow(t *trunks.Trunk) string {
	key := e.ways.Load().keys[t.Name]
	if key == nil {
		return ""
	}
	now := time.Now()
	stats := key.Stats(now)
	text := fmt.Sprintf("; %d went out in the last second, %d wait", stats.Used, stats.Counts.Waiting)
	if wait := key.Expected(now, t.Name).Sub(now); wait > 0 {
		text += fmt.Sprintf(", the next would go in %s", wait.Round(time.Millisecond))
	}
	return text
}

// explainer explains calls; its fields are what only a running edge knows.
type explainer struct {
	pace    func(t *trunks.Trunk) string // state of its limit; nil: unknown
	help    func(called []byte) bool     // whether it is a call for help; nil: only by URN
	running bool                         // what addresses have sent and tolls have used is known
	busy    bool                         // calls are refused because there are too many
}

func (x explainer) explain(s *trunks.Snapshot, transport string, from netip.AddrPort, text []byte) (gates []Gate, taken bool) {
	pass := func(name, format string, args ...any) {
		gates = append(gates, Gate{name, true, fmt.Sprintf(format, args...)})
	}
	stop := func(name, format string, args ...any) ([]Gate, bool) {
		return append(gates, Gate{name, false, fmt.Sprintf(format, args...)}), false
	}
	principal := s.Source(transport, from)
	if !principal.Known() {
		return stop("source", "%s; the caller hears 403", s.Unknown(transport, from).Detail())
	}
	pass("source", "%s over %s is %s", from, transport, principal)
	if state := principal.FloodNow(time.Now()); x.running && state != "" {
		pass("rate", "%s", state)
	}
	var m wire.Message
	if err := m.Parse(mended(text)); err != nil {
		broken, ok := errors.AsType[*wire.Error](err)
		switch {
		case !ok:
			return stop("message", "%v", err)
		case broken.Status == 0:
			return stop("message", "%s (%s); it is dropped", broken.Reason, broken.Cause)
		}
		return stop("message", "%s (%s); the caller hears %d", broken.Reason, broken.Cause, broken.Status)
	}
	if r := admit.Initial(&m); r != nil {
		return stop("message", "%s; the caller hears %d", r.Cause, r.Status)
	}
	if m.Method != wire.INVITE {
		pass("message", "%s is answered by the edge itself", m.Method)
		return gates, true
	}
	pass("message", "valid")
	called, _ := admit.Numbers(&m, true)
	if x.busy && !m.Has(wire.HReplaces) && !x.helps(called) {
		return stop("overload", "new calls wait longer than limits.overload_delay to be received; while they do the caller hears 503, an emergency call passes")
	}
	if principal.Trunk != nil {
		route, called, refusal := Inbound(s, principal.Trunk, transport, from, &m)
		if refusal != nil {
			return stop("route", "%v", refusal)
		}
		pass("route", "%s is number %s of trunk %s: inbound to agent %s", called, route.Number.E164, route.Trunk.Name, route.Agent.Name)
		for _, d := range route.Agent.Destinations {
			pass("target", "%s (priority %d, weight %d)", d.URI, d.Priority, d.Weight)
		}
		return gates, true
	}
	route, own, refusal := Outbound(s, principal.Agent, &m, x.helps(called))
	if refusal != nil {
		return stop("route", "%v", refusal)
	}
	if own != nil {
		pass("caller", "%s names no number that it may use; its own, %s, stands for it", principal.Agent.Name, own)
	}
	r := route.Barred(called)
	if r == nil && x.running {
		r = route.Agent.MaySpend(time.Now())
	}
	switch {
	case r != nil && x.helps(called):
		pass("toll", "an emergency call passes")
	case r != nil:
		return stop("toll", "%v; the caller hears 403", r)
	case x.running:
		if state := route.Agent.TollNow(time.Now()); state != "" {
			pass("toll", "%s", state)
		}
	}
	outbound, left := x.outbound(&m, route, called, own)
	gates = append(gates, outbound...)
	if !left {
		return stop("route", "no route is left; the caller hears 503")
	}
	return gates, true
}

// helps tells whether a call is one for help, which no limit holds up.
func (x explainer) helps(called []byte) bool {
	return admit.IsSOS(called) || x.help != nil && x.help(called)
}

// outbound tells of each route of a number, in the order in which they are taken, whether a call could take it now.
func (x explainer) outbound(m *wire.Message, route trunks.Route, called, own []byte) (gates []Gate, left bool) {
	n, now := route.Number, time.Now()
	order := make([]int, len(n.Routes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, _ := n.Rank(i)
		b, _ := n.Rank(j)
		return a - b
	})
	for _, i := range order {
		t := n.Routes[i]
		what := fmt.Sprintf("%s may use %s: outbound to %s over trunk %s", route.Agent.Name, n.E164, called, t.Name)
		if priority, weight := n.Rank(i); len(n.Routes) > 1 {
			what += fmt.Sprintf(" (priority %d, weight %d)", priority, weight)
		}
		reason := t.Usable(now)
		if reason == trunks.NoReason && t.Full() {
			reason = trunks.LimitChannels
		}
		if reason != trunks.NoReason {
			gates = append(gates, Gate{"route", false, what + ": passed over, " + trunks.Passed{Trunk: t, Reason: reason}.Detail()})
			continue
		}
		left = true
		gates = append(gates, Gate{"route", true, what}, Gate{"target", true, x.target(m, t, called, own)})
		if limit := t.CPSLimit; limit != nil {
			gates = append(gates, Gate{"limit", true, x.limit(t)})
		}
	}
	return gates, left
}

// target says where an INVITE would go and how called party and caller would be written there. own is the number that stands for the caller;
// nil: the caller names one.
func (x explainer) target(m *wire.Message, t *trunks.Trunk, called, own []byte) string {
	addrs := make([]string, len(t.Servers))
	for i, a := range t.Servers {
		addrs[i] = a.String()
		if t.ServerDown(time.Now(), i) {
			addrs[i] += " (down)"
		}
	}
	number := own
	if number == nil {
		_, number = admit.Numbers(m, true)
	}
	to := calledParty(t, t.Plan.Write([]byte(t.TechPrefix), called), isTel(m.URI)).AppendURI(nil)
	if admit.IsSOS(called) {
		to = called
	}
	user := shownCaller(t, m, number, own != nil)
	from := rewrite.AppendFrom(nil, m.From, callerParty(t, t.Plan.Write(nil, user)), rewrite.Private(m))
	return fmt.Sprintf("%s over %s, as %s from %s", strings.Join(addrs, ", "), t.Transport, to, from)
}

// limit says what the trunk's limit lets through, and its state where that is known.
func (x explainer) limit(t *trunks.Trunk) string {
	what := map[config.CPSOver]string{
		config.OverReject: "above it a call is refused", config.OverSpill: "above it a call takes the next route",
	}[t.CPSOver]
	if what == "" {
		what = fmt.Sprintf("waiting up to %s", t.CPSWait.D())
	}
	text := fmt.Sprintf("%v calls per second, %s", *t.CPSLimit, what)
	if x.pace == nil {
		return text
	}
	return text + x.pace(t)
}

// mended is text with CRLF line ends and an ended header.
func mended(text []byte) []byte {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if !bytes.Contains(text, []byte("\n\n")) {
		text = append(bytes.TrimRight(text, "\n"), "\n\n"...)
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
}
