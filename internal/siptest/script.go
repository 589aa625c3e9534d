package siptest

import (
	"context"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/sip/transport"
)

// script plays one flow.
type script struct {
	t       *testing.T
	flow    *flow
	config  config.Config
	net     *Network
	edge    Edge
	parties map[string]*party
	names   []string // left to right in the ladder
	vars    map[string]string
	norm    normaliser
	burst   bool
	update  bool
	changed bool
	quiet   bool // the last step already asserted silence
	loaded  func(part string) (config.Config, error)
}

const (
	// patience is how long an expected message may take: the 200 ms within which a 100 must be there (RFC 3261 §17.2.1) and
	// some room for timers that tick.
	patience = 250 * time.Millisecond
	// slack is how far from the stated moment a timed message may be.
	slack = 30 * time.Millisecond
	// ending is the silence after the last line: more than any transaction can last (64*T1).
	ending = 40 * time.Second
)

// play runs every step, then the comparisons at the end.
func (s *script) play(ctx context.Context) error {
	for _, step := range s.flow.steps {
		if err := ctx.Err(); err != nil {
			return s.flow.errAt(step.line, "the edge stopped: %v", context.Cause(ctx))
		}
		if err := s.step(step); err != nil {
			return s.flow.errAt(step.line, "%s: %v", step.text, err)
		}
		if faults := s.net.takeFaults(); len(faults) > 0 {
			return s.flow.errAt(step.line, "%s: %s", step.text, strings.Join(faults, "; "))
		}
	}
	if s.burst {
		return s.flow.errAt(s.flow.steps[len(s.flow.steps)-1].line, "burst without end")
	}
	if !s.quiet {
		if err := s.idle(ending, ""); err != nil {
			return fmt.Errorf("%s: after the last line: %w", s.flow.path, err)
		}
	}
	return s.compareOutcome()
}

func (s *script) step(step step) error {
	s.quiet = false
	switch step.verb {
	case send:
		return s.send(step)
	case expect, anyOrder:
		return s.expect(step)
	case maybe:
		return s.maybe(step)
	}
	return s.direct(step)
}

// direct obeys a directive.
func (s *script) direct(step step) error {
	args := step.args
	switch args[0] {
	case "wait":
		d, _ := time.ParseDuration(args[1])
		s.net.remark(step.text)
		time.Sleep(d)
	case "idle":
		d, _ := time.ParseDuration(args[1])
		only := ""
		if len(args) > 2 {
			only = args[2]
			if s.parties[only] == nil {
				return fmt.Errorf("no party %q", only)
			}
		}
		s.net.remark(step.text)
		err := s.idle(d, only)
		s.quiet = only == "" && d >= 32*time.Second
		return err
	case "burst":
		s.burst = true
	case "end":
		if !s.burst {
			return fmt.Errorf("no burst to end")
		}
		s.burst = false
		s.settle()
	case "latency":
		d, _ := time.ParseDuration(args[1])
		s.net.setLatency(d)
	case "behind":
		d, _ := time.ParseDuration(args[1])
		s.net.remark(step.text)
		s.net.SetBehind(d)
	case "set":
		s.vars[args[1]] = s.expand(args[2], nil, nil)
	case "lose", "duplicate":
		return s.addFault(args[0], 0, args[1:])
	case "delay":
		d, _ := time.ParseDuration(args[1])
		return s.addFault("delay", d, args[2:])
	case "edge":
		return s.command(args[1:])
	case "press", "talk", "hear":
		return s.media(args)
	default:
		p := s.parties[args[1]]
		if p == nil {
			return fmt.Errorf("no party %q", args[1])
		}
		s.net.remark(step.text)
		switch args[0] {
		case "silence":
			p.endpoint.setMode(silent)
		case "refuse":
			if len(args) > 2 && args[2] != "tcp" {
				return fmt.Errorf("want refuse PARTY or refuse PARTY tcp")
			}
			p.endpoint.setMode(map[bool]mode{true: refusingStreams, false: refusing}[len(args) > 2])
		case "listen":
			if len(args) > 2 {
				return p.endpoint.listenAt(args[2])
			}
			p.endpoint.setMode(listening)
		case "break":
			p.endpoint.breakConnections()
			s.settle()
		}
	}
	return nil
}

// addFault parses PARTY ARROW WHAT [METHOD] [xN].
func (s *script) addFault(kind string, d time.Duration, args []string) error {
	p := s.parties[args[0]]
	if p == nil {
		return fmt.Errorf("no party %q", args[0])
	}
	wanted := step{options: map[string]string{}, verb: expect}
	if err := wanted.parseWhat(args[2]); err != nil {
		return err
	}
	for _, word := range args[3:] {
		if err := wanted.parseOption(word); err != nil {
			return err
		}
	}
	if args[1] != "->" && args[1] != "<-" {
		return fmt.Errorf("%q is no direction", args[1])
	}
	r := &rule{endpoint: p.endpoint, toEdge: args[1] == "->", left: 1, lose: kind == "lose", delay: d}
	if kind == "duplicate" {
		r.copies = 1
	}
	switch n := wanted.options["times"]; n {
	case "":
	case "*":
		r.left = -1
	default:
		r.left, _ = strconv.Atoi(n)
	}
	r.match = func(b []byte) bool {
		m, err := parseMessage(b)
		return err == nil && wanted.what.matches(m) == ""
	}
	s.net.addRule(r)
	return nil
}

func (s *script) command(args []string) error {
	s.net.remark("edge " + strings.Join(args, " "))
	defer s.settle()
	switch {
	case args[0] == "reload" && len(args) == 2:
		e, ok := s.edge.(Reloader)
		if !ok {
			return fmt.Errorf("this edge cannot reload")
		}
		c, err := s.loaded(args[1])
		if err != nil {
			return err
		}
		return e.Reload(c)
	case args[0] == "drain" && len(args) == 1:
		e, ok := s.edge.(Drainer)
		if !ok {
			return fmt.Errorf("this edge cannot drain")
		}
		e.Drain()
		return nil
	}
	return fmt.Errorf("want edge reload PART.yaml or edge drain")
}

// settle lets what was sent arrive, the edge act on it, and its answers arrive.
func (s *script) settle() {
	if s.burst {
		return
	}
	s.net.mu.Lock()
	d := 2*s.net.latency + time.Millisecond
	s.net.mu.Unlock()
	time.Sleep(d)
}

// idle asserts that nothing is waiting and nothing comes for a while.
func (s *script) idle(d time.Duration, only string) error {
	start := time.Now()
	if err := s.nothingPending(start, only); err != nil {
		return err
	}
	time.Sleep(d)
	return s.nothingPending(start, only)
}

func (s *script) nothingPending(start time.Time, only string) error {
	for _, name := range s.names {
		if only != "" && name != only {
			continue
		}
		for _, a := range s.parties[name].endpoint.pending(time.Now()) {
			when := "was already there"
			if d := a.At.Sub(start); d > 0 {
				when = "came after " + d.String()
			}
			return fmt.Errorf("silence expected, but at %s %q %s", name, firstLine(a.Bytes), when)
		}
	}
	return nil
}

// addParty makes a party known.
func (s *script) addParty(name, user string, proto transport.Proto, addr netip.AddrPort) error {
	if name == "edge" {
		return fmt.Errorf("a party cannot be called edge")
	}
	if s.parties[name] != nil {
		return fmt.Errorf("two parties are called %s", name)
	}
	p := &party{name: name, user: user, calls: map[string]*call{}, last: time.Now()}
	if s.net.hosts[addr] != nil {
		return fmt.Errorf("two parties are at %s", addr)
	}
	p.endpoint = s.net.Endpoint(name, proto, addr)
	for _, l := range s.net.listeners {
		if l.Proto == proto && l.Addr.Addr().Is4() == addr.Addr().Is4() {
			p.edge = l.Addr
			break
		}
	}
	s.parties[name] = p
	s.names = append(s.names, name)
	return nil
}

var (
	atPlace  = regexp.MustCompile(`(@)([a-z][a-z0-9-]*)\b([.]?)`)
	uriPlace = regexp.MustCompile(`(\bsips?:)([a-z][a-z0-9-]*)\b([.@]?)`)
)

// expand replaces @edge, sip:edge, @PARTY and $variables. p and c give the variables of a call; both may be nil.
func (s *script) expand(text string, p *party, c *call) string {
	for _, place := range []*regexp.Regexp{atPlace, uriPlace} {
		text = place.ReplaceAllStringFunc(text, func(found string) string {
			m := place.FindStringSubmatch(found)
			if at := s.place(m[2], p); at != "" && m[3] == "" { // else a user or domain name that starts with a party's name
				return m[1] + at
			}
			return found
		})
	}
	return variableWord.ReplaceAllStringFunc(text, func(found string) string {
		if value, ok := s.variable(found[1:], p, c); ok {
			return value
		}
		return found
	})
}

// place is the host and port of the edge, as p would write it, or of a party; "" for any other word.
func (s *script) place(word string, p *party) string {
	switch q := s.parties[word]; {
	case q != nil:
		return q.endpoint.Addr.String()
	case word != "edge":
		return ""
	case p != nil && p.edge.IsValid():
		return s.sentBy(p.edge)
	}
	return s.net.listeners[0].SentBy
}

// sentBy is what the edge shows for a listener.
func (s *script) sentBy(at netip.AddrPort) string {
	for _, l := range s.net.listeners {
		if l.Addr == at {
			return l.SentBy
		}
	}
	return at.String()
}

// variableWord is $name, $party.name or $party#label.name.
var variableWord = regexp.MustCompile(`\$(?:[a-z][a-z0-9-]*(?:#[a-z0-9]+)?\.)?[a-z][a-z0-9]*`)

// variable looks up a captured value, then a fact of the call.
func (s *script) variable(name string, p *party, c *call) (string, bool) {
	if value, ok := s.vars[name]; ok {
		return value, true
	}
	if who, rest, ok := strings.Cut(name, "."); ok {
		who, label, _ := strings.Cut(who, "#")
		if label == "" {
			label = "1"
		}
		if p = s.parties[who]; p == nil {
			return "", false
		}
		c, name = p.calls[label], rest
	}
	if p == nil {
		return "", false
	}
	switch name {
	case "name":
		return p.name, true
	case "host":
		return p.host(), true
	case "family":
		if p.endpoint.Addr.Addr().Is6() {
			return "IP6", true
		}
		return "IP4", true
	case "addr":
		return p.endpoint.Addr.String(), true
	case "ip":
		return p.endpoint.Addr.Addr().String(), true
	case "user":
		return p.user, true
	}
	if c == nil {
		return "", false
	}
	return c.fact(name)
}

// fact is a value from the books of a call.
func (c *call) fact(name string) (string, bool) {
	d := c.dialog("")
	switch name {
	case "callid":
		return c.id, true
	case "cseq":
		return strconv.FormatUint(uint64(c.cseq), 10), true
	case "local":
		return c.local, true
	case "remote":
		return c.remote, true
	case "localtag":
		if d != nil {
			return d.localTag, true
		}
		return c.localTag, c.localTag != ""
	case "remotetag":
		if d != nil {
			return d.remoteTag, true
		}
		if len(c.received) > 0 {
			return c.received[0].request.fromTag(), true
		}
	case "target":
		if d != nil {
			return d.target, true
		}
	case "branch":
		if x := c.lastSent(""); x != nil {
			return x.request.branch(), true
		}
	case "via", "from", "to", "gotcseq", "gotbranch":
		if len(c.received) > 0 {
			m := c.received[len(c.received)-1].request
			return map[string]string{"via": m.get("Via"), "from": m.get("From"), "to": m.get("To"), "gotcseq": m.get("CSeq"), "gotbranch": m.branch()}[name], true
		}
	case "rseq":
		if d != nil {
			return d.rseq, true
		}
	}
	return "", false
}
