//go:build interop

package peers

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestFloodOfOneTrunk_SEC05: while one trunk sends thousands of requests a second, the calls of another go through as ever, and
// the edge answers the first no more often than it may send.
func TestFloodOfOneTrunk_SEC05(t *testing.T) {
	Need(t, "sipp")
	const (
		flooder = "127.0.0.8"
		allowed = 50
		flood   = 2000 // requests a second: calls to our number, calls to nobody, REGISTER, OPTIONS
	)
	s := newStage(t, stageOptions{relay: true, trunk: "max_calls: 100\n" +
		"  - {name: flooder, server: " + flooder + ", source_addresses: [" + flooder + "], source_rate: " + fmt.Sprint(allowed) + "}"})
	socket, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(flooder+":0")), net.UDPAddrFromAddrPort(s.udp))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var sent, answered atomic.Int64
	stop := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { // ends with stop
		began := time.Now()
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			for due := int64(time.Since(began).Seconds() * flood); sent.Load() < due; sent.Add(1) {
				socket.Write(floodRequest(s.udp, socket.LocalAddr().String(), int(sent.Load()))) // what is lost is not a test's business
			}
		}
	})
	running.Go(func() { // ends when the socket is closed
		b := make([]byte, 2048)
		for {
			n, err := socket.Read(b)
			if err != nil {
				return
			}
			if string(b[:min(n, 11)]) == "SIP/2.0 503" {
				answered.Add(1)
			}
		}
	})
	began := time.Now()
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 200)
	s.play(t, "outbound", "udp", "uac.xml", "uas.xml", 200)
	took := time.Since(began)
	close(stop)
	m := s.Metrics()
	refused := m.Sum("trunkline_source_rate_refusals_total", `name="flooder"`)
	socket.Close()
	running.Wait()
	most := (took.Seconds() + 3) * allowed // a second's worth for each of two shards at once, and one for what was under way
	t.Logf("%d requests in %s: %.0f were refused, %d with 503", sent.Load(), took.Round(time.Millisecond), refused, answered.Load())
	if taken := float64(sent.Load()) - refused; taken > 2*most {
		t.Errorf("%.0f of %d requests had an effect, at %d a second for %s", taken, sent.Load(), allowed, took)
	}
	if float64(answered.Load()) > most {
		t.Errorf("%d answers to a flood, %d a second are allowed", answered.Load(), allowed)
	}
	if refused == 0 || m.Sum("trunkline_source_rate_refusals_total", `name="carrier"`) != 0 || m.Sum("trunkline_source_rate_refusals_total", `name="app"`) != 0 {
		t.Error("the wrong one was refused")
	}
}

// floodRequest is one of four kinds, each a transaction of its own.
func floodRequest(edge netip.AddrPort, from string, i int) []byte {
	method, user := "INVITE", ourNumber
	switch i % 4 {
	case 1:
		user = "+15550009999"
	case 2:
		method, user = "REGISTER", "x"
	case 3:
		method, user = "OPTIONS", "x"
	}
	return fmt.Appendf(nil, "%s sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKf%d;rport\r\nMax-Forwards: 70\r\nFrom: <sip:f@%[4]s>;tag=f%[5]d\r\n"+
		"To: <sip:%[2]s@%[3]s>\r\nCall-ID: flood%[5]d\r\nCSeq: 1 %[1]s\r\nContact: <sip:f@%[4]s>\r\nContent-Length: 0\r\n\r\n", method, user, edge, from, i)
}
