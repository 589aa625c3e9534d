package siptest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/tools/txtar"

	"trunkline/config"
)

// playText plays a flow given as text and returns its error and, with rewrite, the new file.
func playText(t *testing.T, text string, rewrite bool, build Constructor) (string, error) {
	t.Helper()
	f, err := parseFlow("test.txtar", []byte(text))
	if err != nil {
		return "", err
	}
	cfg, err := f.config(t, "sipgo.yaml")
	if err != nil {
		return "", err
	}
	synctest.Test(t, func(t *testing.T) {
		var s *script
		if s, err = newScript(t, f, cfg); err != nil {
			return
		}
		s.update = rewrite
		err = s.run(build)
	})
	return string(txtar.Format(f.archive)), err
}

const wholeCall = `app -> INVITE sip:+14155550100@edge
app <- 100
app <- 180
app <- 200 INVITE after=1s
app -> ACK
app -> BYE
app <- 200 BYE
`

// TestFlows plays flows against a fake edge: those that must pass, and those that must fail with a reason a reader can act on.
func TestFlows(t *testing.T) {
	tests := []struct {
		name, flow string
		parts      string
		fails      string // part of the error; empty: passes
	}{
		{"a whole call passes", wholeCall, "-- record.want --\noutcome=answered ended_by=caller\n-- metrics.want --\nfake_options_total{kind=\"any\"} 0\n", ""},
		{"a timed repetition passes", "app -> INVITE sip:busy@edge\napp <- 100\napp <- 486\napp <- 486 again x3 after=500ms,1s,2s\napp -> ACK\n", "", ""},
		{"a repetition at the wrong moment fails", "app -> INVITE sip:busy@edge\napp <- 100\napp <- 486\napp <- 486 again after=700ms\n", "", "test.txtar:6: app <- 486 again after=700ms: came 500ms after"},
		{"another message than expected fails", "app -> INVITE sip:busy@edge\napp <- 180\n", "", "test.txtar:4: app <- 180: got 100 Trying (INVITE)"},
		{"a message nobody expects fails", "app -> INVITE sip:busy@edge\napp <- 100\napp <- 486\napp -> ACK\napp -> OPTIONS sip:edge\n", "", `silence expected, but at app "200 OK (OPTIONS)"`},
		{"a missing message fails", "app -> OPTIONS sip:edge\napp <- 200\napp <- 200\n", "", "nothing came within 250ms"},
		{"idle fails when something comes", "app -> INVITE sip:busy@edge\napp <- 100\napp <- 486\nidle 3s\n", "", `"486 Busy Here (INVITE)" came after 4`},
		{"wait leaves what comes for later lines", "app -> INVITE sip:1@edge\nwait 4s\napp <- 100\napp <- 180\napp <- 200\napp <- 200 again x2\napp -> ACK\n", "", ""},
		{"an optional message may be missing or there", "app -> INVITE sip:1@edge\napp ?<- 100\napp ?<- 183\napp <- 180\napp <- 200 within=2s\napp -> ACK\n", "", ""},
		{"any order takes what it wants", "app -> INVITE sip:1@edge\napp <~ 180\napp <~ 100\napp <- 200 within=2s\napp -> ACK\n", "", ""},
		{"a lost message is not there", "lose app <- 180\nlose app -> ACK\napp -> INVITE sip:1@edge\napp <- 100\napp <- 200 within=2s\napp -> ACK\napp <- 200 again after=500ms\napp -> ACK\n", "", ""},
		{"a doubled request is answered twice", "duplicate app -> OPTIONS\napp -> OPTIONS sip:edge\napp <- 200\napp <- 200 again\n", "", ""},
		{"a delayed message comes later", "delay 2s app <- 200 OPTIONS\napp -> OPTIONS sip:edge\napp <- 200 after=2s\n", "", ""},
		{"a burst arrives in one go", "burst\napp -> OPTIONS sip:edge\napp#2 -> OPTIONS sip:edge\nend\napp#2 <- 200\napp <- 200\n", "", ""},
		{"a call starts at another party", "app -> INVITE sip:carrier@edge\n  Subject: from-$localtag\napp <- 100\ncarrier <- OPTIONS\n  Subject: from-$app.localtag\n  CSeq: $number OPTIONS\n  -Body\n  -Route\n  no: 192.0.2.30\nset n $number\ncarrier -> 200\n", "", ""},
		{"a wrong header fails", "app -> INVITE sip:carrier@edge\napp <- 100\ncarrier <- OPTIONS\n  CSeq: 8 OPTIONS\n", "", `CSeq is "7 OPTIONS", not "8 OPTIONS"`},
		{"a captured value is compared the next time", "app -> OPTIONS sip:edge\napp <- 200\n  To: *;tag=$t\napp#2 -> OPTIONS sip:edge\napp#2 <- 200\n  To: *;tag=$t\n", "", "To is"},
		{"a raw message is sent as written", "stranger -> bad.msg\nstranger <- 200\n", "-- parties --\nstranger 203.0.113.9:5060\n-- bad.msg --\nOPTIONS sip:edge SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: \\x31\nCSeq: 1 OPTIONS\nContent-Length: $length\n\n", ""},
		{"a refused message reaches the edge as an error", "refuse carrier\napp -> INVITE sip:carrier@edge\napp <- 100\n", "-- record.want --\noutcome=unreachable who=carrier\n", ""},
		{"a silent party hears nothing", "silence carrier\napp -> INVITE sip:carrier@edge\napp <- 100\n", "", ""},
		{"TCP keeps its connection", "app -> OPTIONS sip:edge over=tcp\napp <- 200 over=tcp\n", "", ""},
		{"a wrong record fails", wholeCall, "-- record.want --\noutcome=busy\n", "record 1 has outcome=answered, want outcome=busy"},
		{"a wrong metric fails", "app -> OPTIONS sip:edge\napp <- 200\n", "-- metrics.want --\nfake_options_total{kind=\"any\"} 3\n", `fake_options_total{kind="any"} is 1, want 3`},
		{"a ping is answered", "app -> ping\n", "", `silence expected`},

		{"an unknown directive is an error", "sleep 5s\n", "", `test.txtar:3: unknown directive "sleep"`},
		{"an unknown option is an error", "app -> INVITE sip:1@edge colour=red\n", "", `option "colour" does not go with "->"`},
		{"an unknown party is an error", "nobody -> INVITE sip:1@edge\n", "", `no party "nobody"`},
		{"a bad duration is an error", "wait 5\n", "", "missing unit"},
		{"a detail without message is an error", "wait 5s\n  From: x\n", "", "test.txtar:4: an indented line belongs to a message"},
		{"an unknown part is an error", "wait 5s\n", "-- offer.xml --\n", `unknown part "offer.xml"`},
		{"a party at a taken address is an error", "wait 5s\n", "-- parties --\nx 192.0.2.30:5080\n", "two parties are at 192.0.2.30:5080"},
		{"a bad configuration is an error", "wait 5s\n", "-- sipgo.yaml --\ntrunk: []\n", "trunk"},
		{"a response to nothing is an error", "app -> 200\n", "", "there is no request to answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := playText(t, "What happens, and why.\n-- flow --\n"+test.flow+test.parts, false, newFake)
			switch {
			case test.fails == "" && err != nil:
				t.Error(err)
			case test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)):
				t.Errorf("got %v, want an error with %q", err, test.fails)
			}
		})
	}
}

// TestLint breaks the fake in one way at a time.
func TestLint(t *testing.T) {
	for header, broken := range map[string]string{
		"Call-ID":        "0 Call-ID headers",
		"Content-Length": "0 Content-Length headers",
		"Via":            "it answers no request that was sent",
		"Contact":        "0 Contacts",
	} {
		t.Run(header, func(t *testing.T) {
			_, err := playText(t, "A reply without "+header+".\n-- flow --\napp -> INVITE sip:1@edge\napp ?<- 100\napp <- 180\napp <- 200 within=2s\n", false,
				func(t *testing.T, cfg config.Config, n *Network) Edge {
					f := newFake(t, cfg, n).(*fakeEdge)
					f.faulty = header
					return f
				})
			if err == nil || !strings.Contains(err.Error(), broken) {
				t.Errorf("got %v, want %q", err, broken)
			}
		})
	}
}

func TestUpdate(t *testing.T) {
	text := "An INVITE is answered.\n-- flow --\n" + strings.Replace(wholeCall, "app <- 180", "app <- 180   # compared with ringing.want", 1) + "-- record.want --\noutcome=x\n-- metrics.want --\nfake_options_total{kind=\"any\"} 9\n"
	if _, err := playText(t, text, false, newFake); err == nil || !strings.Contains(err.Error(), "-update writes it") {
		t.Errorf("without the part: %v", err)
	}
	written, err := playText(t, text, true, newFake)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"To: <sip:+14155550100@192.0.2.1>;tag=$tag1\n", "Contact: <sip:$contact1@192.0.2.1:5060>", "-- record.want --\noutcome=answered\n", "_total{kind=\"any\"} 0\n", "Call-ID: app-1@192.0.2.30\n"} {
		if !strings.Contains(written, want) {
			t.Errorf("no %q in\n%s", want, written)
		}
	}
	if _, err := playText(t, written, false, newFake); err != nil {
		t.Errorf("what -update wrote does not pass: %v", err)
	}
	broken := strings.Replace(written, "180 Ringing", "183 Ringing", 1)
	if _, err := playText(t, broken, false, newFake); err == nil || !strings.Contains(err.Error(), "    - SIP/2.0 183 Ringing\n    + SIP/2.0 180 Ringing") {
		t.Errorf("a wrong message is not shown as a difference: %v", err)
	}
}

// TestRun plays a folder as the edge's test does.
func TestRun(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "whole-call.txtar"), []byte("A call.\n-- flow --\n"+wholeCall), 0o600); err != nil {
		t.Fatal(err)
	}
	Run(t, folder, newFake)
}

// TestPoison shows that a shard which keeps bytes beyond the next Receive is found out.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := parseFlow("test.txtar", []byte("x\n-- flow --\nwait 1s\n"))
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := f.config(t, "sipgo.yaml")
		if err != nil {
			t.Fatal(err)
		}
		s, err := newScript(t, f, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.parties["app"].endpoint.Send(s.net.listeners[0].Addr, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		port := s.net.Port(0)
		p, ok := port.Receive(time.Second)
		if !ok || string(p.Bytes) != "hello" {
			t.Fatalf("got %q, %v", p.Bytes, ok)
		}
		start := time.Now()
		if _, ok := port.Receive(3 * time.Second); ok || time.Since(start) != 3*time.Second {
			t.Errorf("waited %v", time.Since(start))
		}
		if p.Bytes[0] != poison {
			t.Error("the bytes are still readable")
		}
		port.Wake()
		if _, ok := port.Receive(time.Hour); ok || time.Since(start) != 3*time.Second {
			t.Error("Wake did not interrupt")
		}
	})
}

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
		found         string
	}{
		{"a*c", "abbc", true, ""},
		{"a*c", "abbd", false, ""},
		{"*", "", true, ""},
		{"<sip:$u@*>;tag=$t", "<sip:+1@host>;tag=x y", false, ""},
		{"*;tag=$t", "<sip:+1@host>;tag=abc", true, "abc"},
		{"m=audio $t RTP/AVP *", "m=audio 20000 RTP/AVP 0 8", true, "20000"},
	} {
		found := map[string]string{}
		if got := match(test.pattern, test.text, found); got != test.want || found["t"] != test.found && test.want {
			t.Errorf("match(%q, %q) = %v %v", test.pattern, test.text, got, found)
		}
	}
}
