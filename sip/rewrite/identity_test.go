package rewrite

import (
	"bytes"
	"strings"
	"testing"

	"trunkline/sip/wire"
)

func invite(t testing.TB, lines string) *wire.Message {
	t.Helper()
	m := new(wire.Message)
	text := "INVITE sip:+14155550100@edge SIP/2.0\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\nTo: <sip:a@x>\nCall-ID: 1\nCSeq: 1 INVITE\n" + lines
	if !strings.Contains(lines, "From:") {
		text += "From: \"Bob\" <sip:+15550001234@x>;tag=t\n"
	}
	if err := m.Parse([]byte(strings.ReplaceAll(text+"Content-Length: 0\n\n", "\n", "\r\n"))); err != nil {
		t.Fatal(err)
	}
	return m
}

// IDN-03, IDN-04: who withholds their number.
func TestPrivate(t *testing.T) {
	for _, test := range []struct {
		name, lines string
		want        bool
	}{
		{"nobody by default", "", false},
		{"id", "Privacy: id\n", true},
		{"among others", "Privacy: session; ID ;critical\n", true},
		{"user", "Privacy: user\n", true},
		{"in a second line", "Privacy: session\nPrivacy: header\n", true},
		{"the session alone is something else", "Privacy: session;critical\n", false},
		{"history alone too", "Privacy: history\n", false},
		{"an anonymous From", "From: <sip:anonymous@Anonymous.Invalid>;tag=t\n", true},
		{"an anonymous From that does not mean it", "From: <sip:anonymous@anonymous.invalid>;tag=t\nPrivacy: none\n", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Private(invite(t, test.lines)); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

// SC2-03, IDN-02: parties with and without user=phone.
func TestParty(t *testing.T) {
	for _, test := range []struct {
		party Party
		want  string
	}{
		{Party{User: []byte("+15550001234"), Host: "trunk.example", Phone: true}, "sip:+15550001234@trunk.example;user=phone"},
		{Party{User: []byte("15550001234"), Host: "trunk.example"}, "sip:15550001234@trunk.example"},
		{Party{User: []byte("alice"), Host: "trunk.example", Phone: true}, "sip:alice@trunk.example"},
		{Party{User: []byte("+"), Host: "trunk.example", Phone: true}, "sip:+@trunk.example"},
		{Party{Host: "trunk.example", Phone: true}, "sip:trunk.example"},
	} {
		if got := string(test.party.AppendURI(nil)); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

// IDN-03: a private caller is nobody, whatever From says.
func TestAppendFromOfAPrivateCaller(t *testing.T) {
	from, err := wire.ParseAddress([]byte(`"Boss" <sip:+15550001234@inside>;tag=x`))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(AppendFrom(nil, from, Party{User: []byte("+15550001234"), Host: "edge"}, true)); got != `"Anonymous" <sip:anonymous@anonymous.invalid>` {
		t.Error(got)
	}
}

// IDN-01, IDN-07: what is asserted, with the display name of who says so.
func TestAppendAsserted(t *testing.T) {
	party := Party{User: []byte("+15550001234"), Host: "trunk.example", Phone: true}
	for _, test := range []struct{ name, lines, want string }{
		{"by From", "", `"Bob" <sip:+15550001234@trunk.example;user=phone>`},
		{"by the assertion", "P-Asserted-Identity: \"A \\\"B\\\"\" <sip:x@y>\n", `"A \"B\"" <sip:+15550001234@trunk.example;user=phone>`},
		{"by the preference", "P-Preferred-Identity: Carol <sip:x@y>\n", `"Carol" <sip:+15550001234@trunk.example;user=phone>`},
		{"not by an anonymous From", "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=t\n", `<sip:+15550001234@trunk.example;user=phone>`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := string(AppendAsserted(nil, invite(t, test.lines), party)); got != "P-Asserted-Identity: "+test.want+"\r\n" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// IDN-05: RFC 7544 in both directions.
func TestTranslationOfDiversions(t *testing.T) {
	for _, test := range []struct {
		name    string
		to      Divert
		trusted bool
		lines   string
		want    string
	}{
		{"one diversion", DivertHistory, false, "Diversion: \"Desk\" <sip:+15550001@in:5070;user=phone>;reason=no-answer;counter=1\n",
			"History-Info: \"Desk\" <sip:+15550001@edge>;index=1, <sip:+14155550100@edge;cause=408>;index=1.1;mp=1"},
		{"the latest comes first", DivertHistory, false, "Diversion: <sip:2@in>;reason=deflection, <tel:+15550001>;reason=unconditional\n",
			"History-Info: <sip:+15550001@edge>;index=1, <sip:2@edge;cause=302>;index=1.1;mp=1, <sip:+14155550100@edge;cause=480>;index=1.1.1;mp=1.1"},
		{"a reason nobody knows", DivertHistory, false, "Diversion: <sip:1@in>;reason=moon\n", "History-Info: <sip:1@edge>;index=1, <sip:+14155550100@edge;cause=404>;index=1.1;mp=1"},
		{"one who wants no mention", DivertHistory, false, "Diversion: \"X\" <sip:1@in>;reason=away;privacy=full\n",
			"History-Info: <sip:anonymous@anonymous.invalid?Privacy=history>;index=1, <sip:+14155550100@edge;cause=404>;index=1.1;mp=1"},
		{"and is told to a trusted side, with the wish", DivertHistory, true, "Diversion: <sip:1@in>;reason=away;privacy=full\n",
			"History-Info: <sip:1@edge?Privacy=history>;index=1, <sip:+14155550100@edge;cause=404>;index=1.1;mp=1"},
		{"both forms side by side", DivertHistory, false, "Diversion: <sip:1@in>;reason=away\nHistory-Info: <sip:3@in>;index=1\n", "History-Info: <sip:3@edge>;index=1"},
		{"history", DivertPlain, false, "History-Info: <sip:1@in>;index=1, <sip:2@in;cause=486>;index=1.1, <sip:3@in;cause=487>;index=1.1.1\n",
			"Diversion: <sip:2@edge>;reason=deflection;counter=1, <sip:1@edge>;reason=user-busy;counter=1"},
		{"history of routing alone", DivertPlain, false, "History-Info: <sip:1@in>;index=1, <sip:2@in>;index=1.1\n", ""},
		{"history with a private entry", DivertPlain, false, "History-Info: <sip:1@in?Privacy=history>;index=1, <sip:2@in;cause=302>;index=1.1\n",
			"Diversion: <sip:anonymous@anonymous.invalid>;reason=unconditional;privacy=full;counter=1"},
		{"what cannot be read", DivertHistory, false, "Diversion: <sip:1@in\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := Policy{Host: "edge", Divert: test.to, Trusted: test.trusted}
			if got := strings.TrimSuffix(string(AppendCrossing(nil, invite(t, test.lines), &p)), "\r\n"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// SC2-06: the number that a forwarded call was diverted from last.
func TestDiverter(t *testing.T) {
	for lines, want := range map[string]string{
		"": "",
		"Diversion: <sip:2@in>;reason=away, <sip:1@in>;reason=away\n":                      "2",
		"History-Info: <sip:1@in>;index=1, <sip:2@in;cause=302>;index=1.1\n":               "1",
		"History-Info: <sip:1@in>;index=1, <sip:2@in>;index=1.1\n":                         "",
		"Diversion: <tel:+15550001;x=y>;reason=away\nHistory-Info: <sip:1@in;cause=302>\n": "+15550001",
	} {
		if got := string(Diverter(invite(t, lines))); got != want {
			t.Errorf("%q: got %q, want %q", lines, got, want)
		}
	}
}

// TOP-02, IDN-08: what lists change, and what no list can.
func TestLists(t *testing.T) {
	m := invite(t, "X-A: 1\nx-b: 2\nX-Secret: 3\ns: hello\nP-Charging-Vector: v\nP-Asserted-Identity: <sip:1@in>\nAuthorization: Digest x=y\nRoute: <sip:x;lr>\n")
	for _, test := range []struct {
		name        string
		allow, deny []string
		want        string
	}{
		{"nothing", nil, nil, "Subject: hello\r\n"},
		{"by name in any case", []string{"x-A", "p-charging-vector"}, nil, "X-A: 1\r\nSubject: hello\r\nP-Charging-Vector: v\r\n"},
		{"by beginning, less one", []string{"X-*"}, []string{"x-secret"}, "X-A: 1\r\nx-b: 2\r\nSubject: hello\r\n"},
		{"a usual one by its short name", nil, []string{"s"}, ""},
		{"what the edge writes itself never", []string{"*"}, nil, "X-A: 1\r\nx-b: 2\r\nX-Secret: 3\r\nSubject: hello\r\nP-Charging-Vector: v\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			lists := NewLists(test.allow, test.deny)
			if got := string(AppendCrossing(nil, m, &Policy{Lists: &lists})); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

// FuzzCrossing: whatever comes in, what goes out are whole header lines that parse, and no address of the inside in diversions.
func FuzzCrossing(f *testing.F) {
	f.Add([]byte("Diversion: <sip:1@in>;reason=away;privacy=full, <tel:+1>;reason=x\r\nPrivacy: id;none\r\nX-A: b\r\n"), uint8(1))
	f.Add([]byte("History-Info: <sip:1@in?Privacy=history&Reason=SIP>;index=1, <sip:2@in;cause=486>;index=1.1\r\n"), uint8(2))
	f.Add([]byte("P-Asserted-Identity: \"a\" <sip:1@in>, <tel:+2>\r\nWarning: 399 x \"y\"\r\nIdentity: z\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, lines []byte, policy uint8) {
		text := []byte("INVITE sip:+1@edge SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:b@x>;tag=t\r\nTo: <sip:a@x>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n")
		m := new(wire.Message)
		if m.Parse(append(append(bytes.Clone(text), lines...), "Content-Length: 0\r\n\r\n"...)) != nil || len(m.Body) > 0 {
			return
		}
		lists := NewLists([]string{"*"}, nil)
		p := Policy{Host: "edge", Divert: Divert(policy % 4), Trusted: policy&4 != 0, Private: policy&8 != 0, Lists: &lists}
		out := AppendAsserted(AppendCrossing(nil, m, &p), m, Party{User: []byte("+1"), Host: "edge", Phone: true})
		out = CrossAsserted(out, m, "edge", nil)
		again := new(wire.Message)
		if err := again.Parse(append(append(bytes.Clone(text), out...), "Content-Length: 0\r\n\r\n"...)); err != nil {
			t.Fatalf("%v of\n%q\nfrom\n%q", err, out, lines)
		}
		Diverter(again)
		Private(again)
	})
}
