package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// phone is a UDP socket that speaks just enough SIP.
type phone struct {
	t      *testing.T
	socket *net.UDPConn
}

func newPhone(t *testing.T) *phone {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return &phone{t, socket}
}

func (p *phone) address() string { return p.socket.LocalAddr().String() }

func (p *phone) send(to, message string) {
	p.t.Helper()
	address, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := p.socket.WriteTo([]byte(message), address); err != nil {
		p.t.Fatal(err)
	}
}

// expect returns the next message that starts so; others are passed over, for ten seconds.
func (p *phone) expect(start string) string {
	p.t.Helper()
	buffer := make([]byte, 65536)
	p.socket.SetReadDeadline(time.Now().Add(10 * time.Second))
	var seen []string
	for {
		n, err := p.socket.Read(buffer)
		if err != nil {
			p.t.Fatalf("no %q came; seen: %q", start, seen)
		}
		message := string(buffer[:n])
		if strings.HasPrefix(message, start) {
			return message
		}
		line, _, _ := strings.Cut(message, "\r\n")
		seen = append(seen, line)
	}
}

// answer responds to a request with its own header lines.
func (p *phone) answer(edge, request, status, body string) {
	p.t.Helper()
	var b strings.Builder
	b.WriteString("SIP/2.0 " + status + "\r\n")
	for line := range strings.SplitSeq(request, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch name {
		case "Via", "From", "Call-ID", "CSeq", "Record-Route":
			b.WriteString(line + "\r\n")
		case "To":
			b.WriteString(line)
			if !strings.Contains(line, ";tag=") {
				b.WriteString(";tag=callee")
			}
			b.WriteString("\r\n")
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:%s>\r\n", p.address())
	if body != "" {
		b.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	p.send(edge, b.String())
}

const description = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n"

// invite is an INVITE of the carrier; id tells calls apart.
func invite(e *edgeUnderTest, id string) string {
	return fmt.Sprintf("INVITE sip:+15550001234@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKi%s;rport\r\n"+
		"From: <sip:+14155550100@127.0.0.1>;tag=c%[2]s\r\nTo: <sip:+15550001234@%[1]s>\r\nCall-ID: call-%[2]s\r\nCSeq: 1 INVITE\r\n"+
		"Contact: <sip:%[3]s>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: %[4]d\r\n\r\n%[5]s",
		e.sip, id, e.carrier.address(), len(description), description)
}

// ack is the ACK to a final response other than 2xx.
func ack(e *edgeUnderTest, response, id string) string {
	return fmt.Sprintf("ACK sip:+15550001234@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKi%s;rport\r\n"+
		"From: <sip:+14155550100@127.0.0.1>;tag=c%[2]s\r\nTo: %[3]s\r\nCall-ID: call-%[2]s\r\nCSeq: 1 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		e.sip, id, header(response, "To"))
}

// inboundCall is a call from the carrier to the agent that is up.
type inboundCall struct{ id, to string }

// callIn sets a call up.
func (e *edgeUnderTest) callIn(id string) inboundCall {
	e.t.Helper()
	e.carrier.send(e.sip, invite(e, id))
	offered := e.agent.expect("INVITE ")
	e.agent.answer(e.sip, offered, "200 OK", description)
	c := inboundCall{id, header(e.carrier.expect("SIP/2.0 200"), "To")}
	e.carrier.send(e.sip, c.request(e, "ACK", 1))
	e.agent.expect("ACK ")
	return c
}

// hangUp ends it from the carrier's side.
func (c inboundCall) hangUp(e *edgeUnderTest) {
	e.t.Helper()
	e.carrier.send(e.sip, c.request(e, "BYE", 2))
	e.agent.answer(e.sip, e.agent.expect("BYE "), "200 OK", "")
	e.carrier.expect("SIP/2.0 200")
}

func (c inboundCall) request(e *edgeUnderTest, method string, cseq int) string {
	return fmt.Sprintf("%s sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK%[1]s%[3]s;rport\r\n"+
		"From: <sip:+14155550100@127.0.0.1>;tag=c%[3]s\r\nTo: %[4]s\r\nCall-ID: call-%[3]s\r\nCSeq: %[5]d %[1]s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		method, e.sip, c.id, c.to, cseq)
}

func header(message, name string) string {
	for line := range strings.SplitSeq(message, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// lockedLog is a log that a test may read while it is written.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// within waits until done is true.
func within(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freePort returns a loopback address nobody listens on at the moment.
func freePort(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		socket, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		return socket.LocalAddr().String()
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
