package resolve

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// nameserver is a DNS server on loopback, UDP and TCP on one port.
type nameserver struct {
	t    *testing.T
	addr netip.AddrPort

	mu     sync.Mutex
	zone   map[question][]dns.RR
	exists map[string]bool
	odd    func(w dns.ResponseWriter, m *dns.Msg) bool // answers itself if it returns true
	asked  []string                                    // "udp SRV _sip._udp.example.com."
}

// newNameserver serves zone, one record a line.
func newNameserver(t *testing.T, zone string) *nameserver {
	t.Helper()
	s := &nameserver{t: t}
	s.replace(zone)
	var (
		stream net.Listener
		packet net.PacketConn
		err    error
	)
	for range 20 { // another test may have the same port of the other protocol
		if packet, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if stream, err = net.Listen("tcp4", packet.LocalAddr().String()); err == nil {
			break
		}
		packet.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	s.addr = netip.MustParseAddrPort(packet.LocalAddr().String())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	for _, server := range []*dns.Server{{PacketConn: packet, Handler: s}, {Listener: stream, Handler: s}} {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		running.Go(func() { server.ActivateAndServe() })
		<-up
		t.Cleanup(func() { server.Shutdown() })
	}
	return s
}

// replace serves another zone from now on.
func (s *nameserver) replace(zone string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zone, s.exists = map[question][]dns.RR{}, map[string]bool{}
	for line := range strings.SplitSeq(strings.TrimSpace(zone), "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		h := rr.Header()
		q := question{dns.CanonicalName(h.Name), h.Rrtype}
		s.zone[q] = append(s.zone[q], rr)
		s.exists[q.name] = true
	}
}

// oddly has f answer instead; nil: no more.
func (s *nameserver) oddly(f func(w dns.ResponseWriter, m *dns.Msg) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = f
}

func (s *nameserver) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := m.Question[0]
	s.asked = append(s.asked, w.LocalAddr().Network()+" "+dns.TypeToString[asked.Qtype]+" "+asked.Name)
	if s.odd != nil && s.odd(w, m) {
		return
	}
	w.WriteMsg(s.answer(m))
}

// answer is the answer of a recursive resolver: aliases are followed.
func (s *nameserver) answer(m *dns.Msg) *dns.Msg {
	asked := m.Question[0]
	out := new(dns.Msg).SetReply(m)
	name := dns.CanonicalName(asked.Name)
	for range 20 {
		if found := s.zone[question{name, asked.Qtype}]; len(found) > 0 {
			out.Answer = append(out.Answer, found...)
			return out
		}
		alias := s.zone[question{name, dns.TypeCNAME}]
		if len(alias) == 0 {
			break
		}
		out.Answer = append(out.Answer, alias...)
		name = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
	}
	if !s.exists[name] {
		out.Rcode = dns.RcodeNameError
	}
	soa, _ := dns.NewRR("example.com. 120 IN SOA ns.example.com. root.example.com. 1 7200 3600 86400 60")
	out.Ns = append(out.Ns, soa)
	return out
}

// queries returns what was asked since the last call.
func (s *nameserver) queries() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// newTestResolver asks servers, and sees none of this host's files.
func newTestResolver(t *testing.T, servers ...*nameserver) *Resolver {
	t.Helper()
	o := Options{Timeout: 100 * time.Millisecond, hosts: filepath.Join(t.TempDir(), "hosts"), resolvConf: filepath.Join(t.TempDir(), "resolv.conf")}
	for _, s := range servers {
		o.Servers = append(o.Servers, s.addr)
	}
	r := New(o)
	t.Cleanup(r.Close)
	return r
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
