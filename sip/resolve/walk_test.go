package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"trunkline/config"
)

const exampleZone = `
example.com.            300 IN NAPTR 20 10 "s" "SIP+D2T"  "" _sip._tcp.example.com.
example.com.            300 IN NAPTR 10 20 "s" "SIP+D2U"  "" _sip._udp.example.com.
example.com.            300 IN NAPTR 10 10 "S" "sips+d2t" "" _sips._tcp.example.com.
example.com.            300 IN NAPTR 10 5  "u" "E2U+sip"  "!^.*$!sip:x@example.com!" .
example.com.            300 IN NAPTR 10 5  "s" "SIP+D2S"  "" _sip._sctp.example.com.
example.com.            300 IN A     192.0.2.9
_sip._udp.example.com.  200 IN SRV   10 60 5060 a.example.com.
_sip._udp.example.com.  200 IN SRV   10 40 5070 b.example.com.
_sip._udp.example.com.  200 IN SRV   20 0  5060 c.example.com.
_sip._tcp.example.com.  200 IN SRV   5  0  5080 a.example.com.
_sips._tcp.example.com. 200 IN SRV   5  0  5061 a.example.com.
a.example.com.          100 IN A     192.0.2.1
a.example.com.          100 IN AAAA  2001:db8::1
b.example.com.          100 IN A     192.0.2.2
c.example.com.          100 IN CNAME d.example.com.
d.example.com.          100 IN CNAME e.example.com.
e.example.com.          50  IN A     192.0.2.3
plain.example.com.      100 IN A     192.0.2.5
plain.example.com.      100 IN A     192.0.2.4
plain.example.com.      100 IN AAAA  2001:db8::4
six.example.com.        100 IN AAAA  2001:db8::6
loop.example.com.       100 IN CNAME pool.example.com.
pool.example.com.       100 IN CNAME loop.example.com.
_sip._udp.none.example.com. 100 IN SRV 0 0 0 .
none.example.com.       100 IN A     192.0.2.8
_sip._udp.lost.example.com. 100 IN SRV 0 0 5062 nowhere.example.com.
lost.example.com.       100 IN A     192.0.2.7
_sip._tcp.tcp.example.com. 100 IN SRV 0 0 5090 b.example.com.
tcp.example.com.        100 IN A     192.0.2.6
bad.example.com.        100 IN A     0.0.0.0
bad.example.com.        100 IN A     224.0.0.1
`

// show writes targets as "udp 192.0.2.1:5060", priorities apart by " | ".
func show(targets []Target) string {
	var b strings.Builder
	for i, t := range targets {
		switch {
		case i > 0 && t.Priority != targets[i-1].Priority:
			b.WriteString(" | ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s %s", t.Transport, t.Addr)
	}
	return b.String()
}

func TestSteps(t *testing.T) {
	server := newNameserver(t, exampleZone)
	for _, test := range []struct {
		name  string
		query Query
		want  string
		asked string // kinds of questions, sorted
		err   error
	}{
		{"a numeric host needs no DNS", Query{Host: "192.0.2.77"}, "udp 192.0.2.77:5060", "", nil},
		{"a numeric host of a sips URI is spoken to over TLS", Query{Host: "2001:db8::7", Secure: true}, "tls [2001:db8::7]:5061", "", nil},
		{"a numeric host keeps its port and transport", Query{Host: "192.0.2.77", Port: 5099, Transport: config.TCP}, "tcp 192.0.2.77:5099", "", nil},
		{"a port means no SRV", Query{Host: "example.com", Port: 5099, Transport: config.UDP}, "udp 192.0.2.9:5099", "A AAAA", nil},
		{"a port without a transport means UDP", Query{Host: "example.com", Port: 5060}, "udp 192.0.2.9:5060", "A AAAA", nil},
		{"a port with sips means TLS", Query{Host: "example.com", Port: 5066, Secure: true}, "tls 192.0.2.9:5066", "A AAAA", nil},
		{"a transport means no NAPTR", Query{Host: "example.com", Transport: config.UDP},
			"udp 192.0.2.1:5060, udp [2001:db8::1]:5060, udp 192.0.2.2:5070 | udp 192.0.2.3:5060", "A A A AAAA AAAA AAAA SRV", nil},
		{"tls asks for sips", Query{Host: "example.com", Transport: config.TLSTransport}, "tls 192.0.2.1:5061, tls [2001:db8::1]:5061", "A AAAA SRV", nil},
		{"NAPTR by order and preference, and no record of a higher order", Query{Host: "example.com"},
			"tls 192.0.2.1:5061, tls [2001:db8::1]:5061 | udp 192.0.2.1:5060, udp [2001:db8::1]:5060, udp 192.0.2.2:5070 | udp 192.0.2.3:5060",
			"A A A AAAA AAAA AAAA NAPTR SRV SRV", nil},
		{"a sips URI takes from NAPTR only TLS", Query{Host: "example.com", Secure: true}, "tls 192.0.2.1:5061, tls [2001:db8::1]:5061", "A AAAA NAPTR SRV", nil},
		{"without NAPTR all our transports are asked for", Query{Host: "tcp.example.com"}, "tcp 192.0.2.2:5090", "A AAAA NAPTR SRV SRV", nil},
		{"without NAPTR and SRV addresses are left, both families", Query{Host: "plain.example.com"},
			"udp 192.0.2.4:5060, udp 192.0.2.5:5060, udp [2001:db8::4]:5060", "A AAAA NAPTR SRV SRV", nil},
		{"without SRV the transport has its default port", Query{Host: "plain.example.com", Transport: config.TLSTransport},
			"tls 192.0.2.4:5061, tls 192.0.2.5:5061, tls [2001:db8::4]:5061", "A AAAA SRV", nil},
		{"IPv6 alone will do", Query{Host: "six.example.com", Transport: config.TCP}, "tcp [2001:db8::6]:5060", "A AAAA SRV", nil},
		{"aliases are followed", Query{Host: "c.example.com", Port: 5060}, "udp 192.0.2.3:5060", "A AAAA", nil},
		{"case and a last dot do not matter", Query{Host: "PLAIN.Example.com.", Port: 5060}, "udp 192.0.2.4:5060, udp 192.0.2.5:5060, udp [2001:db8::4]:5060", "A AAAA", nil},
		{"SRV to nowhere gives way to the host's own address", Query{Host: "lost.example.com", Transport: config.UDP}, "udp 192.0.2.7:5060", "A A AAAA AAAA SRV", nil},
		{"SRV to the root says no", Query{Host: "none.example.com", Transport: config.UDP}, "", "SRV", ErrRefused},
		{"aliases in a ring", Query{Host: "loop.example.com", Port: 5060}, "", "A AAAA", ErrChain},
		{"no such name", Query{Host: "nobody.example.com"}, "", "A AAAA NAPTR SRV SRV", ErrNotFound},
		{"addresses nobody has", Query{Host: "bad.example.com", Port: 5060}, "", "A AAAA", ErrNotFound},
		{"no name at all", Query{Host: ""}, "", "", ErrNotFound},
		{"a name too long for DNS", Query{Host: strings.Repeat("a.", 140)}, "", "", ErrNotFound},
		{"a label too long for DNS", Query{Host: strings.Repeat("a", 70) + ".example.com", Port: 5060}, "", "", ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.queries()
			got, err := newTestResolver(t, server).Resolve(t.Context(), test.query)
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if s := show(got.Targets); s != test.want {
				t.Errorf("targets\n got %s\nwant %s", s, test.want)
			}
			for _, target := range got.Targets {
				if target.Name != strings.TrimSuffix(test.query.Host, ".") {
					t.Errorf("%s: the certificate is to be for %q", target.Addr, target.Name)
				}
			}
			var kinds []string
			for _, asked := range server.queries() {
				kinds = append(kinds, strings.Fields(asked)[1])
			}
			slices.Sort(kinds)
			if s := strings.Join(kinds, " "); s != test.asked {
				t.Errorf("asked for %q, want %q", s, test.asked)
			}
		})
	}
}

func TestSystemFiles(t *testing.T) {
	server := newNameserver(t, "gw.corp.example.com. 60 IN A 192.0.2.1\n_sip._udp.pbx.corp.example.com. 60 IN SRV 0 0 5070 gw.corp.example.com.")
	r := newTestResolver(t, server)
	r.system.servers = nil
	r.system.conf.path = writeFile(t, "nameserver 127.0.0.1\nnameserver nonsense\nsearch lab.example.com corp.example.com\n")
	r.system.hosts.path = writeFile(t, "# ours\n192.0.2.50 Near.example.com near # by hand\n2001:db8::50 near\nfe80::1%eth0 near\nnonsense near\n192.0.2.51\n")
	if got := r.system.resolvers(); !slices.Equal(got, []string{"127.0.0.1:53"}) {
		t.Errorf("resolvers %v", got)
	}
	r.system.conf.value.Port = fmt.Sprint(server.addr.Port())
	for _, test := range []struct {
		name  string
		query Query
		want  string
	}{
		{"the search list finds SRV", Query{Host: "pbx", Transport: config.UDP}, "udp 192.0.2.1:5070"},
		{"the search list finds an address", Query{Host: "gw", Transport: config.TCP}, "tcp 192.0.2.1:5060"},
		{"a name with dots is tried as it stands first", Query{Host: "gw.corp.example.com", Port: 5066}, "udp 192.0.2.1:5066"},
		{"the hosts file goes before DNS", Query{Host: "near", Transport: config.TLSTransport}, "tls 192.0.2.50:5061, tls [2001:db8::50]:5061, tls [fe80::1]:5061"},
		{"localhost is this host", Query{Host: "LOCALHOST", Port: 5066}, "udp 127.0.0.1:5066, udp [::1]:5066"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := r.Resolve(t.Context(), test.query)
			if s := show(got.Targets); s != test.want || err != nil {
				t.Errorf("got %s, %v; want %s", s, err, test.want)
			}
		})
	}
}

func TestAnswersLastAsTheirTTLSays(t *testing.T) {
	server := newNameserver(t, exampleZone)
	r := newTestResolver(t, server)
	for _, test := range []struct {
		name  string
		query Query
		want  time.Duration
	}{
		{"the shortest of all records", Query{Host: "example.com", Transport: config.UDP}, 50 * time.Second},
		{"a missing record by its SOA", Query{Host: "plain.example.com", Transport: config.UDP}, time.Minute},
		{"a missing name by its SOA", Query{Host: "nobody.example.com", Port: 5060}, time.Minute},
		{"an address for long", Query{Host: "192.0.2.1"}, longestTTL},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 2 {
				got, _ := r.Resolve(t.Context(), test.query)
				if left := time.Until(got.Until); left > test.want || left < test.want-10*time.Second || got.Stale {
					t.Errorf("lasts %s, want %s; stale %v", left, test.want, got.Stale)
				}
			}
		})
	}
	before := len(server.queries())
	r.Resolve(t.Context(), Query{Host: "example.com", Transport: config.UDP})
	r.Resolve(t.Context(), Query{Host: "nobody.example.com", Port: 5060})
	if again := server.queries(); before == 0 || len(again) > 0 {
		t.Errorf("%d questions at first; %q asked again", before, again)
	}
}

func TestLastGoodAnswer(t *testing.T) {
	server := newNameserver(t, "gw.example.com. 1 IN A 192.0.2.1\n_sip._udp.gw.example.com. 1 IN SRV 0 0 5070 gw.example.com.")
	r := newTestResolver(t, server)
	query := Query{Host: "gw.example.com", Transport: config.UDP}
	first, err := r.Resolve(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	runOut(r)
	server.oddly(func(w dns.ResponseWriter, m *dns.Msg) bool {
		w.WriteMsg(new(dns.Msg).SetRcode(m, dns.RcodeServerFailure))
		return true
	})
	for range 2 {
		got, err := r.Resolve(t.Context(), query)
		if err != nil || !got.Stale || !slices.Equal(got.Targets, first.Targets) {
			t.Errorf("got %+v, %v; want %+v, stale", got, err, first.Targets)
		}
	}
	runOut(r)
	server.oddly(nil)
	server.replace("gw.example.com. 1 IN A 192.0.2.2")
	got, err := r.Resolve(t.Context(), query)
	if s := show(got.Targets); err != nil || got.Stale || s != "udp 192.0.2.2:5060" {
		t.Errorf("resolvers are back: %s, stale %v, %v", s, got.Stale, err)
	}
}

// runOut makes everything kept as old as if its time were over.
func runOut(r *Resolver) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.cache.entries {
		e := e.Value.(*entry)
		if e.holds() {
			e.until = time.Now().Add(-time.Hour)
		}
		e.failed = time.Time{}
	}
}

func TestCallerWaitsNoLongerThanItsContext(t *testing.T) {
	server := newNameserver(t, "gw.example.com. 1 IN A 192.0.2.1\n")
	r := newTestResolver(t, server)
	r.timeout = 2 * time.Second
	query := Query{Host: "gw.example.com", Port: 5060}
	silent := func(dns.ResponseWriter, *dns.Msg) bool { return true }
	within := func(limit time.Duration) (Answer, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		start := time.Now()
		got, err := r.Resolve(ctx, query)
		if took := time.Since(start); took > limit {
			t.Errorf("waited %s", took)
		}
		return got, err
	}
	server.oddly(silent)
	if _, err := within(time.Second); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent resolver: %v", err)
	}
	server.oddly(nil)
	if _, err := r.Resolve(t.Context(), query); err != nil { // the question that was on its way, or its second try
		t.Fatal(err)
	}
	runOut(r)
	server.oddly(silent)
	if got, err := within(time.Second); err != nil || !got.Stale || len(got.Targets) != 1 {
		t.Errorf("silent resolver, but an old answer: %+v, %v", got, err)
	}
	start := time.Now()
	r.Close()
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close waited %s for a silent resolver", took)
	}
	if got, err := r.Resolve(t.Context(), query); err != nil || len(got.Targets) != 1 {
		t.Errorf("after Close: %+v, %v", got, err)
	}
	if _, err := r.Resolve(t.Context(), Query{Host: "other.example.com", Port: 5060}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}

func TestNumericAnswerIsNotShared(t *testing.T) {
	r := newTestResolver(t, newNameserver(t, "gw.example.com. 60 IN A 192.0.2.1\ngw.example.com. 60 IN A 192.0.2.2"))
	query := Query{Host: "gw.example.com", Port: 5060}
	first, err := r.Resolve(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	first.Targets[0].Addr = netip.AddrPort{}
	second, _ := r.Resolve(t.Context(), query)
	if s := show(second.Targets); s != "udp 192.0.2.1:5060, udp 192.0.2.2:5060" {
		t.Errorf("the cache was changed from outside: %s", s)
	}
}
