//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"trunkline/config"
)

// cappedCarrier takes INVITEs on a real socket, answers 486, and remembers when
// the kernel got each one: that is when a carrier would count it.
type cappedCarrier struct {
	conn *net.UDPConn
	mu   sync.Mutex
	came []time.Duration // kernel time of each first INVITE
	from map[string]int  // by caller
	seen map[string]bool // by Call-ID, so that repetitions do not count
	done chan struct{}
}

func newCappedCarrier(t *testing.T, address string) *cappedCarrier {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadBuffer(4 << 20)
	c := &cappedCarrier{conn: conn, from: map[string]int{}, seen: map[string]bool{}, done: make(chan struct{})}
	go c.run() // ends with the socket
	t.Cleanup(func() { conn.Close(); <-c.done })
	return c
}

func (c *cappedCarrier) run() {
	defer close(c.done)
	b, extra := make([]byte, 1<<16), make([]byte, 128)
	for {
		n, m, _, from, err := c.conn.ReadMsgUDPAddrPort(b, extra)
		if err != nil {
			return
		}
		text := string(b[:n])
		if !strings.HasPrefix(text, "INVITE ") {
			continue
		}
		c.take(text, kernelTime(extra[:m]))
		var head strings.Builder
		head.WriteString("SIP/2.0 486 Busy Here\r\n")
		for line := range strings.Lines(text) {
			name, _, _ := strings.Cut(line, ":")
			switch name {
			case "Via", "From", "Call-ID", "CSeq":
				head.WriteString(line)
			case "To":
				head.WriteString(strings.TrimRight(line, "\r\n") + ";tag=busy\r\n")
			}
		}
		c.conn.WriteToUDPAddrPort([]byte(head.String()+"Content-Length: 0\r\n\r\n"), from)
	}
}

func (c *cappedCarrier) take(text string, at time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, caller := "", ""
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, "Call-ID: "); ok {
			id = v
		}
		if v, ok := strings.CutPrefix(line, "From: "); ok {
			caller, _, _ = strings.Cut(v, "@")
		}
	}
	if !c.seen[id] {
		c.seen[id] = true
		c.came = append(c.came, at)
		c.from[caller]++
	}
}

// kernelTime reads SO_TIMESTAMPNS.
func kernelTime(extra []byte) time.Duration {
	messages, err := unix.ParseSocketControlMessage(extra)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return 0
	}
	d := messages[0].Data
	return time.Duration(binary.NativeEndian.Uint64(d))*time.Second + time.Duration(binary.NativeEndian.Uint64(d[8:]))
}

// Three trunks under one key offer ten times its limit: the carrier never counts
// more than the limit in any rolling second, gets nearly all of it, and each trunk
// has its share.
func TestPacedOnTheWire(t *testing.T) {
	const rate, seconds = 40, 6
	carrier := newCappedCarrier(t, "127.0.0.40:0")
	at := carrier.conn.LocalAddr().String()
	edge := freePort(t, "udp")
	var text strings.Builder
	fmt.Fprintf(&text, "sip: {listen: [\"udp://%s\"], shards: 2}\nmedia: {relay: false}\nhttp: {listen: \"\"}\nstorage: {directory: %s}\ntrunks:\n", edge, t.TempDir())
	for i, name := range []string{"a", "b", "c"} {
		fmt.Fprintf(&text, "  - {name: %s, server: \"%s\", source_addresses: [127.0.0.%d], cps_key: shared, cps_limit: %d}\n", name, at, 41+i, rate+10*i)
	}
	text.WriteString("agents: [{name: app, destinations: [{uri: \"sip:127.0.0.50:5080\"}], source_addresses: [127.0.0.50]}]\nnumbers:\n")
	for i, name := range []string{"a", "b", "c"} {
		fmt.Fprintf(&text, "  - {number: \"+1555000000%d\", trunk: %s, inbound_agent: app, outbound_agent: app}\n", i, name)
	}
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + text.String()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := startDaemon(t.Context(), daemonOptions{Config: c, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	offer(t, edge, 10*rate, seconds)
	time.Sleep(c.Trunks[0].CPSWait.D() + time.Second) // who waits when the offers end is served yet
	carrier.mu.Lock()
	defer carrier.mu.Unlock()
	came := carrier.came
	slices.Sort(came)
	busiest, first := 0, 0
	for last := range came {
		for came[last]-came[first] >= time.Second {
			first++
		}
		busiest = max(busiest, last-first+1)
	}
	span := (came[len(came)-1] - came[0]).Seconds()
	t.Logf("%d INVITEs in %.2f s, %d in the busiest second, by caller %v", len(came), span, busiest, carrier.from)
	if busiest > rate {
		t.Errorf("%d INVITEs in a rolling second at a limit of %d", busiest, rate)
	}
	if got := float64(len(came)-1) / span; got < 0.6*rate { // a machine that is busy elsewhere serves late, never early
		t.Errorf("%.2f calls/s went out of %d allowed", got, rate)
	}
	for caller, n := range carrier.from {
		if n < len(came)/6 {
			t.Errorf("%s had %d of %d: starved", caller, n, len(came))
		}
	}
}

// offer sends INVITEs from an agent, from three callers: eight of ten from the
// first.
func offer(t *testing.T, edge string, rate, seconds int) {
	t.Helper()
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 50)}, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(edge)))
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the socket: answers are not looked at
		b := make([]byte, 1<<16)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { conn.Close() })
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < rate*seconds; {
		<-tick.C
		for range rate / 100 {
			caller := max(0, n%10-7)
			fmt.Fprintf(conn, "INVITE sip:+14155550100@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%d;rport\r\nMax-Forwards: 70\r\n"+
				"From: <sip:+1555000000%d@app>;tag=%[3]d\r\nTo: <sip:+14155550100@edge>\r\nCall-ID: offer-%[3]d\r\nCSeq: 1 INVITE\r\nContact: <sip:%[2]s>\r\nContent-Length: 0\r\n\r\n",
				edge, conn.LocalAddr(), n, caller)
			n++
		}
	}
}
