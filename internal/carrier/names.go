package carrier

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Target is a server that an SRV record leads to.
type Target struct {
	Transport        string // "udp", "tcp" or "tls"
	At               netip.AddrPort
	Priority, Weight uint16
}

// Zone writes the SRV and address records that lead from a domain to its servers, in the order given, for StartNames. A
// domain whose servers are half dead is one that leads to a Carrier that is Silent, or to a port that nobody has, as well.
func Zone(domain string, targets ...Target) string {
	var zone strings.Builder
	for i, t := range targets {
		service := "_sip._" + t.Transport
		if t.Transport == "tls" {
			service = "_sips._tcp"
		}
		host := fmt.Sprintf("sip%d.%s.", i+1, domain)
		kind := "A"
		if t.At.Addr().Is6() {
			kind = "AAAA"
		}
		fmt.Fprintf(&zone, "%s.%s. 60 IN SRV %d %d %d %s\n", service, domain, t.Priority, t.Weight, t.At.Port(), host)
		fmt.Fprintf(&zone, "%s 60 IN %s %s\n", host, kind, t.At.Addr())
	}
	return zone.String()
}

// Names is a name server on loopback, UDP and TCP on one port. Its methods may be called concurrently.
type Names struct {
	addr    netip.AddrPort
	servers []*dns.Server
	running sync.WaitGroup

	mu     sync.Mutex
	zone   map[dns.Question][]dns.RR
	exists map[string]bool
	silent bool
	asked  []string
}

// StartNames serves zone, one record a line, until Close. Port 0 takes a free one.
func StartNames(listen netip.AddrPort, zone string) (*Names, error) {
	n := &Names{}
	if err := n.Replace(zone); err != nil {
		return nil, err
	}
	packet, stream, err := bindBoth(listen.String())
	if err != nil {
		return nil, fmt.Errorf("name server: %w", err)
	}
	n.addr = addressOf(packet)
	n.servers = []*dns.Server{{PacketConn: packet, Handler: n}, {Listener: stream, Handler: n}}
	for _, server := range n.servers {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		n.running.Go(func() { _ = server.ActivateAndServe() }) // ends with Close
		<-up
	}
	return n, nil
}

// Addr is the address listened on.
func (n *Names) Addr() netip.AddrPort { return n.addr }

// Replace serves another zone from now on. The error names the line that is none of a zone; then nothing changes.
func (n *Names) Replace(zone string) error {
	records, exists := map[dns.Question][]dns.RR{}, map[string]bool{}
	for line := range strings.SplitSeq(zone, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil || rr == nil {
			return fmt.Errorf("zone: %q: %w", line, err)
		}
		h := rr.Header()
		q := dns.Question{Name: dns.CanonicalName(h.Name), Qtype: h.Rrtype, Qclass: h.Class}
		records[q] = append(records[q], rr)
		exists[q.Name] = true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.zone, n.exists = records, exists
	return nil
}

// Silence makes the server answer nothing, or answer again.
func (n *Names) Silence(silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = silent
}

// Asked is what was asked since the last call, such as "SRV _sip._udp.carrier.example.".
func (n *Names) Asked() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.asked
	n.asked = nil
	return asked
}

// ServeDNS implements dns.Handler.
func (n *Names) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	if len(m.Question) != 1 {
		return
	}
	n.mu.Lock()
	asked := m.Question[0]
	asked.Name = dns.CanonicalName(asked.Name)
	n.asked = append(n.asked, dns.TypeToString[asked.Qtype]+" "+asked.Name)
	silent, found, exists := n.silent, n.zone[asked], n.exists[asked.Name]
	n.mu.Unlock()
	if silent {
		return
	}
	answer := new(dns.Msg).SetReply(m)
	answer.Answer = found
	if !exists {
		answer.Rcode = dns.RcodeNameError
	}
	_ = w.WriteMsg(answer) // whoever asked has gone
}

// Close ends the server.
func (n *Names) Close() error {
	for _, server := range n.servers {
		_ = server.Shutdown()
	}
	n.running.Wait()
	return nil
}

// bindBoth opens UDP and TCP on one port. For port 0 it takes a UDP port whose TCP twin is free.
func bindBoth(listen string) (packet net.PacketConn, stream net.Listener, err error) {
	_, port, _ := net.SplitHostPort(listen)
	for range 20 {
		if packet, err = net.ListenPacket("udp", listen); err != nil {
			return nil, nil, err
		}
		if stream, err = net.Listen("tcp", addressOf(packet).String()); err == nil {
			return packet, stream, nil
		}
		packet.Close()
		if port != "0" {
			break
		}
	}
	return nil, nil, err
}

func addressOf(packet net.PacketConn) netip.AddrPort {
	at := packet.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}
