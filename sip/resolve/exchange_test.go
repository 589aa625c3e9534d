package resolve

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"trunkline/config"
)

func TestTruncatedAnswerIsAskedForOverTCP(t *testing.T) {
	var zone strings.Builder
	for i := range 60 {
		fmt.Fprintf(&zone, "_sip._udp.big.example.com. 60 IN SRV %d 0 5060 a-rather-long-name-%d.big.example.com.\n", i, i)
		fmt.Fprintf(&zone, "a-rather-long-name-%d.big.example.com. 60 IN A 192.0.2.%d\n", i, i+1)
	}
	server := newNameserver(t, zone.String())
	server.oddly(func(w dns.ResponseWriter, m *dns.Msg) bool {
		answer := server.answer(m)
		if w.LocalAddr().Network() == "udp" {
			answer.Truncate(int(m.IsEdns0().UDPSize()))
		}
		w.WriteMsg(answer)
		return true
	})
	got, err := newTestResolver(t, server).Resolve(t.Context(), Query{Host: "big.example.com", Transport: config.UDP})
	if err != nil || len(got.Targets) != maxRecords || got.Targets[31].Addr.String() != "192.0.2.32:5060" {
		t.Errorf("%d targets, %v; want the first %d", len(got.Targets), err, maxRecords)
	}
	overTCP := 0
	for _, asked := range server.queries() {
		if strings.HasPrefix(asked, "tcp SRV") {
			overTCP++
		}
	}
	if overTCP != 1 {
		t.Errorf("asked %d times over TCP, want once", overTCP)
	}
}

// TestFaultyResolver has one resolver fail in every way and another one that works.
func TestFaultyResolver(t *testing.T) {
	const zone = "gw.example.com. 60 IN A 192.0.2.1"
	for _, test := range []struct {
		name string
		odd  func(w dns.ResponseWriter, m *dns.Msg) bool
		fine bool // it is no fault after all
	}{
		{name: "silence", odd: func(dns.ResponseWriter, *dns.Msg) bool { return true }},
		{name: "it has failed itself", odd: reply(func(a *dns.Msg) { a.Rcode = dns.RcodeServerFailure })},
		{name: "it refuses us", odd: reply(func(a *dns.Msg) { a.Rcode = dns.RcodeRefused })},
		{name: "it answers another name", odd: reply(func(a *dns.Msg) { a.Question[0].Name = "other.example.com." })},
		{name: "it answers another type", odd: reply(func(a *dns.Msg) { a.Question[0].Qtype = dns.TypeMX })},
		{name: "it answers no question", odd: reply(func(a *dns.Msg) { a.Question = nil })},
		{name: "it sends the question back", odd: reply(func(a *dns.Msg) { a.Response = false })},
		{name: "garbage", odd: func(w dns.ResponseWriter, m *dns.Msg) bool {
			garbage := binary.BigEndian.AppendUint16(nil, m.Id)
			w.Write(append(garbage, "\x81\x80\x00\x01\xff\xff\x00\x00\x00\x00\xc0\x0c\xc0\x0c"...))
			return true
		}},
		{name: "one octet", odd: func(w dns.ResponseWriter, _ *dns.Msg) bool { w.Write([]byte{1}); return true }},
		{name: "truncated over TCP too", odd: reply(func(a *dns.Msg) { a.Truncated = true; a.Rcode = dns.RcodeServerFailure })},
		{name: "another id, then the right one", fine: true, odd: func(w dns.ResponseWriter, m *dns.Msg) bool {
			a := new(dns.Msg).SetReply(m)
			a.Id++
			w.WriteMsg(a)
			return false
		}},
		{name: "it does not know EDNS", fine: true, odd: func(w dns.ResponseWriter, m *dns.Msg) bool {
			if m.IsEdns0() == nil {
				return false
			}
			w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeFormatError))
			return true
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			faulty, good := newNameserver(t, zone), newNameserver(t, zone)
			faulty.oddly(test.odd)
			r := newTestResolver(t, faulty, good)
			query := Query{Host: "gw.example.com", Port: 5060}
			got, err := r.Resolve(t.Context(), query)
			if err != nil || show(got.Targets) != "udp 192.0.2.1:5060" {
				t.Errorf("with another resolver: %s, %v", show(got.Targets), err)
			}
			if asked := len(good.queries()) > 0; asked == test.fine {
				t.Errorf("the other resolver was asked: %v", asked)
			}
			if first := r.system.resolvers()[0]; (first == good.addr.String()) == test.fine {
				t.Errorf("%s is asked first from now on", first)
			}
			if test.fine {
				return
			}
			alone := newTestResolver(t, faulty)
			if _, err := alone.Resolve(t.Context(), query); !errors.Is(err, ErrUnavailable) {
				t.Errorf("alone: %v", err)
			}
			faulty.queries()
			start := time.Now()
			if _, err := alone.Resolve(t.Context(), query); !errors.Is(err, ErrUnavailable) || time.Since(start) > 50*time.Millisecond {
				t.Errorf("at once again: %v after %s", err, time.Since(start))
			}
			if asked := faulty.queries(); len(asked) > 0 {
				t.Errorf("it is not left alone: %q", asked)
			}
		})
	}
}

// reply answers as the zone does not, with what f makes of an empty answer.
func reply(f func(*dns.Msg)) func(w dns.ResponseWriter, m *dns.Msg) bool {
	return func(w dns.ResponseWriter, m *dns.Msg) bool {
		a := new(dns.Msg).SetReply(m)
		a.Question = append([]dns.Question(nil), m.Question...)
		f(a)
		w.WriteMsg(a)
		return true
	}
}

func TestNoResolverAtAll(t *testing.T) {
	if _, err := newTestResolver(t).Resolve(t.Context(), Query{Host: "gw.example.com"}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestSRVThatNobodyAnswersGivesWayToAddresses(t *testing.T) {
	server := newNameserver(t, exampleZone)
	server.oddly(func(_ dns.ResponseWriter, m *dns.Msg) bool { return m.Question[0].Qtype == dns.TypeSRV })
	r := newTestResolver(t, server)
	r.timeout = 20 * time.Millisecond
	got, err := r.Resolve(t.Context(), Query{Host: "plain.example.com", Transport: config.TCP})
	if s := show(got.Targets); err != nil || s != "tcp 192.0.2.4:5060, tcp 192.0.2.5:5060, tcp [2001:db8::4]:5060" {
		t.Errorf("%s, %v", s, err)
	}
	if left := time.Until(got.Until); left > failureRest {
		t.Errorf("that lasts %s", left)
	}
}

func TestManyAskAtOnceAndOneQuestionGoesOut(t *testing.T) {
	server := newNameserver(t, "gw.example.com. 60 IN A 192.0.2.1")
	r := newTestResolver(t, server)
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if got, err := r.Resolve(t.Context(), Query{Host: "gw.example.com", Port: 5060}); err != nil || len(got.Targets) != 1 {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	all.Wait()
	if asked := server.queries(); len(asked) != 2 {
		t.Errorf("asked %q, want A and AAAA once", asked)
	}
}

func TestAliasesOverSeveralAnswers(t *testing.T) {
	server := newNameserver(t, exampleZone)
	server.oddly(func(w dns.ResponseWriter, m *dns.Msg) bool { // one alias at a time, as some forwarders do
		a := server.answer(m)
		if len(a.Answer) > 1 {
			a.Answer = a.Answer[:1]
		}
		a.Ns = nil
		w.WriteMsg(a)
		return true
	})
	r := newTestResolver(t, server)
	if got, err := r.Resolve(t.Context(), Query{Host: "c.example.com", Port: 5060}); err != nil || show(got.Targets) != "udp 192.0.2.3:5060" {
		t.Errorf("%s, %v", show(got.Targets), err)
	}
	if _, err := r.Resolve(t.Context(), Query{Host: "loop.example.com", Port: 5060}); !errors.Is(err, ErrChain) {
		t.Errorf("a ring: %v", err)
	}
	server.oddly(func(w dns.ResponseWriter, m *dns.Msg) bool { // a chain without end
		a := new(dns.Msg).SetReply(m)
		rr, _ := dns.NewRR(m.Question[0].Name + " 60 IN CNAME x." + m.Question[0].Name)
		a.Answer = []dns.RR{rr}
		w.WriteMsg(a)
		return true
	})
	if _, err := r.Resolve(t.Context(), Query{Host: "endless.example.com", Port: 5060}); !errors.Is(err, ErrChain) {
		t.Errorf("a chain without end: %v", err)
	}
	if asked := server.queries(); len(asked) > 40 {
		t.Errorf("%d questions", len(asked))
	}
}
