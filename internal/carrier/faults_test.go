package carrier

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
	"github.com/miekg/dns"
)

const (
	ours   = "+15550001234"
	friend = "+14155550100"
)

// asked is a request to a carrier as alice, and what came of it.
type asked struct {
	method   sip.RequestMethod
	number   string // called; empty: friend
	from     string // user part of From; empty: alice
	password string // empty: secret
	headers  []sip.Header
	contact  *sip.ContactHeader // nil: the app's; of a REGISTER
	question bool               // REGISTER without Contact
}

// ask sends a request, answers one challenge, or more when they are stale, and returns the last response; nil: none within
// half a second.
func (a asked) ask(t *testing.T, c *Carrier, app *App) *sip.Response {
	t.Helper()
	if a.number == "" {
		a.number = friend
	}
	if a.from == "" {
		a.from = "alice"
	}
	if a.password == "" {
		a.password = "secret"
	}
	uri := sip.Uri{Scheme: "sip", User: a.number, Host: "127.0.0.1", Port: int(c.Addr().Port())}
	to := a.number
	if a.method == sip.REGISTER {
		uri.User, to = "", "alice"
	}
	req := sip.NewRequest(a.method, uri)
	req.AppendHeader(&sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: a.from, Host: "127.0.0.1"}, Params: tagged()})
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: to, Host: "127.0.0.1"}, Params: sip.NewParams()})
	switch {
	case a.question:
	case a.contact != nil:
		req.AppendHeader(a.contact)
	default:
		req.AppendHeader(app.phone.stack.contact("alice", "udp"))
	}
	for _, h := range a.headers {
		req.AppendHeader(h)
	}
	if a.method == sip.INVITE {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		req.SetBody(describe("alice", netip.MustParseAddrPort("127.0.0.1:9"), 1))
	}
	var res *sip.Response
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		var err error
		if res, err = app.phone.stack.udp.Do(ctx, req); err != nil {
			return nil
		}
		if res.StatusCode != 401 && res.StatusCode != 407 {
			return res
		}
		again, ok := answer(t, req, res, a.password)
		if !ok {
			return res
		}
		req = again
	}
	return res
}

// answer is req with credentials for the first challenge of res; false when those it has were wrong.
func answer(t *testing.T, req *sip.Request, res *sip.Response, password string) (*sip.Request, bool) {
	t.Helper()
	from, to := "WWW-Authenticate", "Authorization"
	if res.StatusCode == 407 {
		from, to = "Proxy-Authenticate", "Proxy-Authorization"
	}
	challenge, err := digest.ParseChallenge(res.GetHeader(from).Value())
	if err != nil {
		t.Fatal(err)
	}
	if req.GetHeader(to) != nil && !challenge.Stale {
		return nil, false
	}
	credentials, err := digest.Digest(challenge, digest.Options{Method: string(req.Method), URI: req.Recipient.String(), Username: "alice", Password: password})
	if err != nil {
		t.Fatal(err)
	}
	again := req.Clone()
	again.RemoveHeader("Via")
	again.RemoveHeader(to)
	again.CSeq().SeqNo++
	again.AppendHeader(sip.NewHeader(to, credentials.String()))
	return again, true
}

// said is the first line of a response without the version, and its X-Twilio-Error and Retry-After.
func said(res *sip.Response) string {
	if res == nil {
		return "silence"
	}
	var text strings.Builder
	text.WriteString(strings.TrimPrefix(res.StartLine(), "SIP/2.0 "))
	for _, name := range []string{"X-Twilio-Error", "Retry-After"} {
		if h := res.GetHeader(name); h != nil {
			text.WriteString(" | " + h.Value())
		}
	}
	return text.String()
}

// TestFaults does one thing wrong at a time; what is not named in the faults goes on as it should.
func TestFaults(t *testing.T) {
	invite, register, options := asked{method: sip.INVITE}, asked{method: sip.REGISTER}, asked{method: sip.OPTIONS}
	for _, test := range []struct {
		name    string
		options Options
		faults  Faults
		ask     asked
		want    string
	}{
		{"an INVITE when nothing is wrong", Options{}, Faults{}, invite, "200 OK"},
		{"a REGISTER when nothing is wrong", Options{}, Faults{}, register, "200 OK"},
		{"a password that is wrong", Options{}, Faults{}, asked{method: sip.INVITE, password: "guess"}, "403 Forbidden"},
		{"a password that is wrong, challenged again", Options{ChallengesAll: true}, Faults{}, asked{method: sip.REGISTER, password: "guess"}, "401 Unauthorized"},
		{"a password that is right and taken for wrong", Options{}, Faults{WrongDigest: true}, register, "403 Forbidden"},
		{"a user that is not known", Options{}, Faults{UnknownUser: true}, register, "404 Not Found"},
		{"a user that Telnyx does not know", Options{Dialect: Telnyx}, Faults{UnknownUser: true}, invite, "403 Forbidden R14"},
		{"nonces that are stale forever", Options{}, Faults{StaleNonces: true}, invite, "407 Proxy Authentication Required"},
		{"SHA-256 alone", Options{}, Faults{Algorithm: "SHA-256"}, invite, "200 OK"},
		{"the realm of somebody else", Options{}, Faults{Realm: "other.example"}, register, "403 Forbidden"},
		{"Telnyx's challenge without qop", Options{Dialect: Telnyx}, Faults{}, register, "200 OK"},
		{"an address that is not on the list", Options{}, Faults{ForbiddenSource: true}, invite, "403 Forbidden"},
		{"an address that is not on Twilio's list", Options{Dialect: Twilio}, Faults{ForbiddenSource: true}, invite,
			"403 Forbidden | 32201 Authentication failure - source IP Address not in ACL"},
		{"nothing is answered", Options{}, Faults{Silent: true}, options, "silence"},
		{"OPTIONS is not answered", Options{}, Faults{SilentOptions: true}, options, "silence"},
		{"OPTIONS is refused", Options{}, Faults{OptionsCode: 405}, options, "405 "},
		{"REGISTER is not answered", Options{}, Faults{SilentRegister: true}, register, "silence"},
		{"REGISTER asks for time", Options{}, Faults{RegisterCode: 503, Retry: 90 * time.Second}, register, "503 Service Unavailable | 90"},
		{"an INVITE is not answered", Options{}, Faults{SilentInvite: true}, invite, "silence"},
		{"an INVITE gets 100 only", Options{}, Faults{StuckInvite: true}, invite, "silence"},
		{"an INVITE fails", Options{}, Faults{InviteCode: 500}, invite, "500 Server Internal Error"},
		{"caller ID", Options{}, Faults{Refuse: CallerRefused}, invite, "403 Caller ID Not Allowed"},
		{"caller ID at Telnyx", Options{Dialect: Telnyx}, Faults{Refuse: CallerRefused}, invite, "403 Caller Origination Number is Invalid D35"},
		{"caller ID at Twilio", Options{Dialect: Twilio}, Faults{Refuse: CallerRefused}, invite, "403 Forbidden | 32204 Invalid Caller ID"},
		{"a country", Options{Dialect: Telnyx}, Faults{Refuse: CountryRefused}, invite, "403 Dialed Number is not included in whitelisted countries D13"},
		{"a country at Twilio", Options{Dialect: Twilio}, Faults{Refuse: CountryRefused}, invite, "403 No International Authorization | 32203 Destination blocked"},
		{"no money", Options{}, Faults{Refuse: NoCredit}, invite, "402 Payment Required"},
		{"no money at Twilio", Options{Dialect: Twilio}, Faults{Refuse: NoCredit}, invite, "603 Decline | 32005 Calling is disabled for this account"},
		{"a number that is none", Options{Dialect: Telnyx}, Faults{Refuse: NumberInvalid}, invite, "403 Dialed Number is Invalid D11"},
		{"no route", Options{Dialect: Telnyx}, Faults{Refuse: NoRoute}, invite, "503 Service Unavailable PE1"},
		{"a caller that is listed", Options{Callers: []string{ours}}, Faults{}, asked{method: sip.INVITE, from: ours}, "200 OK"},
		{"a caller without its plus", Options{Callers: []string{ours}}, Faults{}, asked{method: sip.INVITE, from: ours[1:]}, "403 Caller ID Not Allowed"},
		{"a caller in P-Asserted-Identity", Options{Callers: []string{ours}, FromUser: true}, Faults{},
			asked{method: sip.INVITE, headers: []sip.Header{sip.NewHeader("P-Asserted-Identity", "<sip:"+ours+"@edge.example>")}}, "200 OK"},
		{"a caller in From where the account must stand", Options{FromUser: true}, Faults{}, asked{method: sip.INVITE, from: ours}, "403 Forbidden"},
		{"a Request-URI with another domain", Options{Domain: "sip.example"}, Faults{}, invite, "404 Not Found"},
		{"a transport that is not spoken", Options{Transport: "tcp"}, Faults{}, options, "silence"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := test.options
			o.User, o.Password = "alice", "secret"
			c, app := pair(t, o)
			c.SetFaults(test.faults)
			if got := said(test.ask.ask(t, c, app)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if c.Billed() != 0 && test.want != "200 OK" {
				t.Errorf("billed %v", c.Billed())
			}
			if c.Seen(string(test.ask.method)) == 0 {
				t.Error("the request is not among those seen")
			}
		})
	}
}

// TestTooFast: above the limit each dialect has its refusal, and what is challenged counts where the carrier says so.
func TestTooFast(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		faults  Faults
		want    []string // of INVITEs with credentials, one after the other
	}{
		{"plain", Options{CPS: 1}, Faults{}, []string{"200 OK", "503 Service Unavailable | 1"}},
		{"Telnyx", Options{CPS: 1, Dialect: Telnyx}, Faults{}, []string{"200 OK", "503 CPS Limit Reached P05"}},
		{"Twilio", Options{CPS: 1, Dialect: Twilio}, Faults{}, []string{"200 OK", "503 Trunk CPS limit exceeded | 32001 Trunk CPS limit exceeded"}},
		{"429 with a time", Options{CPS: 1, CPSCode: 429, CPSRetryAfter: 7 * time.Second}, Faults{}, []string{"200 OK", "429 Too Many Requests | 7"}},
		{"no time is named", Options{CPS: 1, CPSRetryAfter: -1}, Faults{}, []string{"200 OK", "503 Service Unavailable"}},
		{"the limit sinks", Options{CPS: 100}, Faults{CPS: 1}, []string{"200 OK", "503 Service Unavailable | 1"}},
		{"challenged INVITEs count", Options{CPS: 3, CPSChallenged: true}, Faults{}, []string{"200 OK", "503 Service Unavailable | 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := test.options
			o.User, o.Password, o.Ring = "alice", "secret", time.Millisecond
			c, app := pair(t, o)
			c.SetFaults(test.faults)
			for i, want := range test.want {
				if got := said(asked{method: sip.INVITE}.ask(t, c, app)); got != want {
					t.Errorf("INVITE %d: got %q, want %q", i+1, got, want)
				}
			}
			if c.Throttled() != 1 {
				t.Errorf("%d throttled", c.Throttled())
			}
		})
	}
}

func TestMaxCalls(t *testing.T) {
	c, app := pair(t, Options{MaxCalls: 1, Dialect: Twilio})
	call, err := app.Call(t.Context(), "a", "1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Call(t.Context(), "a", "1"); err == nil || err.Error() != "503 Trunk concurrent call limit exceeded" {
		t.Errorf("the second: %v", err)
	}
	if err := call.HangUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "the end", func() bool { return c.up() == 0 })
	if call, err = app.Call(t.Context(), "a", "1"); err != nil {
		t.Errorf("the third: %v", err)
	} else {
		call.HangUp(t.Context())
	}
}

// TestDetours: a number that comes back from another carrier, one that somebody else has, and one whose owner is nowhere.
func TestDetours(t *testing.T) {
	c, app := pair(t, Options{DIDs: []string{ours}, Dialect: Telnyx, Numbers: map[string]Behavior{ours: Busy}})
	other, err := Start(t.Context(), Options{Listen: netip.MustParseAddrPort("127.0.0.2:0"), Contact: "sip:app@" + app.Addr().String(), Inbound: NoPlus})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	c.SetFaults(Faults{Detours: map[string]*Carrier{ours: other}})
	call, err := app.Call(t.Context(), ours, ours)
	if err != nil {
		t.Fatal(err)
	}
	if calls := other.Calls(); len(calls) != 1 || calls[0].Incoming || calls[0].To != ours[1:] {
		t.Errorf("the other carrier placed %+v", calls)
	}
	if err := call.HangUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.SetFaults(Faults{Detours: map[string]*Carrier{ours: nil}})
	if _, err := app.Call(t.Context(), ours, ours); err == nil || err.Error() != "486 Busy Here" {
		t.Errorf("somebody else's: %v", err)
	}
	c.SetFaults(Faults{})
	c.options.Contact = ""
	if _, err := app.Call(t.Context(), ours, ours); err == nil || err.Error() != "480 Destination User Not Registered RG1" {
		t.Errorf("nowhere: %v", err)
	}
}

// TestRegistrarForgets: bindings that are dropped, not made, or taken back.
func TestRegistrarForgets(t *testing.T) {
	c, app := pair(t, Options{User: "alice", Password: "secret", Inbound: InTo})
	register := asked{method: sip.REGISTER}
	question := asked{method: sip.REGISTER, question: true}
	other := asked{method: sip.REGISTER, contact: app.phone.stack.contact("other", "udp"), headers: []sip.Header{sip.NewHeader("Expires", "0")}}
	check := func(what string, ask asked, shown, bound bool) {
		t.Helper()
		res := ask.ask(t, c, app)
		if said(res) != "200 OK" || (res.Contact() != nil) != shown {
			t.Errorf("%s: %v", what, res)
		}
		if _, ok := c.Registered("alice"); ok != bound {
			t.Errorf("%s: registered is %v", what, ok)
		}
	}
	c.SetFaults(Faults{DropBindings: true})
	check("dropped", register, true, false)
	check("asked after", question, false, false)
	c.SetFaults(Faults{NoContact: true})
	check("not bound", register, false, false)
	c.SetFaults(Faults{})
	check("bound", register, true, true)
	check("removal of another contact", other, true, true)
	if call, err := c.Call(t.Context(), friend, ours); err != nil {
		t.Error(err)
	} else {
		call.HangUp(t.Context())
		if to := app.Calls()[0].To; to != "alice" {
			t.Errorf("Request-URI's user is %q, not the contact's", to)
		}
		if to := call.Info().To; to != ours {
			t.Errorf("To's user is %q", to)
		}
	}
	c.ForgetBindings()
	check("restarted", question, false, false)
}

// TestCertificates: what a client that checks finds.
func TestCertificates(t *testing.T) {
	c, _ := pair(t, Options{TLS: true, TLSNames: []string{"sip.example"}})
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(c.Authority())
	handshake := func() error {
		conn, err := tls.Dial("tcp", c.TLSAddr().String(), &tls.Config{RootCAs: trusted, ServerName: "sip.example"})
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := handshake(); err != nil {
		t.Errorf("a good certificate: %v", err)
	}
	c.SetFaults(Faults{Certificate: WrongName})
	if _, ok := errors.AsType[x509.HostnameError](handshake()); !ok {
		t.Errorf("a wrong name: %v", handshake())
	}
	c.SetFaults(Faults{Certificate: Expired})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](handshake()); !ok || invalid.Reason != x509.Expired {
		t.Errorf("an expired one: %v", handshake())
	}
	c.SetFaults(Faults{Certificate: SelfSigned})
	if _, ok := errors.AsType[x509.UnknownAuthorityError](handshake()); !ok {
		t.Errorf("a self-signed one: %v", handshake())
	}
	c.SetFaults(Faults{OldTLS: true})
	if err := handshake(); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("old TLS: %v", err)
	}
}

// TestCallOverTLS places a call each way between two carriers, one the other's customer.
func TestCallOverTLS(t *testing.T) {
	c, _ := pair(t, Options{TLS: true, Ring: 20 * time.Millisecond})
	other, err := Start(t.Context(), Options{Listen: loopback, Contact: "sip:" + c.TLSAddr().String() + ";transport=tls"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	call, err := other.Call(t.Context(), friend, ours)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.HangUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "the end", func() bool { calls := c.Calls(); return len(calls) == 1 && calls[0].EndedBy == "them" })
}

// TestNames leads to a server that is silent and one that is not.
func TestNames(t *testing.T) {
	dead, live := netip.MustParseAddrPort("127.0.0.2:5060"), netip.MustParseAddrPort("127.0.0.3:5070")
	n, err := StartNames(loopback, Zone("carrier.example", Target{"udp", dead, 1, 1}, Target{"udp", live, 2, 1}, Target{"tls", live, 1, 1}))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	lookup := func(network, name string, kind uint16) (found []string, err error) {
		client := dns.Client{Net: network, Timeout: 200 * time.Millisecond}
		m, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, kind), n.Addr().String())
		if err != nil {
			return nil, err
		}
		for _, rr := range m.Answer {
			found = append(found, strings.Join(strings.Fields(strings.TrimPrefix(rr.String(), rr.Header().String())), " "))
		}
		return append(found, dns.RcodeToString[m.Rcode]), nil
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, want := range []struct {
			name string
			kind uint16
			is   []string
		}{
			{"_sip._udp.Carrier.example.", dns.TypeSRV, []string{"1 1 5060 sip1.carrier.example.", "2 1 5070 sip2.carrier.example.", "NOERROR"}},
			{"_sips._tcp.carrier.example.", dns.TypeSRV, []string{"1 1 5070 sip3.carrier.example.", "NOERROR"}},
			{"sip2.carrier.example.", dns.TypeA, []string{"127.0.0.3", "NOERROR"}},
			{"sip2.carrier.example.", dns.TypeAAAA, []string{"NOERROR"}},
			{"carrier.example.", dns.TypeA, []string{"NXDOMAIN"}},
		} {
			if got, err := lookup(network, want.name, want.kind); err != nil || !slices.Equal(got, want.is) {
				t.Errorf("%s %s: %q, %v", network, want.name, got, err)
			}
		}
	}
	if asked := n.Asked(); len(asked) != 10 || asked[0] != "SRV _sip._udp.carrier.example." {
		t.Errorf("asked %q", asked)
	}
	n.Silence(true)
	if got, err := lookup("udp", "sip2.carrier.example.", dns.TypeA); err == nil {
		t.Errorf("silent, and said %q", got)
	}
	if err := n.Replace("nonsense"); err == nil {
		t.Error("a zone of nonsense was taken")
	}
}
