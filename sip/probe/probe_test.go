package probe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/config"
	"trunkline/internal/siptest"
	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/probe"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// updating: -update, which package siptest defines, rewrites the reports in testdata.
func updating() bool { return flag.Lookup("update").Value.String() == "true" }

var (
	edgeAt    = netip.MustParseAddrPort("192.0.2.1:5060")
	carrierAt = netip.MustParseAddrPort("192.0.2.20:5060")
)

// world is an edge that probes, and a carrier that follows a script.
type world struct {
	*testing.T
	edge    *sip.Edge
	trunk   *trunks.Trunk
	carrier *siptest.Endpoint
	got     []*wire.Message // by the carrier, in order
	guard   *digest.Server
}

// says is what a carrier does on a request.
type says func(w *world, m *wire.Message)

// trunkYAML of most tests; without credentials: known by address.
const (
	withCredentials = `auth_user: alice, auth_password: secret`
	byAddress       = ``
)

// probed runs one probe against a carrier that answers each method as told; a method without an answer meets silence.
func probed(t *testing.T, credentials string, script map[wire.Method]says, o probe.Request, look func(w *world, r probe.Report)) {
	t.Helper()
	inWorld(t, credentials, script, func(w *world) {
		report := w.run(w.Context(), o)
		time.Sleep(40 * time.Second) // whatever the probe left behind shows by then
		look(w, report)
	})
}

// run probes the world's trunk. A request with the provider "register" makes the trunk one that registers.
func (w *world) run(ctx context.Context, r probe.Request) probe.Report {
	t := w.trunk
	if r.Provider == "register" {
		other := *w.trunk
		other.Register, r.Provider = true, ""
		t = &other
	}
	r.Trunk = t
	report, err := probe.New(probe.Options{Engine: w.edge, Dial: nobodyListens}).Run(ctx, r)
	if err != nil {
		w.Fatal(err)
	}
	return report
}

// nobodyListens: real connections have no place in a bubble.
func nobodyListens(context.Context, string, string) (net.Conn, error) {
	return nil, syscall.ECONNREFUSED
}

func inWorld(t *testing.T, credentials string, script map[wire.Method]says, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		body := `trunks: [{name: carrier, domain: carrier.example, ` + credentials + `}]`
		if !strings.Contains(credentials, "server:") {
			body = strings.Replace(body, "name: carrier", `name: carrier, server: "192.0.2.20:5060"`, 1)
		}
		c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=sip: {listen: [\"udp://192.0.2.1:5060\"]}\n" + body})
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := trunks.Build(c, nil)
		if err != nil {
			t.Fatal(err)
		}
		net := siptest.NewNetwork(siptest.NetworkOptions{Listeners: []transport.Listener{{Proto: transport.UDP, Addr: edgeAt, Local: edgeAt, SentBy: edgeAt.String()}}})
		w := &world{T: t, trunk: snapshot.Trunks[0], guard: guardOf("secret")}
		if script != nil {
			w.carrier = net.Endpoint("carrier", transport.UDP, carrierAt)
		}
		if w.edge, err = sip.New(sip.Options{Network: net, Trunks: snapshot}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended, carried := make(chan struct{}), make(chan struct{})
		go func() { w.edge.Run(ctx); close(ended) }()        // ends with stop
		go func() { w.carry(ctx, script); close(carried) }() // as well
		play(w)
		stop()
		<-ended
		<-carried
		net.Close()
	})
}

// carry is the carrier.
func (w *world) carry(ctx context.Context, script map[wire.Method]says) {
	for w.carrier != nil && ctx.Err() == nil {
		a, ok := w.carrier.Receive(100 * time.Millisecond)
		if !ok {
			continue
		}
		m := new(wire.Message)
		if err := m.Parse(bytes.Clone(a.Bytes)); err != nil {
			w.Errorf("%v in\n%s", err, a.Bytes)
			continue
		}
		if !m.IsRequest() {
			if do := script[wire.Unknown]; do != nil {
				do(w, m)
			}
			continue
		}
		w.got = append(w.got, m)
		if do := script[m.Method]; do != nil {
			do(w, m)
		}
	}
}

// answer answers a request with these header lines beside the usual ones.
func (w *world) answer(m *wire.Message, status int, lines ...string) {
	b := wire.AppendResponse(nil, m, status, "", []byte("carrier"), edgeAt)
	if status > 100 && m.Method == wire.INVITE {
		b = append(b, "Contact: <sip:gateway@192.0.2.20:5060>\r\n"...)
	}
	for _, line := range lines {
		b = append(append(b, line...), "\r\n"...)
	}
	if err := w.carrier.Send(edgeAt, wire.AppendBody(b, "", nil)); err != nil {
		w.Error(err)
	}
}

// with answers every request alike.
func with(status int, lines ...string) says {
	return func(w *world, m *wire.Message) { w.answer(m, status, lines...) }
}

// challenging asks for alice's password before it goes on.
func challenging(then says) says {
	return func(w *world, m *wire.Message) {
		if _, err := w.guard.Check(time.Now(), m, edgeAt.Addr()); err != nil {
			lines := strings.TrimSuffix(string(w.guard.AppendChallenge(nil, time.Now(), edgeAt.Addr(), false)), "\r\n")
			w.answer(m, 401, lines)
			return
		}
		then(w, m)
	}
}

// ringing takes a call up and, once it is cancelled, ends it as the RFC has it.
func ringing(script map[wire.Method]says) map[wire.Method]says {
	var invite *wire.Message
	script[wire.INVITE] = orChallenge(script[wire.INVITE], func(w *world, m *wire.Message) {
		invite = m
		w.answer(m, 100)
		time.Sleep(300 * time.Millisecond)
		w.answer(m, 183)
	})
	script[wire.CANCEL] = func(w *world, m *wire.Message) {
		w.answer(m, 200)
		w.answer(invite, 487)
	}
	return script
}

func orChallenge(first, then says) says {
	if first == nil {
		return then
	}
	return challenging(then)
}

// received is what the carrier has received so far.
func (w *world) received() []*wire.Message {
	synctest.Wait()
	return w.got
}

// guardOf checks alice's password.
func guardOf(password string) *digest.Server {
	return digest.NewServer(digest.ServerOptions{Realm: "carrier.example", Algorithms: []digest.Algorithm{digest.MD5},
		Secret: func(user string, a digest.Algorithm) ([]byte, bool) {
			return digest.AppendSecret(nil, a, "alice", "carrier.example", password), user == "alice"
		}})
}

// methods lists what the carrier received, without copies.
func (w *world) methods() string {
	var all []string
	seen := map[string]bool{}
	for _, m := range w.received() {
		name := string(m.MethodName)
		if key := name + string(m.Via.Branch); seen[key] {
			continue
		} else {
			seen[key] = true
		}
		if m.Has(wire.HAuthorization) || m.Has(wire.HProxyAuthorization) {
			name += "+auth"
		}
		all = append(all, name)
	}
	return strings.Join(all, " ")
}

// verdicts lists steps and checks: "OPTIONS=pass REGISTER=fail/wrong_password; credentials_valid=fail/…".
func verdicts(r probe.Report) string {
	one := func(name string, v probe.Verdict, c probe.Cause) string {
		if c != "" {
			return fmt.Sprintf("%s=%s/%s", name, v, c)
		}
		return fmt.Sprintf("%s=%s", name, v)
	}
	var steps, checks []string
	for _, s := range r.Steps {
		if s.Name != "resolve" || s.Verdict != probe.Pass {
			steps = append(steps, one(s.Name, s.Verdict, s.Code))
		}
	}
	for _, c := range r.Checks {
		checks = append(checks, one(string(c.Check), c.Verdict, c.Code))
	}
	return strings.Join(steps, " ") + "; " + strings.Join(checks, " ")
}

func TestProbe(t *testing.T) {
	registering := probe.Request{Provider: "register"}
	calling := probe.Request{To: "+14155550100", From: "+15550001234"}
	both := probe.Request{Provider: "register", To: "+14155550100", From: "+15550001234"}
	there := with(200)
	for _, test := range []struct {
		name        string
		credentials string
		o           probe.Request
		script      map[wire.Method]says
		want        string // verdicts
		methods     string // that the carrier received
		passed      bool
	}{
		{"right password", withCredentials, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: challenging(with(200))},
			"OPTIONS=pass REGISTER=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER REGISTER+auth", true},
		{"wrong password is sent once, and the call not tried", `auth_user: alice, auth_password: other`, both, map[wire.Method]says{wire.OPTIONS: challenging(there), wire.REGISTER: challenging(with(200)), wire.INVITE: challenging(with(200))},
			"OPTIONS=pass REGISTER=fail/wrong_password; credentials_valid=fail/wrong_password inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER REGISTER+auth", false},
		{"wrong password, refused with 403", `auth_user: alice, auth_password: other`, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: func(w *world, m *wire.Message) {
			if m.Has(wire.HAuthorization) {
				w.answer(m, 403)
				return
			}
			challenging(with(200))(w, m)
		}},
			"OPTIONS=pass REGISTER=fail/wrong_password; credentials_valid=fail/wrong_password inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER REGISTER+auth", false},
		{"no credentials where they are wanted", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: challenging(with(200))},
			"OPTIONS=pass INVITE=fail/missing_credentials; credentials_valid=fail/missing_credentials inbound_reachable=skipped/not_run outbound_authorized=fail/missing_credentials", "OPTIONS INVITE ACK", false},
		{"another realm", withCredentials + ", realm: here", registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: challenging(with(200))},
			"OPTIONS=pass REGISTER=fail/wrong_realm; credentials_valid=fail/wrong_realm inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER", false},
		{"an algorithm we lack", withCredentials, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: with(401, `WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA3-512, qop="auth"`)},
			"OPTIONS=pass REGISTER=fail/unsupported_digest; credentials_valid=fail/unsupported_digest inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER", false},
		{"stale once", withCredentials, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: func() says {
			stale := true
			return func(w *world, m *wire.Message) {
				if m.Has(wire.HAuthorization) && stale {
					stale = false
					w.answer(m, 401, strings.TrimSpace(string(w.guard.AppendChallenge(nil, time.Now(), edgeAt.Addr(), true))))
					return
				}
				challenging(with(200))(w, m)
			}
		}()},
			"OPTIONS=pass REGISTER=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER REGISTER+auth REGISTER+auth", true},
		{"an unknown user", withCredentials, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: with(404)},
			"OPTIONS=pass REGISTER=fail/unknown_user; credentials_valid=fail/unknown_user inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER", false},
		{"403 to an address that is not on the list", byAddress, calling, map[wire.Method]says{wire.OPTIONS: with(403), wire.INVITE: with(403)},
			"OPTIONS=pass INVITE=fail/ip_not_allowed; credentials_valid=fail/ip_not_allowed inbound_reachable=skipped/not_run outbound_authorized=fail/ip_not_allowed", "OPTIONS INVITE ACK", false},
		{"403 behind the challenge says nothing of the password", withCredentials, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: challenging(with(403))},
			"OPTIONS=pass INVITE=fail/forbidden; credentials_valid=inconclusive/forbidden inbound_reachable=skipped/not_run outbound_authorized=fail/forbidden", "OPTIONS INVITE ACK INVITE+auth ACK", false},
		{"404 behind the challenge proves the password", withCredentials, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: challenging(with(404))},
			"OPTIONS=pass INVITE=fail/number_not_found; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=fail/number_not_found", "OPTIONS INVITE ACK INVITE+auth ACK", false},
		{"404 before any challenge proves nothing", withCredentials, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: with(404)},
			"OPTIONS=pass INVITE=fail/number_not_found; credentials_valid=inconclusive/number_not_found inbound_reachable=skipped/not_run outbound_authorized=fail/number_not_found", "OPTIONS INVITE ACK", false},
		{"503", withCredentials, both, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: with(503), wire.INVITE: with(503)},
			"OPTIONS=pass REGISTER=fail/unavailable INVITE=fail/unavailable; credentials_valid=inconclusive/unavailable inbound_reachable=skipped/not_run outbound_authorized=fail/unavailable", "OPTIONS REGISTER INVITE ACK", false},
		{"500", withCredentials, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: with(500)},
			"OPTIONS=pass REGISTER=fail/server_error; credentials_valid=inconclusive/server_error inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER", false},
		{"taken without a challenge proves no password", withCredentials, registering, map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: with(200)},
			"OPTIONS=pass REGISTER=inconclusive/not_challenged; credentials_valid=inconclusive/not_challenged inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run", "OPTIONS REGISTER", false},
		{"REGISTER without, INVITE with a challenge", withCredentials, both, ringing(map[wire.Method]says{wire.OPTIONS: there, wire.REGISTER: with(200), wire.INVITE: challenging(nil)}),
			"OPTIONS=pass REGISTER=inconclusive/not_challenged INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS REGISTER INVITE ACK INVITE+auth CANCEL ACK", true},
		{"known by address", byAddress, calling, ringing(map[wire.Method]says{wire.OPTIONS: there}),
			"OPTIONS=pass INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS INVITE CANCEL ACK", true},
		{"OPTIONS ignored, INVITE taken", withCredentials, calling, ringing(map[wire.Method]says{wire.INVITE: challenging(nil)}),
			"OPTIONS=inconclusive/no_response INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS INVITE ACK INVITE+auth CANCEL ACK", true},
		{"busy is taken up", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: with(486)},
			"OPTIONS=pass INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS INVITE ACK", true},
		{"answered at once", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: with(200), wire.BYE: with(200)},
			"OPTIONS=pass INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS INVITE ACK BYE", true},
		{"answered though it was given up", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.BYE: with(200), wire.CANCEL: with(200),
			wire.INVITE: func(w *world, m *wire.Message) {
				w.answer(m, 183)
				time.Sleep(5 * time.Millisecond)
				w.answer(m, 200)
			}},
			"OPTIONS=pass INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS INVITE CANCEL ACK BYE", true},
		{"it rings, and the CANCEL is never answered", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: with(180)},
			"OPTIONS=pass INVITE=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=pass", "OPTIONS INVITE CANCEL", true},
		{"100 alone is no yes", withCredentials, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: with(100), wire.CANCEL: with(200)},
			"OPTIONS=pass INVITE=inconclusive/no_response; credentials_valid=inconclusive/no_response inbound_reachable=skipped/not_run outbound_authorized=inconclusive/no_response", "OPTIONS INVITE CANCEL", false},
		{"100, then a refusal", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: func(w *world, m *wire.Message) {
			w.answer(m, 100)
			time.Sleep(time.Second)
			w.answer(m, 403)
		}},
			"OPTIONS=pass INVITE=fail/forbidden; credentials_valid=fail/forbidden inbound_reachable=skipped/not_run outbound_authorized=fail/forbidden", "OPTIONS INVITE ACK", false},
		{"100, then the challenge", withCredentials, calling, map[wire.Method]says{wire.OPTIONS: there, wire.INVITE: func(w *world, m *wire.Message) {
			w.answer(m, 100)
			time.Sleep(time.Second)
			challenging(with(404))(w, m)
		}},
			"OPTIONS=pass INVITE=fail/number_not_found; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=fail/number_not_found", "OPTIONS INVITE ACK INVITE+auth ACK", false},
		{"silence", withCredentials, both, map[wire.Method]says{},
			"OPTIONS=inconclusive/no_response REGISTER=fail/no_response look around=inconclusive/no_response; credentials_valid=fail/no_response inbound_reachable=fail/no_response outbound_authorized=fail/no_response", "OPTIONS REGISTER", false},
		{"a call that the carrier takes up too late is cancelled", byAddress, calling, map[wire.Method]says{wire.OPTIONS: there, wire.CANCEL: with(200),
			wire.INVITE: func() says {
				n := 0
				return func(w *world, m *wire.Message) {
					if n++; n == 5 { // the copies come after 0.5, 1.5, 3.5 and 7.5 s
						w.answer(m, 180)
					}
				}
			}()},
			"OPTIONS=pass INVITE=fail/no_response; credentials_valid=fail/no_response inbound_reachable=skipped/not_run outbound_authorized=fail/no_response", "OPTIONS INVITE CANCEL", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			probed(t, test.credentials, test.script, test.o, func(w *world, r probe.Report) {
				if got := verdicts(r); got != test.want {
					t.Errorf("verdicts\n got %s\nwant %s", got, test.want)
				}
				if got := w.methods(); got != test.methods {
					t.Errorf("the carrier received\n%s, want\n%s", got, test.methods)
				}
				if r.Passed() != test.passed {
					t.Errorf("passed: %t", r.Passed())
				}
				everyFailureIsExplained(t, r)
			})
		})
	}
}

func everyFailureIsExplained(t *testing.T, r probe.Report) {
	t.Helper()
	for _, s := range r.Steps {
		if s.Message == "" || (s.Verdict == probe.Pass) != (s.Code == "") || (s.Code == "") != (s.Fix == "") {
			t.Errorf("step %+v", s)
		}
	}
	for _, c := range r.Checks {
		if c.Verdict == probe.Fail && (c.Code == "" || c.Fix == "" || c.Message == "") {
			t.Errorf("check %+v", c)
		}
	}
	for _, m := range r.Messages() {
		if bytes.Contains(m.Bytes, []byte("response=\"")) && !bytes.Contains(m.Bytes, []byte("response=\"***")) {
			t.Errorf("a message with its digest response:\n%s", m.Bytes)
		}
	}
}

// A refused port is told at once, not after a timeout.
func TestUnreachable(t *testing.T) {
	inWorld(t, withCredentials, map[wire.Method]says{}, func(w *world) {
		w.carrier.Refuse()
		at := time.Now()
		r := w.run(w.Context(), probe.Request{Provider: "register", To: "+14155550100"})
		if took := time.Since(at); took > 100*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		const want = "OPTIONS=inconclusive/port_closed REGISTER=fail/port_closed look around=inconclusive/port_closed; credentials_valid=fail/port_closed inbound_reachable=fail/port_closed outbound_authorized=fail/port_closed"
		if got := verdicts(r); got != want {
			t.Errorf("verdicts\n got %s\nwant %s", got, want)
		}
	})
}

// A name without address ends the probe before anything is sent.
func TestNoAddress(t *testing.T) {
	probed(t, `server: nowhere.example, `+withCredentials, map[wire.Method]says{}, probe.Request{Provider: "register", To: "+14155550100"}, func(w *world, r probe.Report) {
		const want = "resolve=fail/no_address; credentials_valid=fail/no_address inbound_reachable=fail/no_address outbound_authorized=fail/no_address"
		if got := verdicts(r); got != want || len(w.received()) != 0 {
			t.Errorf("verdicts\n got %s\nwant %s\nand %d messages", got, want, len(w.received()))
		}
	})
}

// RFC 3261 §10.2.3: the probe's REGISTER asks and binds nothing, so whoever uses the trunk keeps its calls.
func TestRegisterBindsNothing(t *testing.T) {
	probed(t, withCredentials, map[wire.Method]says{wire.REGISTER: challenging(with(200))}, probe.Request{Provider: "register"}, func(w *world, _ probe.Report) {
		seen := 0
		for _, m := range w.received() {
			if m.Method == wire.REGISTER {
				seen++
				if m.Has(wire.HContact) || m.Has(wire.HExpires) {
					t.Errorf("this binds:\n%s", m.Bytes)
				}
				if string(m.URI) != "sip:carrier.example" || string(m.To.URI) != "sip:alice@carrier.example" {
					t.Errorf("for %s at %s", m.To.URI, m.URI)
				}
			}
		}
		if seen != 2 {
			t.Errorf("%d REGISTERs", seen)
		}
	})
}

// The INVITE is one that a carrier can take: numbers where they belong, an offer, a Contact, and the same Call-ID and
// From tag with CSeq one higher behind the challenge.
func TestInvite(t *testing.T) {
	script := ringing(map[wire.Method]says{wire.INVITE: challenging(nil)})
	probed(t, withCredentials, script, probe.Request{To: "+14155550100", From: "+15550001234", Messages: true}, func(w *world, r probe.Report) {
		var invites []*wire.Message
		for _, m := range w.received() {
			if m.Method == wire.INVITE {
				invites = append(invites, m)
			}
		}
		if len(invites) != 2 {
			t.Fatalf("%d INVITEs", len(invites))
		}
		first, second := invites[0], invites[1]
		if string(first.URI) != "sip:+14155550100@carrier.example" || string(first.To.URI) != string(first.URI) || string(first.From.URI) != "sip:+15550001234@carrier.example" {
			t.Errorf("%s to %s from %s", first.URI, first.To.URI, first.From.URI)
		}
		if !first.Has(wire.HContact) || first.SDP() == nil || !bytes.Contains(first.Body, []byte("m=audio")) {
			t.Errorf("no offer or no Contact:\n%s", first.Bytes)
		}
		if string(second.CallID) != string(first.CallID) || string(second.From.Tag) != string(first.From.Tag) || second.CSeq != first.CSeq+1 {
			t.Errorf("behind the challenge:\n%s", second.Bytes)
		}
		if n := len(r.Messages()); n < 7 {
			t.Errorf("%d messages for the ladder", n)
		}
	})
}

// Whoever stops the probe gets what is known by then, at once, and a call under way is given up.
func TestInterrupted(t *testing.T) {
	rings := false
	inWorld(t, byAddress, map[wire.Method]says{wire.OPTIONS: with(200), wire.CANCEL: with(200), wire.INVITE: func(w *world, m *wire.Message) {
		w.answer(m, 100)
		rings = true
	}}, func(w *world) {
		ctx, cancel := context.WithCancelCause(w.Context())
		time.AfterFunc(time.Second, func() { cancel(fmt.Errorf("signal: interrupt")) })
		at := time.Now()
		r := w.run(ctx, probe.Request{To: "+14155550100"})
		synctest.Wait()
		if took := time.Since(at); !rings || took > 4*time.Second {
			t.Errorf("rings: %t, after %s", rings, took)
		}
		const want = "OPTIONS=pass INVITE=inconclusive/interrupted; credentials_valid=inconclusive/interrupted inbound_reachable=skipped/not_run outbound_authorized=inconclusive/interrupted"
		if got := verdicts(r); got != want {
			t.Errorf("verdicts\n got %s\nwant %s", got, want)
		}
		time.Sleep(time.Second)
		if got := w.methods(); got != "OPTIONS INVITE CANCEL" {
			t.Errorf("the carrier received %s", got)
		}
	})
	t.Run("before it begins", func(t *testing.T) {
		inWorld(t, withCredentials, map[wire.Method]says{}, func(w *world) {
			ctx, cancel := context.WithCancel(w.Context())
			cancel()
			r := w.run(ctx, probe.Request{Provider: "register", To: "+14155550100"})
			time.Sleep(40 * time.Second)
			for _, m := range w.received() {
				if m.Method == wire.INVITE || m.Method == wire.REGISTER {
					t.Errorf("%s was sent all the same", m.MethodName)
				}
			}
			if r.Passed() {
				t.Error("passed")
			}
		})
	})
}

// The report as JSON is an interface: its keys and words stay.
func TestReportAsJSON(t *testing.T) {
	for name, script := range map[string]map[wire.Method]says{
		"pass": ringing(map[wire.Method]says{wire.OPTIONS: with(200), wire.REGISTER: challenging(with(200)), wire.INVITE: challenging(nil)}),
		"fail": {wire.REGISTER: with(403), wire.INVITE: challenging(with(404))},
	} {
		t.Run(name, func(t *testing.T) {
			probed(t, withCredentials, script, probe.Request{Provider: "register", To: "+14155550100"}, func(w *world, r probe.Report) {
				got, err := json.MarshalIndent(r, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				got = append(digits.ReplaceAll(got, []byte("${1}N")), '\n')
				file := filepath.Join("testdata", "report-"+name+".json")
				if updating() {
					if err := os.WriteFile(file, got, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
}

// digits are what differs from run to run.
var digits = regexp.MustCompile(`("(?:duration|rtt)_ms": )[\d.]+`)
