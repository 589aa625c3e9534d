package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"trunkline/config"
	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// engine notes what is sent and answers as the test says.
type engine struct {
	mu     sync.Mutex
	sent   map[string][]time.Time // by trunk
	answer func(o sip.Outside)
	bytes  []byte // last sent
}

func (e *engine) Way(t *trunks.Trunk, nth int) (transport.Flow, string, bool) {
	return transport.Flow{Proto: transport.UDP, Remote: t.Servers[nth]}, "<sip:192.0.2.1:5060>", t.Name != "nowhere"
}

func (e *engine) Judge(now time.Time, t *trunks.Trunk, nth int, s trunks.Sign) { t.Judge(now, nth, s) }

func (e *engine) Send(_ context.Context, _ uint64, o sip.Outside) (*sip.Sent, error) {
	e.mu.Lock()
	e.sent[o.Flow.Remote.String()] = append(e.sent[o.Flow.Remote.String()], time.Now())
	e.bytes = o.Write(nil, []byte("z9hG4bK1"), "192.0.2.1:5060")
	e.mu.Unlock()
	e.answer(o)
	return nil, nil
}

func answering(status int) func(sip.Outside) {
	return func(o sip.Outside) { o.Response(time.Now(), &wire.Message{Status: status}) }
}

func snapshot(t *testing.T, text string) *trunks.Snapshot {
	t.Helper()
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + text})
	if err != nil {
		t.Fatal(err)
	}
	s, err := trunks.Build(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// RTE-09: many trunks are spread over their interval, and stay so.
func TestOptionsAreSpreadInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text strings.Builder
		text.WriteString("trunks:\n")
		for i := range 1000 {
			fmt.Fprintf(&text, "  - {name: t%d, server: 10.0.%d.%d, health: {interval: 10s}}\n", i, i/200, i%200+1)
		}
		e := &engine{sent: map[string][]time.Time{}, answer: answering(200)}
		w, began := New(e), time.Now()
		w.Apply(snapshot(t, text.String()))
		time.Sleep(60*time.Second - time.Nanosecond)
		w.Close()
		seconds := map[int]int{}
		for server, times := range e.sent {
			for i, at := range times {
				seconds[int(at.Sub(began)/time.Second)]++
				if i > 0 && (at.Sub(times[i-1]) < 9*time.Second || at.Sub(times[i-1]) > 11*time.Second) {
					t.Errorf("%s: %s between two OPTIONS", server, at.Sub(times[i-1]))
				}
			}
		}
		for second := range 60 {
			if n := seconds[second]; n < 50 || n > 170 {
				t.Errorf("%d OPTIONS in second %d, about 100 were due", n, second)
			}
		}
		sent := len(e.sent)
		time.Sleep(time.Minute)
		if len(e.sent) != sent {
			t.Error("OPTIONS after Close")
		}
	})
}

// RTE-09, SC2-08: what is sent, and what each end of it means.
func TestOptions(t *testing.T) {
	const one = `trunks: [{name: carrier, server: "192.0.2.20:5070", outbound_proxy: "192.0.2.21:5060", domain: carrier.example, auth_user: a b, auth_password: s, health: {interval: 10s, misses: 1, hits: 1}}]`
	synctest.Test(t, func(t *testing.T) {
		e := &engine{sent: map[string][]time.Time{}, answer: answering(481)}
		w := New(e)
		s := snapshot(t, one)
		w.Apply(s)
		for len(e.bytes) == 0 { // the first comes at any time within the interval, the next 9 to 11 s later
			time.Sleep(time.Second)
			synctest.Wait()
		}
		for _, line := range []string{"OPTIONS sip:carrier.example SIP/2.0\r\n", "\r\nRoute: <sip:192.0.2.21:5060;lr>\r\n",
			"\r\nFrom: <sip:a%20b@carrier.example>;tag=", "\r\nMax-Forwards: 70\r\n", "\r\nCSeq: 1 OPTIONS\r\n", "\r\nContact: <sip:192.0.2.1:5060>\r\n"} {
			if !bytes.Contains(e.bytes, []byte(line)) {
				t.Errorf("no %q in\n%s", line, e.bytes)
			}
		}
		for _, step := range []struct {
			name   string
			answer func(sip.Outside)
			down   bool
		}{
			{"503", answering(503), true},
			{"any other", answering(407), false},
			{"408", answering(408), true},
			{"200", answering(200), false},
			{"an error", func(o sip.Outside) { o.Failed(time.Now(), errors.New("refused")) }, true},
			{"200 again", answering(200), false},
			{"silence", func(o sip.Outside) { o.Failed(time.Now(), sip.ErrSilent) }, true},
		} {
			e.answer = step.answer
			time.Sleep(11 * time.Second)
			if s.Trunk("carrier").Down() != step.down {
				t.Errorf("%s: down is %t", step.name, !step.down)
			}
		}
		want := `
# HELP trunkline_trunk_up 0 while every server of the trunk is down.
# TYPE trunkline_trunk_up gauge
trunkline_trunk_up{trunk="carrier"} 0
`
		w.Apply(s) // changes nothing
		if err := testutil.CollectAndCompare(w, strings.NewReader(want), "trunkline_trunk_up"); err != nil {
			t.Error(err)
		}
		for s, n := range w.counts["carrier"].results {
			if n == 0 {
				t.Errorf("no OPTIONS was counted as %s", results[s])
			}
		}
		if lint, err := testutil.CollectAndLint(w); err != nil || len(lint) > 0 {
			t.Error(lint, err)
		}
		before := len(e.sent["192.0.2.21:5060"])
		w.Apply(snapshot(t, `trunks: [{name: carrier, server: 192.0.2.20}]`))
		time.Sleep(time.Minute)
		if got := len(e.sent["192.0.2.21:5060"]); got != before || before == 0 {
			t.Errorf("%d OPTIONS, then %d without health.interval", before, got)
		}
		w.Close()
	})
}
