package main

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"trunkline/config"
	"trunkline/trunks"
)

// TestTrunkWithoutPortGoesBySRV looks the names of a configuration up at the resolver it names.
func TestTrunkWithoutPortGoesBySRV(t *testing.T) {
	c, err := config.Load("", []string{fmt.Sprintf(`TRUNKLINE_CONFIG_BODY=
sip: {listen: ["udp://127.0.0.1:5060"], resolvers: [%q]}
trunks:
  - {name: by-srv, server: sip.example.com}
  - {name: by-port, server: "sip.example.com:5099", source_addresses: [sip.example.com]}
  - {name: lost, server: gone.example.com}
`, serveZone(t, `
_sip._udp.sip.example.com. 30 IN SRV 20 0 5070 b.example.com.
_sip._udp.sip.example.com. 30 IN SRV 10 0 5080 a.example.com.
a.example.com.             30 IN A   192.0.2.1
b.example.com.             30 IN A   192.0.2.2
sip.example.com.           30 IN A   192.0.2.3`))})
	if err != nil {
		t.Fatal(err)
	}
	r := newResolver(c)
	defer r.Close()
	found := lookUp(t.Context(), r, trunks.Hosts(c))
	if wait := time.Until(found.until); wait > 30*time.Second || wait < earliestRefresh-time.Second {
		t.Errorf("looked up again in %s", wait)
	}
	s, err := trunks.Build(c, found.names)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(s.Trunk("by-srv").Servers, s.Trunk("by-port").Servers, s.Trunk("lost").Servers, s.Unresolved())
	if want := "[192.0.2.1:5080 192.0.2.2:5070] [192.0.2.3:5099] [] [gone.example.com]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// serveZone answers DNS questions from zone, one record a line, and returns its address.
func serveZone(t *testing.T, zone string) string {
	t.Helper()
	records := map[dns.Question][]dns.RR{}
	parser := dns.NewZoneParser(strings.NewReader(zone), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		q := dns.Question{Name: rr.Header().Name, Qtype: rr.Header().Rrtype, Qclass: dns.ClassINET}
		records[q] = append(records[q], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	packet, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	server := &dns.Server{PacketConn: packet, NotifyStartedFunc: func() { close(up) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		answer := new(dns.Msg).SetReply(m)
		answer.Answer = records[m.Question[0]]
		if len(answer.Answer) == 0 {
			answer.Rcode = dns.RcodeNameError
		}
		w.WriteMsg(answer)
	})}
	var running sync.WaitGroup
	running.Go(func() { server.ActivateAndServe() }) // ends with Shutdown
	<-up
	t.Cleanup(func() { server.Shutdown(); running.Wait() })
	return packet.LocalAddr().String()
}
