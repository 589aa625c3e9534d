//go:build interop

package peers

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// rubbish is what a port on the Internet hears, one of many kinds.
func rubbish(random *rand.Rand) []byte {
	noise := make([]byte, 1+random.IntN(1400))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	id := random.Uint64()
	request := func(method, more string) string {
		return fmt.Sprintf("%s sip:100@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK%x;rport\r\nFrom: <sip:100@192.0.2.9>;tag=%x\r\n"+
			"To: <sip:100@127.0.0.1>\r\nCall-ID: %x\r\nCSeq: 1 %[1]s\r\nContact: <sip:100@192.0.2.9>\r\nMax-Forwards: 70\r\nUser-Agent: friendly-scanner\r\n%[5]s\r\n", method, id, id, id, more)
	}
	const end = "Content-Length: 0\r\n"
	kinds := []string{
		string(noise),
		"\r\n\r\n",
		"\x00",
		"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
		"SIP/2.0 200 OK\r\n\r\n",
		"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKnone\r\nCSeq: 1 INVITE\r\nCall-ID: x\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>;tag=2\r\n" + end + "\r\n",
		request("INVITE", end),
		request("INVITE", "Content-Length: 99999\r\n"),
		request("OPTIONS", end),
		request("REGISTER", end),
		request("BYE", end),
		request("ACK", end),
		request("CANCEL", end),
		request("FOO", end),
		request("OPTIONS", "Content-Length: -1\r\n"),
		request("OPTIONS", strings.Repeat("Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx\r\n", 20)+end),
		request("OPTIONS", "X: "+strings.Repeat("a", 1000)+"\r\n"+end),
		request("INVITE", end)[:50+random.IntN(250)],
		"INVITE sip:a SIP/2.0\r\n" + strings.Repeat("a", 500),
	}
	return []byte(kinds[random.IntN(len(kinds))])
}

// TestGarbage: rubbish on every port, from thousands of sources, known ones too, changes nothing but counters: memory stays bounded,
// connections go away, and each call meanwhile is good.
func TestGarbage(t *testing.T) {
	Need(t, "sipp")
	const datagrams, connections = 20000, 300
	o := settled(true)
	// Rubbish from the carrier's own address is taken for the carrier's; its calls come from there as well.
	s := newStage(t, o)
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 10)
	before := s.footprint()
	var throwing sync.WaitGroup
	for worker := range 2 {
		throwing.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 11))
			for i := range datagrams / 2 {
				// A source of its own for each datagram.
				host := byte(4 + random.IntN(200))
				if i%10 == 0 {
					host = 2
				}
				throw(t, netip.AddrFrom4([4]byte{127, 0, 0, host}), s.udp, rubbish(random))
			}
		})
	}
	var open openConnections
	defer open.close()
	throwing.Go(func() {
		random := rand.New(rand.NewPCG(3, 11))
		for i := range connections {
			host := byte(4 + random.IntN(200))
			if i%10 == 0 {
				host = 2
			}
			from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, host)}, Timeout: 2 * time.Second}
			to := []netip.AddrPort{s.udp, s.tls, s.HTTP}[i%3]
			c, err := from.Dial("tcp", to.String())
			if err != nil {
				t.Error(err)
				continue
			}
			if to == s.tls && i%2 == 0 {
				secured := tls.Client(c, &tls.Config{RootCAs: s.authority.Pool, ServerName: EdgeHost})
				secured.SetDeadline(time.Now().Add(2 * time.Second))
				secured.Handshake() // a refusal is one more way to end
				c = secured
			}
			for range 1 + random.IntN(4) {
				c.SetWriteDeadline(time.Now().Add(time.Second))
				if _, err := c.Write(rubbish(random)); err != nil {
					break // closed by the edge, rightly
				}
			}
			open.keep(c)
		}
	})
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 100)
	s.play(t, "outbound", "udp", "uac.xml", "uas.xml", 20)
	throwing.Wait()
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 100)

	m := s.Metrics()
	counted := m.Sum("trunkline_sip_parse_errors_total") + m.Sum("trunkline_sip_dropped_total") + m.Sum("trunkline_call_rejections_total")
	t.Logf("%.0f counted as errors, dropped or refused; %.0f panics", counted, m.Sum("trunkline_sip_panics_total"))
	if counted < datagrams/2 {
		t.Errorf("of %d datagrams only %.0f are counted", datagrams, counted)
	}
	if n := m.Sum("trunkline_sip_panics_total"); n != 0 {
		t.Errorf("%g panics", n)
	}
	open.close()
	s.returnsTo(t, before, 4<<20)
	if code, body := s.Get("/readyz"); code != 200 {
		t.Errorf("%d %s", code, body)
	}
	if n := m.Sum("trunkline_call_attempts_total"); n != 230 {
		t.Errorf("%g calls were routed, want 230", n)
	}
}

// throw sends one datagram from a port of its own.
func throw(t *testing.T, from netip.Addr, to netip.AddrPort, b []byte) {
	socket, err := net.DialUDP("udp", &net.UDPAddr{IP: from.AsSlice()}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Error(err)
		return
	}
	defer socket.Close()
	socket.Write(b) // an ICMP error of the datagram before may come here
}

// openConnections are left open by those who made them.
type openConnections struct {
	mu  sync.Mutex
	all []net.Conn
}

func (o *openConnections) keep(c net.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, c)
}

func (o *openConnections) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.all {
		c.Close()
	}
	o.all = nil
}
