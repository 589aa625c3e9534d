package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Engine sends what a probe asks for; *sip.Edge is one.
type Engine interface {
	Send(ctx context.Context, key uint64, o sip.Outside) (*sip.Sent, error)
	Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool)
}

var (
	errNoWay       = errors.New("the server has no address, or no listener suits it")
	errInterrupted = errors.New("the test was interrupted")
	errBare        = errors.New("challenged")
)

// run is one probe under way.
type run struct {
	Request
	engine  Engine
	trunk   *trunks.Trunk
	cache   *digest.Cache // used on one shard only
	key     uint64
	timeout time.Duration
	report  Report
	mu      sync.Mutex // guards the messages of the step under way
}

// probe runs the steps of a request one after the other.
func probe(ctx context.Context, e Engine, o Request) Report {
	t := o.Trunk
	r := &run{Request: o, engine: e, trunk: t, key: rand.Uint64(), timeout: o.Timeout,
		cache: digest.NewCache(digest.Credentials{Username: t.AuthUser, Password: t.AuthPassword.Reveal(), Realm: t.Realm}, 0)}
	if r.timeout == 0 {
		r.timeout = 5 * time.Second
	}
	r.report = Report{Trunk: t.Name, Server: t.Server.String(), Transport: string(t.Transport), Started: time.Now().UTC()}
	if r.step(ctx, "", "resolve", r.resolve).Verdict == Pass {
		r.step(ctx, "", "OPTIONS", r.askOptions)
		refused := false
		if t.Register && ctx.Err() == nil {
			refused = r.step(ctx, Credentials, "REGISTER", r.register).Code == WrongPassword
		}
		if o.To != "" && ctx.Err() == nil && !refused { // a second refusal may lock the account
			r.step(ctx, Outbound, "INVITE", r.invite)
		}
	}
	r.report.Duration = Duration(time.Since(r.report.Started))
	r.report.Checks = checks(r.report.Steps, o)
	r.report.Verdict = verdict(r.report.Checks)
	return r.report
}

// step does one step and keeps its result.
func (r *run) step(ctx context.Context, check Check, name string, do func(context.Context, *Step)) Step {
	s := &Step{Check: check, Name: name, At: time.Now().UTC()}
	do(ctx, s)
	s.Duration = Duration(time.Since(s.At))
	r.mu.Lock()
	kept := *s
	r.mu.Unlock()
	r.report.Steps = append(r.report.Steps, kept)
	if r.Progress != nil {
		r.Progress(kept)
	}
	return kept
}

func (r *run) resolve(_ context.Context, s *Step) {
	flow, _, ok := r.engine.Way(r.trunk, 0)
	if !ok {
		s.failed(Fail, NoAddress, "%s has no usable address", r.trunk.Server)
		return
	}
	s.Verdict = Pass
	s.Message = fmt.Sprintf("%s is %s over %s", r.trunk.Server, flow.Remote, strings.ToLower(flow.Proto.String()))
}

// askOptions: RFC 3261 §11. Any answer shows that the carrier is there, a challenge
// too, which is not worth a try of the password; silence shows nothing.
func (r *run) askOptions(ctx context.Context, s *Step) {
	x := newExchange(r, s, wire.OPTIONS)
	x.uri, x.to, x.from = r.uri(""), r.uri(""), r.user()
	x.timeout, x.bare = min(r.timeout, 2*time.Second), true
	o := x.do(ctx)
	switch {
	case o.err != nil:
		r.silent(s, o.err)
		s.Verdict = Inconclusive
	default:
		s.Verdict, s.Status = Pass, o.code
		s.Message = fmt.Sprintf("the carrier answers: %d %s", o.code, o.reason)
	}
}

// register asks what is bound, without changing it: a REGISTER without Contact
// (RFC 3261 §10.2.3) proves the credentials and leaves the binding of whoever
// uses the trunk now.
func (r *run) register(ctx context.Context, s *Step) {
	x := newExchange(r, s, wire.REGISTER)
	x.uri, x.from, x.to = r.uri(""), r.user(), r.uri(r.user())
	r.judge(s, "REGISTER", x.do(ctx))
}

// invite asks for a call and gives it up as soon as the carrier has taken it up:
// nothing rings, nothing is charged.
func (r *run) invite(ctx context.Context, s *Step) {
	x := newExchange(r, s, wire.INVITE)
	x.uri = r.To
	if !strings.HasPrefix(x.uri, "sip:") && !strings.HasPrefix(x.uri, "sips:") {
		x.uri = r.uri(x.uri)
	}
	x.to, x.from, x.cancel = x.uri, r.From, true
	if x.from == "" {
		x.from = r.user()
	}
	flow, _, _ := r.engine.Way(r.trunk, 0)
	x.body = silence(flow)
	o := x.do(ctx)
	s.proven = o.answered && !o.again && o.challenge == nil
	switch {
	case o.err == errInterrupted:
		r.silent(s, o.err)
	case o.err != nil && o.taken:
		s.Verdict, s.Message = Pass, "the carrier takes the call up; it was given up at once, and the carrier did not confirm that"
	case o.err != nil && o.trying:
		s.failed(Inconclusive, NoResponse, "the carrier has the call (100 Trying), but neither rang nor refused it in time; it was given up")
	case o.err == nil && o.code < 300:
		s.Verdict, s.Status = Pass, o.code
		s.Message = fmt.Sprintf("the carrier answers at once (%d %s); the call was ended", o.code, o.reason)
	case o.code == 487, o.code == 486, o.code == 480, o.code == 600:
		s.Verdict, s.Status = Pass, o.code
		s.Message = fmt.Sprintf("the carrier takes the call up (%d %s); it was given up at once", o.code, o.reason)
	default:
		r.judge(s, "INVITE", o)
	}
}

// silence is an offer nobody will send media to: the call is given up before.
func silence(f transport.Flow) string {
	family, address := "IP4", "0.0.0.0"
	if f.Remote.Addr().Is6() {
		family, address = "IP6", "::"
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN %s %s\r\ns=-\r\nc=IN %[1]s %[2]s\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=inactive\r\n", family, address)
}

// judge turns how a request ended into a verdict.
func (r *run) judge(s *Step, method string, o outcome) {
	s.Status = o.code
	s.proven = o.answered && o.challenge == nil && o.err == nil
	switch {
	case o.err != nil:
		r.silent(s, o.err)
	case o.challenge != nil:
		s.failed(Fail, challengeCause(o.challenge), "%d %s: %v", o.code, o.reason, o.challenge)
	case o.code < 300:
		s.Verdict, s.Message = Pass, fmt.Sprintf("%d %s", o.code, o.reason)
	case o.code == 403 && method == "REGISTER" && o.answered: // how many registrars refuse a password
		s.failed(Fail, WrongPassword, "the carrier refuses the credentials: %d %s", o.code, o.reason)
	default:
		s.failed(Fail, statusCause(method, o.code), "the carrier refuses: %d %s", o.code, o.reason)
	}
}

func (r *run) silent(s *Step, err error) {
	switch {
	case err == errInterrupted:
		s.failed(Inconclusive, Interrupted, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		s.failed(Fail, NoResponse, "no answer")
	case errors.Is(err, sip.ErrSilent):
		s.failed(Fail, NoResponse, "no answer: %v", err)
	default:
		s.failed(Fail, Unreachable, "no answer: %v", err)
	}
}

func (r *run) uri(user string) string {
	if user == "" {
		return "sip:" + r.trunk.Domain
	}
	return "sip:" + user + "@" + r.trunk.Domain
}

// user is the trunk's user as it stands in a URI.
func (r *run) user() string {
	if r.trunk.AuthUser != "" {
		return string(wire.AppendUser(nil, r.trunk.AuthUser))
	}
	return "trunkline"
}
