package resolve

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestCacheIsBounded(t *testing.T) {
	c := newCache(3)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	q := func(i int) question { return question{fmt.Sprintf("h%d.example.com.", i), dns.TypeA} }
	for i := range 3 {
		c.answered(now, q(i), records{ttl: time.Minute})
	}
	c.get(q(0))
	c.failed(now, q(3))
	for i, want := range []bool{true, false, true, true} {
		if got := c.get(q(i)) != nil; got != want {
			t.Errorf("entry %d kept: %v", i, got)
		}
	}
	if len(c.entries) != 3 || c.used.Len() != 3 {
		t.Errorf("%d entries, %d in order", len(c.entries), c.used.Len())
	}
	if c.get(q(3)).holds() {
		t.Error("a failure is no answer")
	}
}

func TestInterpret(t *testing.T) {
	for _, test := range []struct {
		name, question, answer string
		want                   string
	}{
		{"records of another name are not looked at", "a. A", "b. 60 IN A 192.0.2.1\na. 60 IN A 192.0.2.2\nc. 60 IN CNAME b.", "192.0.2.2 for 1m0s"},
		{"another class is not looked at", "a. A", "a. 60 CH A 192.0.2.1\na. 60 IN A 192.0.2.2", "192.0.2.2 for 1m0s"},
		{"the shortest TTL on the way counts", "a. A", "b. 60 IN A 192.0.2.1\na. 7 IN CNAME b.", "192.0.2.1 for 7s"},
		{"a TTL of 0 is a second", "a. A", "a. 0 IN A 192.0.2.1", "192.0.2.1 for 1s"},
		{"a TTL with its highest bit set is 0", "a. A", "a. 4294967295 IN A 192.0.2.1", "192.0.2.1 for 1s"},
		{"a long TTL is a day", "a. A", "a. 2147483647 IN A 192.0.2.1", "192.0.2.1 for 24h0m0s"},
		{"nothing, and nobody says for how long", "a. A", "", "none for 30s"},
		{"an alias that leads out", "a. A", "a. 60 IN CNAME b.", "go on with b."},
		{"an alias to itself", "a. A", "a. 60 IN CNAME a.", ErrChain.Error()},
		{"aliases in a ring further on", "a. A", "a. 60 IN CNAME b.\nb. 60 IN CNAME c.\nc. 60 IN CNAME b.", ErrChain.Error()},
		{"the same address twice", "a. A", "a. 60 IN A 192.0.2.1\na. 60 IN A 192.0.2.1", "192.0.2.1 for 1m0s"},
		{"an address in IPv6 clothes", "a. AAAA", "a. 60 IN AAAA ::ffff:192.0.2.1", "192.0.2.1 for 1m0s"},
		{"a port nobody can send to", "a. SRV", "a. 60 IN SRV 0 0 0 b.\na. 60 IN SRV 0 0 1 c.", "0/0 c.:1 for 1m0s"},
		{"one server twice counts once", "a. SRV", "a. 60 IN SRV 0 1 1 b.\na. 60 IN SRV 0 2 1 B.", "0/2 b.:1 for 1m0s"},
		{"a regular expression is no way to SRV", "a. NAPTR", `a. 60 IN NAPTR 1 1 "s" "SIP+D2U" "!.*!x!" b.`, "none for 30s"},
		{"flag a is no way to SRV", "a. NAPTR", `a. 60 IN NAPTR 1 1 "a" "SIP+D2U" "" b.`, "none for 30s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			name, kind, _ := strings.Cut(test.question, " ")
			q := question{name, dns.StringToType[kind]}
			m := new(dns.Msg).SetQuestion(q.name, q.kind)
			for line := range strings.SplitSeq(test.answer, "\n") {
				if rr, err := dns.NewRR(line); err != nil {
					t.Fatal(err)
				} else if rr != nil {
					m.Answer = append(m.Answer, rr)
				}
			}
			r, next, err := interpret(m, q)
			var got []string
			for _, a := range r.addrs {
				got = append(got, a.String())
			}
			for _, s := range r.srvs {
				got = append(got, fmt.Sprintf("%d/%d %s:%d", s.priority, s.weight, s.target, s.port))
			}
			if r.empty() {
				got = append(got, "none")
			}
			shown := fmt.Sprintf("%s for %s", strings.Join(got, ", "), r.ttl)
			switch {
			case err != nil:
				shown = err.Error()
			case next != "":
				shown = "go on with " + next
			}
			if shown != test.want {
				t.Errorf("got %q, want %q", shown, test.want)
			}
		})
	}
}

// FuzzInterpret reads any message as the answer to each kind of question.
func FuzzInterpret(f *testing.F) {
	seed := func(lines ...string) {
		m := new(dns.Msg).SetQuestion("a.example.com.", dns.TypeA)
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	seed("a.example.com. 60 IN A 192.0.2.1", "a.example.com. 60 IN AAAA 2001:db8::1")
	seed("a.example.com. 60 IN CNAME b.example.com.", "b.example.com. 60 IN CNAME a.example.com.")
	seed("a.example.com. 60 IN SRV 1 2 5060 b.example.com.", "a.example.com. 60 IN SRV 1 0 5060 .")
	seed(`a.example.com. 60 IN NAPTR 1 2 "s" "SIP+D2U" "" _sip._udp.example.com.`)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := new(dns.Msg)
		if m.Unpack(b) != nil {
			return
		}
		name := "a.example.com."
		if len(m.Question) > 0 {
			name = dns.CanonicalName(m.Question[0].Name)
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeNAPTR} {
			r, next, err := interpret(m, question{name, kind})
			n := len(r.addrs) + len(r.srvs) + len(r.naptrs)
			switch {
			case err != nil || next != "":
				if n > 0 || err != nil && next != "" || next == name {
					t.Errorf("%d records, next %q, %v", n, next, err)
				}
			case r.ttl < shortestTTL || r.ttl > longestTTL || n > maxRecords:
				t.Errorf("%d records for %s", n, r.ttl)
			}
			for _, a := range r.addrs {
				if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() {
					t.Errorf("address %s", a)
				}
			}
			for _, s := range r.srvs {
				if s.target == "" || s.port == 0 && s.target != "." {
					t.Errorf("server %+v", s)
				}
			}
		}
	})
}

// FuzzHosts reads any hosts file.
func FuzzHosts(f *testing.F) {
	f.Add("192.0.2.1 a b # c\n::1 a\n")
	f.Fuzz(func(t *testing.T, text string) {
		listed, _ := parseHosts(strings.NewReader(text))
		for name, addrs := range listed {
			if len(addrs) == 0 || len(addrs) > maxRecords {
				t.Errorf("%q has %d addresses", name, len(addrs))
			}
		}
	})
}
