package carrier

import (
	"context"
	"errors"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

// pair is a carrier and an application that talk to each other directly, with no edge between: a call to a DID reaches the app.
func pair(t *testing.T, o Options) (*Carrier, *App) {
	t.Helper()
	ctx := t.Context()
	app, err := StartApp(ctx, AppOptions{Listen: loopback, Edge: netip.MustParseAddrPort("127.0.0.1:9")})
	if err != nil {
		t.Fatal(err)
	}
	o.Listen = loopback
	if o.Contact == "" {
		o.Contact = "sip:app@" + app.Addr().String()
	}
	if o.Ring == 0 {
		o.Ring = 20 * time.Millisecond
	}
	c, err := Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	app.options.Edge = c.Addr()
	t.Cleanup(func() { c.Close(); app.Close() })
	return c, app
}

func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, d)
		}
	}
}

func TestCallWithMedia(t *testing.T) {
	for _, transport := range []string{"udp", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			c, app := pair(t, Options{})
			app.phone.transport = transport
			call, err := app.Call(t.Context(), "+15550001234", "+14155550100")
			if err != nil {
				t.Fatal(err)
			}
			within(t, 5*time.Second, "media both ways", func() bool {
				return call.Info().Media.Hertz == tones[0] && c.Calls()[0].Media.Hertz == tones[1]
			})
			if err := call.HangUp(t.Context()); err != nil {
				t.Fatal(err)
			}
			within(t, time.Second, "the carrier's end", func() bool { return !c.Calls()[0].End.IsZero() })
			seen := c.Calls()[0]
			if seen.From != "+15550001234" || seen.To != "+14155550100" || seen.EndedBy != "them" || seen.Code != 200 || !seen.Incoming {
				t.Errorf("carrier saw %+v", seen)
			}
			if c.Billed() != time.Second {
				t.Errorf("billed %v", c.Billed())
			}
			if m := call.Info().Media; m.Received == 0 || m.Lost != 0 {
				t.Errorf("media %+v", m)
			}
		})
	}
}

func TestCarrierCalls(t *testing.T) {
	c, app := pair(t, Options{Media: Echo})
	call, err := c.Call(t.Context(), "+14155550199", "+15550001234")
	if err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "echo", func() bool { return app.Calls()[0].Media.Hertz == tones[1] })
	if err := call.HangUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := call.HangUp(t.Context()); err != nil {
		t.Errorf("hanging up twice: %v", err)
	}
	within(t, time.Second, "end", func() bool { return app.Calls()[0].EndedBy == "them" })
}

func TestBehaviors(t *testing.T) {
	c, app := pair(t, Options{Numbers: map[string]Behavior{"1": Busy, "2": Forbidden, "3": NotFound, "4": Declined, "5": Unanswered, "6": EarlyMedia, "7": Hangup}})
	for number, code := range map[string]int{"1": 486, "2": 403, "3": 404, "4": 603} {
		_, err := app.Call(t.Context(), "a", number)
		if refused, ok := errors.AsType[*Refused](err); !ok || refused.Code != code {
			t.Errorf("number %s: %v, want %d", number, err, code)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := app.Call(ctx, "a", "5"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("unanswered: %v", err)
	}
	within(t, time.Second, "487", func() bool { calls := c.Calls(); return calls[len(calls)-1].Code == 487 })
	call, err := app.Call(t.Context(), "a", "7")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-call.Ended():
	case <-time.After(5 * time.Second):
		t.Error("number 7 did not hang up")
	}
	if call, err = app.Call(t.Context(), "a", "6"); err != nil {
		t.Fatal(err)
	}
	call.HangUp(t.Context())
	c.SetFaults(Faults{InviteCode: 500})
	if _, err = app.Call(t.Context(), "a", "6"); err == nil || err.Error() != "500 Server Internal Error" {
		t.Errorf("fault: %v", err)
	}
}

// TestLoop calls a number of the customer: the carrier brings the call back, and both calls end together.
func TestLoop(t *testing.T) {
	c, app := pair(t, Options{DIDs: []string{"+15550001234"}})
	call, err := app.Call(t.Context(), "+15550001234", "+15550001234")
	if err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "media of the app to itself", func() bool { return call.Info().Media.Hertz == tones[1] })
	if n := len(c.Calls()); n != 2 {
		t.Errorf("the carrier saw %d calls", n)
	}
	if err := call.HangUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "the end of all four", func() bool {
		for _, i := range append(c.Calls(), app.Calls()...) {
			if i.End.IsZero() {
				return false
			}
		}
		return true
	})
}

// TestDigest registers and calls with and without credentials.
func TestDigest(t *testing.T) {
	for _, algorithm := range []string{"MD5", "SHA-256", "SHA-512-256"} {
		t.Run(algorithm, func(t *testing.T) {
			c, app := pair(t, Options{User: "alice", Password: "secret", Algorithm: algorithm, MinExpires: 60, MaxExpires: 120})
			if _, err := app.Call(t.Context(), "a", "1"); err == nil || err.Error() != "407 Proxy Authentication Required" {
				t.Errorf("without credentials: %v", err)
			}
			register := func(password string, expires string) *sip.Response {
				t.Helper()
				req := sip.NewRequest(sip.REGISTER, sip.Uri{Scheme: "sip", Host: "127.0.0.1", Port: int(c.Addr().Port())})
				req.AppendHeader(&sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: "alice", Host: "127.0.0.1"}, Params: tagged()})
				req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: "alice", Host: "127.0.0.1"}, Params: sip.NewParams()})
				req.AppendHeader(app.phone.stack.contact("alice", "udp"))
				req.AppendHeader(sip.NewHeader("Expires", expires))
				res, err := app.phone.stack.udp.Do(t.Context(), req)
				if err != nil || res.StatusCode != 401 {
					t.Fatalf("%v %v", res, err)
				}
				chal, err := digest.ParseChallenge(res.GetHeader("WWW-Authenticate").Value())
				if err != nil || chal.Algorithm != algorithm {
					t.Fatalf("%+v %v", chal, err)
				}
				cred, err := digest.Digest(chal, digest.Options{Method: "REGISTER", URI: req.Recipient.String(), Username: "alice", Password: password})
				if err != nil {
					t.Fatal(err)
				}
				again := req.Clone()
				again.RemoveHeader("Via")
				again.CSeq().SeqNo++
				again.AppendHeader(sip.NewHeader("Authorization", cred.String()))
				res, err = app.phone.stack.udp.Do(t.Context(), again)
				if err != nil {
					t.Fatal(err)
				}
				return res
			}
			if res := register("wrong", "300"); res.StatusCode != 403 {
				t.Errorf("wrong password: %d", res.StatusCode)
			}
			if res := register("secret", "10"); res.StatusCode != 423 || res.GetHeader("Min-Expires").Value() != "60" {
				t.Errorf("too brief: %v", res)
			}
			res := register("secret", "300")
			if granted, _ := res.Contact().Params.Get("expires"); res.StatusCode != 200 || granted != "120" {
				t.Errorf("registered: %v", res)
			}
			if _, ok := c.Registered("alice"); !ok {
				t.Error("not registered")
			}
			if call, err := c.Call(t.Context(), "x", "y"); err != nil {
				t.Errorf("call to the registered contact: %v", err)
			} else {
				call.HangUp(t.Context())
			}
			if res := register("secret", "0"); res.StatusCode != 200 || res.Contact() != nil {
				t.Errorf("removed: %v", res)
			}
			if _, ok := c.Registered("alice"); ok {
				t.Error("still registered")
			}
			if n := len(c.Registrations()); n != 4 {
				t.Errorf("%d registrations seen", n)
			}
		})
	}
}

func tagged() sip.HeaderParams {
	p := sip.NewParams()
	p.Add("tag", sip.GenerateTagN(8))
	return p
}

func TestPace(t *testing.T) {
	p := pace{}
	at := time.Unix(0, 0)
	var taken []time.Duration
	for i := range 40 {
		if d := time.Duration(i) * 100 * time.Millisecond; p.admit(at.Add(d), 3) {
			taken = append(taken, d)
		}
	}
	for i := 3; i < len(taken); i++ {
		if taken[i]-taken[i-3] < time.Second {
			t.Errorf("four calls within %v", taken[i]-taken[i-3])
		}
	}
	if len(taken) != 12 || p.refused() != 28 {
		t.Errorf("taken %v, refused %d", taken, p.refused())
	}
}

func TestG711(t *testing.T) {
	for _, codec := range []byte{0, 8} {
		for sample := -32768; sample <= 32767; sample += 7 {
			got := decode(codec, encode(codec, int16(sample)))
			if diff := math.Abs(float64(got) - float64(sample)); diff > math.Max(16, math.Abs(float64(sample))/15) {
				t.Fatalf("codec %d: %d became %d", codec, sample, got)
			}
		}
	}
}

func TestReadAudio(t *testing.T) {
	tests := []struct {
		name, sdp string
		want      audio
	}{
		{"session address", "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 0\r\n", audio{netip.MustParseAddrPort("192.0.2.1:4000"), 8, true, true, true}},
		{"media address wins", "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\nc=IN IP6 2001:db8::1\n", audio{netip.MustParseAddrPort("[2001:db8::1]:4000"), 0, true, true, true}},
		{"video is passed over", "c=IN IP4 192.0.2.1\nm=video 5000 RTP/AVP 96\nm=audio 4000 RTP/AVP 0\na=sendonly\n", audio{netip.MustParseAddrPort("192.0.2.1:4000"), 0, true, false, true}},
		{"refused", "c=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\n", audio{netip.MustParseAddrPort("192.0.2.1:0"), 0, true, true, false}},
		{"old hold", "c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n", audio{netip.MustParseAddrPort("0.0.0.0:4000"), 0, true, false, true}},
		{"no codec of ours", "c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 9\n", audio{netip.AddrPort{}, -1, true, true, false}},
		{"rubbish", "hello", audio{netip.AddrPort{}, -1, true, true, false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := readAudio([]byte(test.sdp)); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}
