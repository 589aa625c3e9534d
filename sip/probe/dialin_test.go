package probe_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/sip/probe"
	"trunkline/sip/wire"
)

const (
	number = "+15550001234"
	listed = `source_addresses: ["192.0.2.20"]`
)

// looping is a carrier that sends a call to called, by caller, back to the edge, as written, and then does what its own caller
// hears of it.
func looping(called, caller string) map[wire.Method]says {
	var out *wire.Message
	answered := map[string]bool{}
	return map[wire.Method]says{
		wire.OPTIONS: with(200),
		wire.CANCEL: func(w *world, m *wire.Message) {
			w.answer(m, 200)
			w.answer(out, 487)
		},
		wire.INVITE: func(w *world, m *wire.Message) {
			out = m
			w.answer(m, 100)
			w.answer(m, 183)
			w.sendInvite(called, caller)
		},
		wire.Unknown: func(w *world, m *wire.Message) { // what the edge answers
			if m.Status >= 300 {
				if answered[string(m.Via.Branch)] {
					w.Errorf("the ACK for the %d had no effect", m.Status)
				}
				answered[string(m.Via.Branch)] = true
				w.sendAck(m)
				w.answer(out, m.Status)
			}
		},
	}
}

func (w *world) sendInvite(called, caller string) {
	w.send(fmt.Sprintf("INVITE sip:%s@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.20:5060;branch=z9hG4bKin%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:%s@carrier.example>;tag=in\r\nTo: <sip:%s@192.0.2.1>\r\nCall-ID: in%[2]d\r\nCSeq: 1 INVITE\r\nContact: <sip:192.0.2.20>\r\nContent-Length: 0\r\n\r\n",
		called, len(w.got), caller, called))
}

func (w *world) sendAck(m *wire.Message) {
	w.send(fmt.Sprintf("ACK sip:x@192.0.2.1 SIP/2.0\r\nVia: %s\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
		m.Get(wire.HVia), m.Get(wire.HFrom), m.Get(wire.HTo), m.CallID))
}

func (w *world) send(text string) {
	if err := w.carrier.Send(edgeAt, []byte(text)); err != nil {
		w.Error(err)
	}
}

// The armed dial-in: our own call is seen and answered 486, however the carrier writes the numbers; anybody else's is not.
func TestDialIn(t *testing.T) {
	for _, test := range []struct {
		name           string
		trunk          string
		called, caller string
		number, from   string
		want           string // of the two steps
		format         string
	}{
		{"as dialled", listed, number, number, number, "", "INVITE=pass dial-in=pass", "e164"},
		{"without the plus", listed, "15550001234", "15550001234", number, "", "INVITE=pass dial-in=pass", "digits"},
		{"national", listed + ", country_code: \"1\"", "5550001234", "5550001234", number, "", "INVITE=pass dial-in=pass", "national"},
		{"another caller of ours", listed, number, "+15550009999", number, "+15550009999", "INVITE=pass dial-in=pass", "e164"},
		{"from an address that is not listed", "", number, number, number, "", "INVITE=pass dial-in=fail/unlisted_source", "e164"},
		{"somebody else calls the number meanwhile", listed, number, "+14155550199", number, "", "INVITE=pass dial-in=inconclusive/caller_changed", ""},
		{"the caller is withheld", listed, number, "anonymous", number, "", "INVITE=pass dial-in=inconclusive/caller_changed", ""},
		{"a call to another number", listed, "+15550007777", number, number, "", "INVITE=pass dial-in=fail/did_not_arrive", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			probed(t, test.trunk, looping(test.called, test.caller), probe.Request{Number: test.number, From: test.from, Checks: []probe.Check{probe.Inbound, probe.Outbound}}, func(w *world, r probe.Report) {
				got := strings.TrimPrefix(strings.Split(verdicts(r), ";")[0], "OPTIONS=pass ")
				if got != test.want {
					t.Errorf("got %s, want %s\n%+v", got, test.want, r.Steps)
				}
				everyFailureIsExplained(t, r)
				if test.format == "" {
					return
				}
				in := r.Facts.Inbound
				if in == nil || in.Format != test.format || in.Called != test.called || in.Source != carrierAt.String() || in.Transport != "udp" {
					t.Errorf("arrived as %+v", in)
				}
			})
		})
	}
}

// What becomes of the call out, when nothing comes in.
func TestDialInDoesNotArrive(t *testing.T) {
	var invite *wire.Message
	cancelled := func(w *world, m *wire.Message) {
		w.answer(m, 200)
		w.answer(invite, 487)
	}
	keep := func(status ...int) says {
		return func(w *world, m *wire.Message) {
			invite = m
			for _, s := range status {
				w.answer(m, s)
			}
		}
	}
	for _, test := range []struct {
		name   string
		invite says
		want   string
	}{
		{"it rings elsewhere", keep(100, 180), "fail/routed_elsewhere"},
		{"it is answered elsewhere", keep(200), "fail/routed_elsewhere"},
		{"it is busy elsewhere", keep(180, 486), "fail/routed_elsewhere"},
		{"the carrier keeps it", keep(100), "fail/did_not_arrive"},
		{"nobody is there", keep(480), "fail/did_not_arrive"},
		{"the caller is refused", with(403, `Warning: 399 sbc "Invalid caller ID"`), "inconclusive/caller_id_refused"},
		{"silence", func(*world, *wire.Message) {}, "fail/no_response"},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := map[wire.Method]says{wire.OPTIONS: with(200), wire.INVITE: test.invite, wire.CANCEL: cancelled, wire.BYE: with(200)}
			probed(t, listed, script, probe.Request{Number: number, Checks: []probe.Check{probe.Inbound}}, func(w *world, r probe.Report) {
				in := r.Result(probe.Inbound)
				if got := fmt.Sprintf("%s/%s", in.Verdict, in.Code); got != test.want {
					t.Errorf("got %s, want %s: %s", got, test.want, in.Message)
				}
				if r.Duration.D() > 13*time.Second {
					t.Errorf("it took %s", r.Duration.D())
				}
				everyFailureIsExplained(t, r)
			})
		})
	}
}

// One live test call for a number: the second probe waits for the first one's call to end, and both come to a verdict.
func TestOneCallForANumber(t *testing.T) {
	script := looping(number, number)
	up, most := 0, 0
	invite := script[wire.INVITE]
	script[wire.INVITE] = func(w *world, m *wire.Message) {
		if up++; up > most {
			most = up
		}
		invite(w, m)
	}
	answered := script[wire.Unknown]
	script[wire.Unknown] = func(w *world, m *wire.Message) {
		if m.Status >= 300 {
			up--
		}
		answered(w, m)
	}
	inWorld(t, listed, script, func(w *world) {
		p := probe.New(probe.Options{Engine: w.edge})
		reports := make(chan probe.Report, 5)
		for range cap(reports) {
			if _, err := p.Start(probe.Request{Trunk: w.trunk, Number: number, Checks: []probe.Check{probe.Inbound}}, func(r probe.Report) { reports <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range cap(reports) {
			if r := <-reports; !r.Passed() {
				t.Errorf("%+v", r.Steps)
			}
		}
		if most != 1 {
			t.Errorf("%d calls at once", most)
		}
		p.Close(w.Context())
	})
}

// On exit every call under way is given up, and nothing begins any more.
func TestClose(t *testing.T) {
	var invite *wire.Message
	script := map[wire.Method]says{
		wire.OPTIONS: with(200),
		wire.INVITE: func(w *world, m *wire.Message) {
			invite = m
			w.answer(m, 100)
		},
		wire.CANCEL: func(w *world, m *wire.Message) {
			w.answer(m, 200)
			w.answer(invite, 487)
		},
	}
	inWorld(t, byAddress, script, func(w *world) {
		p := probe.New(probe.Options{Engine: w.edge})
		done := make(chan probe.Report, 1)
		go func() {
			r, err := p.Run(w.Context(), probe.Request{Trunk: w.trunk, To: "+14155550100"})
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(w.Context(), 3*time.Second)
		defer cancel()
		p.Close(ctx)
		if ctx.Err() != nil || p.InFlight() != 0 {
			t.Errorf("%v, %d in flight", ctx.Err(), p.InFlight())
		}
		if r := <-done; r.Result(probe.Outbound).Code != probe.Interrupted {
			t.Errorf("%+v", r.Checks)
		}
		time.Sleep(10 * time.Millisecond) // on its way
		if got := w.methods(); got != "OPTIONS INVITE CANCEL ACK" {
			t.Errorf("the carrier received %s", got)
		}
		if _, err := p.Run(w.Context(), probe.Request{Trunk: w.trunk}); err != probe.ErrClosed {
			t.Errorf("%v after Close", err)
		}
	})
}

// The rate holds for all probes together.
func TestRate(t *testing.T) {
	inWorld(t, byAddress, map[wire.Method]says{wire.OPTIONS: with(200)}, func(w *world) {
		p := probe.New(probe.Options{Engine: w.edge, Rate: 10})
		begin := time.Now()
		done := make(chan probe.Report, 21)
		for range cap(done) {
			if _, err := p.Start(probe.Request{Trunk: w.trunk}, func(r probe.Report) { done <- r }); err != nil {
				t.Fatal(err)
			}
		}
		for range cap(done) {
			<-done
		}
		if took := time.Since(begin); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("21 probes at 10 a second took %s", took)
		}
		p.Close(w.Context())
	})
}

// What must never be called is refused before anything is sent.
func TestNeverCalled(t *testing.T) {
	inWorld(t, byAddress, map[wire.Method]says{}, func(w *world) {
		p := probe.New(probe.Options{Engine: w.edge})
		for _, to := range []string{"911", "112", "+1911", "+44999", "+49112", "sip:911@carrier.example", "sip:%39%31%31@carrier.example", "sip:1-1-2@carrier.example",
			"sips:+112@carrier.example", "sip:sos@carrier.example", "sip:sos.fire@carrier.example", "+19005550100", "+88161234567", "sip:+449012345678@carrier.example;user=phone",
			"tel:911", "urn:service:sos", "14155550100", "bob", "sip:a b@carrier.example"} {
			_, err := p.Run(w.Context(), probe.Request{Trunk: w.trunk, To: to})
			if wrong, ok := err.(*probe.RequestError); !ok || wrong.Field != "To" {
				t.Errorf("%s: %v", to, err)
			}
			if _, err := p.Run(w.Context(), probe.Request{Trunk: w.trunk, Number: to}); err == nil {
				t.Errorf("%s is taken as the number under test", to)
			}
		}
		if len(w.received()) != 0 {
			t.Errorf("the carrier received %s", w.methods())
		}
	})
}

// A trunk on a private network is not tested for strangers.
func TestPublicOnly(t *testing.T) {
	probed(t, byAddress, map[wire.Method]says{}, probe.Request{Public: true}, func(w *world, r probe.Report) {
		if got := r.Result(probe.Credentials); got.Code != probe.PrivateTarget || len(w.received()) != 0 {
			t.Errorf("%+v, and %d messages", got, len(w.received()))
		}
	})
}

// Drift is told when it lasts: a check that fails twice, and one that passes again.
func TestDrift(t *testing.T) {
	var good atomic.Bool
	good.Store(true)
	script := map[wire.Method]says{wire.OPTIONS: with(200), wire.REGISTER: func(w *world, m *wire.Message) {
		if good.Load() {
			challenging(with(200, "Contact: <sip:192.0.2.1:5060>;expires=60"))(w, m)
			return
		}
		w.answer(m, 403)
	}}
	inWorld(t, withCredentials+", register: true", script, func(w *world) {
		var mu sync.Mutex
		var drifts []string
		p := probe.New(probe.Options{Engine: w.edge})
		v := probe.NewVerifier(probe.VerifierOptions{Prober: p, Trunks: time.Hour, Drifted: func(d probe.Drift) {
			mu.Lock()
			defer mu.Unlock()
			drifts = append(drifts, fmt.Sprintf("%s %s %s→%s/%s", d.Trunk, d.Now.Check, d.Was, d.Now.Verdict, d.Now.Code))
		}})
		v.Apply(w.edge.Trunks())
		told := func(want ...string) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if got := strings.Join(drifts, ", "); got != strings.Join(want, ", ") {
				t.Errorf("told of %s, want %s", got, strings.Join(want, ", "))
			}
			drifts = nil
		}
		time.Sleep(3 * time.Hour)
		told()
		good.Store(false)
		time.Sleep(66*time.Minute + 2*time.Minute)
		told("carrier credentials_valid pass→fail/ip_not_allowed")
		good.Store(true)
		time.Sleep(70 * time.Minute)
		told("carrier credentials_valid fail→pass/")
		v.Close()
		time.Sleep(5 * time.Hour)
		told()
		p.Close(w.Context())
	})
}

// A test call is written as calls to the trunk are: the number's form, the prefix, who stands in From, and who is asserted.
func TestInviteAsCallsAre(t *testing.T) {
	for _, test := range []struct{ name, trunk, uri, to, from, asserted string }{
		{"plain", "", "sip:+14155550100@carrier.example", "sip:+14155550100@carrier.example", "sip:+15550001234@carrier.example", ""},
		{"digits, a prefix and user=phone", "number_format: digits, tech_prefix: \"77\", user_phone: true",
			"sip:7714155550100@carrier.example;user=phone", "sip:7714155550100@carrier.example;user=phone", "sip:15550001234@carrier.example;user=phone", ""},
		{"the account in From", withCredentials + ", from_user: auth_user, from_domain: home.example, trusted: true",
			"sip:+14155550100@carrier.example", "sip:+14155550100@carrier.example", "sip:alice@home.example", "<sip:+15550001234@carrier.example>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			probed(t, test.trunk, ringing(map[wire.Method]says{wire.OPTIONS: with(200)}), probe.Request{To: "+14155550100", From: number}, func(w *world, r probe.Report) {
				for _, m := range w.received() {
					if m.Method != wire.INVITE {
						continue
					}
					if string(m.URI) != test.uri || string(m.To.URI) != test.to || string(m.From.URI) != test.from || string(m.Get(wire.HPAssertedIdentity)) != test.asserted {
						t.Errorf("%s to %s from %s, asserted %s", m.URI, m.To.URI, m.From.URI, m.Get(wire.HPAssertedIdentity))
					}
				}
			})
		})
	}
}

// Whoever watches a probe gets each step with its messages as it ends, without what authenticates.
func TestStepsCarryTheirMessages(t *testing.T) {
	inWorld(t, withCredentials, ringing(map[wire.Method]says{wire.OPTIONS: with(200), wire.INVITE: challenging(nil)}), func(w *world) {
		told := map[string]string{}
		r := w.run(w.Context(), probe.Request{To: "+14155550100", Messages: true, Progress: func(s probe.Step) {
			for _, m := range s.Messages {
				line, _, _ := strings.Cut(string(m.Bytes), "\r\n")
				told[s.Name] += strings.Fields(strings.TrimPrefix(line, "SIP/2.0 "))[0] + " "
			}
		}})
		want := map[string]string{"OPTIONS": "OPTIONS 200 ", "INVITE": "INVITE 401 ACK INVITE 100 183 CANCEL 200 487 ACK "}
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", told, want)
		}
		if n := len(r.Messages()); n != 12 {
			t.Errorf("%d messages in the report", n)
		}
	})
}

// A server that is silent where it was looked for has its usual port asked once, and is found there.
func TestWrongPort(t *testing.T) {
	probed(t, `server: "192.0.2.20:5070", `+withCredentials, map[wire.Method]says{wire.OPTIONS: with(200)}, probe.Request{Provider: "register"}, func(w *world, r probe.Report) {
		got := r.Result(probe.Credentials)
		if got.Verdict != probe.Fail || got.Code != probe.WrongPort || got.Fix != "set the server's port to 5060" || !strings.Contains(got.Message, "port 5070") {
			t.Errorf("%+v", got)
		}
		everyFailureIsExplained(t, r)
	})
}

// One trunk of a name with several addresses: the first that answers is used from then on.
func TestNextAddress(t *testing.T) {
	inWorld(t, withCredentials, map[wire.Method]says{wire.OPTIONS: with(200), wire.REGISTER: challenging(with(200))}, func(w *world) {
		trunk := *w.trunk
		trunk.Register = true
		trunk.Servers = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.21:5060"), carrierAt}
		report, err := probe.New(probe.Options{Engine: w.edge}).Run(w.Context(), probe.Request{Trunk: &trunk})
		if err != nil {
			t.Fatal(err)
		}
		const want = "OPTIONS=inconclusive/no_response OPTIONS=pass REGISTER=pass; credentials_valid=pass inbound_reachable=skipped/not_run outbound_authorized=skipped/not_run"
		if got := verdicts(report); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
		if len(report.Facts.Addresses) != 2 || report.Facts.RTT == 0 || report.Facts.SeenAs != edgeAt.String() {
			t.Errorf("%+v", report.Facts)
		}
	})
}
