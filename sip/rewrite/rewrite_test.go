package rewrite

import (
	"strings"
	"testing"

	"trunkline/sip/wire"
)

func parse(t *testing.T, text string) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	if err := m.Parse([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
	return m
}

// TOP-01: nothing that names the inside crosses.
func TestCrossingHidesTheInside(t *testing.T) {
	const inside = "inside.example.internal"
	m := parse(t, "INVITE sip:a@edge SIP/2.0\nVia: SIP/2.0/UDP "+inside+";branch=z9hG4bKx\nFrom: <sip:b@"+inside+">;tag=t\nTo: <sip:a@"+inside+
		">\nCall-ID: 1@"+inside+"\nCSeq: 1 INVITE\nContact: <sip:b@"+inside+">\nRecord-Route: <sip:"+inside+";lr>\nRoute: <sip:"+inside+";lr>\n"+
		"User-Agent: "+inside+"\nServer: "+inside+"\nAuthorization: Digest realm=\""+inside+"\"\nP-Asserted-Identity: <sip:b@"+inside+">\n"+
		"X-Inside: "+inside+"\nP-Charging-Vector: "+inside+"\nOrganization: "+inside+"\nSubject: hello\nUser-to-User: 56a3;encoding=hex\n"+
		"Reason: Q.850;cause=16\nDate: Sun, 22 Nov 2026 22:00:00 GMT\nIdentity: abc;info=<https://x>;alg=ES256\nContent-Length: 0\n\n")
	got := string(AppendCrossing(nil, m, &Policy{Host: "192.0.2.1"}))
	if strings.Contains(got, "inside") {
		t.Errorf("the inside shows:\n%s", got)
	}
	want := "Subject: hello\r\nUser-to-User: 56a3;encoding=hex\r\nReason: Q.850;cause=16\r\nDate: Sun, 22 Nov 2026 22:00:00 GMT\r\nIdentity: abc;info=<https://x>;alg=ES256\r\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TOP-01, IDN-05: who diverted the call crosses, where they live does not.
func TestCrossingOfDiversions(t *testing.T) {
	for _, test := range []struct{ name, lines, want string }{
		{"Diversion", `Diversion: "Reception" <sip:+15550001234@pbx.inside:5070;user=phone;transport=tls>;reason=no-answer;counter=1`,
			`Diversion: "Reception" <sip:+15550001234@192.0.2.1:5060;user=phone>;reason=no-answer;counter=1`},
		{"several in a line", "Diversion: <sip:1@inside>;reason=unconditional, <tel:+15550002222>;reason=user-busy",
			"Diversion: <sip:1@192.0.2.1:5060>;reason=unconditional, <tel:+15550002222>;reason=user-busy"},
		{"History-Info", "History-Info: <sip:+15550001234@inside?Reason=SIP%3Bcause%3D302&Route=%3Csip:inside%3E>;index=1\nHistory-Info: <sips:2@inside:5061;cause=302;maddr=10.0.0.1>;index=1.1;mp=1",
			"History-Info: <sip:+15550001234@192.0.2.1:5060?Reason=SIP%3Bcause%3D302>;index=1\r\nHistory-Info: <sips:2@192.0.2.1:5060;cause=302>;index=1.1;mp=1"},
		{"without a user", "Diversion: <sip:inside>", "Diversion: <sip:192.0.2.1:5060>"},
		{"what is no telephone", "Diversion: <http://inside/x>, <sip:1@inside>", "Diversion: <sip:1@192.0.2.1:5060>"},
		{"what cannot be read", "Diversion: <sip:1@inside", ""},
		{"Alert-Info names a place", "Alert-Info: <http://inside/ring.wav>", ""},
		{"Alert-Info names a sound", "Alert-Info: <urn:alert:service:call-waiting>", "Alert-Info: <urn:alert:service:call-waiting>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := parse(t, "INVITE sip:a@edge SIP/2.0\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\nFrom: <sip:b@x>;tag=t\nTo: <sip:a@x>\nCall-ID: 1\nCSeq: 1 INVITE\n"+
				test.lines+"\nContent-Length: 0\n\n")
			if got := strings.TrimSuffix(string(AppendCrossing(nil, m, &Policy{Host: "192.0.2.1:5060"})), "\r\n"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// INV-12: a redirection names numbers, at a place the other leg can call.
func TestRedirectionCrosses(t *testing.T) {
	m := parse(t, "SIP/2.0 302 Moved\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nFrom: <sip:b@x>;tag=t\nTo: <sip:a@x>;tag=u\nCall-ID: 1\nCSeq: 1 INVITE\n"+
		"Contact: \"Night desk\" <sip:+15550002222@pbx.inside:5070;transport=tcp>;q=0.7, <tel:+15550003333>;q=0.3\nContact: <sip:pbx.inside>, <mailto:desk@inside>\nContent-Length: 0\n\n")
	want := "Contact: \"Night desk\" <sip:+15550002222@edge.example>;q=0.7\r\nContact: <tel:+15550003333>;q=0.3\r\n"
	if got := string(AppendRedirection(nil, m, "edge.example")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// INV-13: Reason, Retry-After and Warning of a refusal are kept; the agent in a
// Warning is a host of ours.
func TestCrossingOfARefusal(t *testing.T) {
	m := parse(t, "SIP/2.0 503 Busy\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\nFrom: <sip:b@x>;tag=t\nTo: <sip:a@x>;tag=u\nCall-ID: 1\nCSeq: 1 INVITE\n"+
		"Retry-After: 30 (maintenance)\nReason: Q.850;cause=34\nWarning: 399 pbx.inside \"no lines\"\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\nContent-Length: 0\n\n")
	want := "Retry-After: 30 (maintenance)\r\nReason: Q.850;cause=34\r\nWarning: 399 edge.example \"no lines\"\r\n"
	if got := string(AppendCrossing(nil, m, &Policy{Host: "edge.example"})); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAppendFrom(t *testing.T) {
	for _, test := range []struct{ name, from, user, want string }{
		{"display and user stay, the host is ours", `"Zoë \"Z\" O'Hara" <sip:+15550001234@inside>;tag=x`, "+15550001234", `"Zoë \"Z\" O'Hara" <sip:+15550001234@edge>`},
		{"a user part with escapes stays byte for byte", `<sip:a%23b;c,d@inside>;tag=x`, "a%23b;c,d", `<sip:a%23b;c,d@edge>`},
		{"an anonymous caller stays anonymous", `"Anonymous" <sip:anonymous@anonymous.invalid>;tag=x`, "anonymous", `"Anonymous" <sip:anonymous@anonymous.invalid>`},
		{"no user at all", `<sip:inside>;tag=x`, "", `<sip:edge>`},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, err := wire.ParseAddress([]byte(test.from))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(AppendFrom(nil, from, Party{User: []byte(test.user), Host: "edge"}, false)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
