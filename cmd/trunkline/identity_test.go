package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"trunkline/internal/peers"
)

// tlsCarrier takes TLS connections and shows who they are from.
type tlsCarrier struct {
	t        *testing.T
	listener net.Listener
	requests chan tlsRequest
}

// tlsRequest is a request that came, and over which connection.
type tlsRequest struct {
	conn   *tls.Conn
	serial int64 // of the client certificate; 0: none was shown
	text   string
	to     string // of the agent's side, once the call is up
}

func newTLSCarrier(t *testing.T, pair tls.Certificate) *tlsCarrier {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	c := &tlsCarrier{t, listener, make(chan tlsRequest, 64)}
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go c.read(conn.(*tls.Conn)) // ends with the connection
		}
	}()
	return c
}

func (c *tlsCarrier) read(conn *tls.Conn) {
	defer conn.Close()
	lines := textproto.NewReader(bufio.NewReader(conn))
	for {
		var text strings.Builder
		length := 0
		for {
			line, err := lines.ReadLine()
			if err != nil {
				return
			}
			text.WriteString(line + "\r\n")
			if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length, _ = strconv.Atoi(value)
			}
			if line == "" {
				break
			}
		}
		if _, err := io.CopyN(&text, lines.R, int64(length)); err != nil {
			return
		}
		r := tlsRequest{conn: conn, text: text.String()}
		if shown := conn.ConnectionState().PeerCertificates; len(shown) > 0 {
			r.serial = shown[0].SerialNumber.Int64()
		}
		c.requests <- r
	}
}

func (c *tlsCarrier) next(start string) tlsRequest {
	c.t.Helper()
	select {
	case r := <-c.requests:
		if !strings.HasPrefix(r.text, start) {
			c.t.Fatalf("want %s, got\n%s", start, r.text)
		}
		return r
	case <-time.After(10 * time.Second):
		c.t.Fatalf("no %s came", start)
	}
	return tlsRequest{}
}

func (c *tlsCarrier) ok(r tlsRequest, body string) {
	c.t.Helper()
	var b strings.Builder
	b.WriteString("SIP/2.0 200 OK\r\n")
	for line := range strings.SplitSeq(r.text, "\r\n") {
		switch name, _, _ := strings.Cut(line, ":"); name {
		case "Via", "From", "Call-ID", "CSeq":
			b.WriteString(line + "\r\n")
		case "To":
			b.WriteString(strings.TrimSuffix(line, ";tag=far") + ";tag=far\r\n")
		}
	}
	fmt.Fprintf(&b, "Contact: <sip:%s;transport=tls>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", c.listener.Addr(), len(body), body)
	if _, err := r.conn.Write([]byte(b.String())); err != nil {
		c.t.Error(err)
	}
}

// callOut has the agent call over the trunk of a number, and returns the INVITE that reaches the carrier. The call is up then.
func (e *edgeUnderTest) callOut(c *tlsCarrier, number, id string) tlsRequest {
	e.t.Helper()
	e.agent.send(e.sip, e.outbound("INVITE", number, id, "", 1, description))
	r := c.next("INVITE ")
	c.ok(r, description)
	r.to = header(e.agent.expect("SIP/2.0 200"), "To")
	e.agent.send(e.sip, e.outbound("ACK", number, id, r.to, 1, ""))
	c.next("ACK ")
	return r
}

func (e *edgeUnderTest) outbound(method, number, id, to string, cseq int, body string) string {
	if to == "" {
		to = "<sip:+14155550100@edge>"
	}
	return fmt.Sprintf("%s sip:+14155550100@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK%[1]s%[3]s;rport\r\nFrom: <sip:%[4]s@app>;tag=a%[3]s\r\n"+
		"To: %[5]s\r\nCall-ID: out-%[3]s\r\nCSeq: %[6]d %[1]s\r\nContact: <sip:%[7]s>\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: %[8]d\r\n\r\n%[9]s",
		method, e.sip, id, number, to, cseq, e.agent.address(), len(body), body)
}

// TRN-07: two trunks at one address show certificates of their own on connections of their own; a certificate that is renewed serves
// new connections after SIGHUP while the call that is up goes on and ends over its own.
func TestIdentityOfTrunks(t *testing.T) {
	authority := peers.NewAuthority(t)
	certificate, key := authority.Issue("127.0.0.1")
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	carrier := newTLSCarrier(t, pair)
	folder := t.TempDir()
	issue := func(name string) {
		t.Helper()
		certificate, key := authority.Issue(name + ".example")
		for from, to := range map[string]string{certificate: name + ".pem", key: name + ".key"} {
			text, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, to), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	issue("one") // serial 3
	issue("two") // serial 4
	e := idleServe(t)
	text := fmt.Sprintf(`
sip: {listen: ["udp://%s", "tls://%s"], tls: {certificate: %s, key: %s}}
http: {listen: "%s"}
storage: {directory: %s}
media: {relay: false}
trunks:
  - {name: one, server: "%[7]s", transport: tls, tls: {ca: %[8]s, certificate: %[9]s/one.pem, key: %[9]s/one.key}}
  - {name: two, server: "%[7]s", transport: tls, tls: {ca: %[8]s, certificate: %[9]s/two.pem, key: %[9]s/two.key}}
  - {name: three, server: "%[7]s", transport: tls, tls: {ca: %[8]s}}
  - {name: wrong, server: "%[7]s", transport: tls, register: true, auth_user: u, auth_password: p, tls: {ca: %[8]s, server_name: sip.other.example}}
agents: [{name: app, destinations: [{uri: "sip:%[10]s;transport=udp"}], source_addresses: ["%[10]s"]}]
numbers:
  - {number: "+15550000001", trunk: one, outbound_agent: app}
  - {number: "+15550000002", trunk: two, outbound_agent: app}
  - {number: "+15550000003", trunk: three, outbound_agent: app}
`, e.sip, freePort(t, "tcp"), certificate, key, e.http, filepath.Join(folder, "data"), carrier.listener.Addr(), authority.File, folder, e.agent.address())
	if err := os.WriteFile(e.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e.start()

	first := e.callOut(carrier, "+15550000001", "a")
	second := e.callOut(carrier, "+15550000002", "b")
	third := e.callOut(carrier, "+15550000003", "c")
	if first.serial != 3 || second.serial != 4 || third.serial != 2 {
		t.Errorf("shown: %d, %d, %d; want 3, 4 and for the third that of the listener, 2", first.serial, second.serial, third.serial)
	}
	if first.conn == second.conn || first.conn == third.conn || second.conn == third.conn {
		t.Error("identities share a connection")
	}

	// What is wrong with the fourth stands in the page of registrations and in the log.
	within(t, 10*time.Second, "the wrong name is told", func() bool {
		_, page := e.get("/debug/registrations?state=unreachable")
		return strings.Contains(page, "the certificate is for 127.0.0.1, not for sip.other.example")
	})

	issue("one") // serial 5
	e.signals <- syscall.SIGHUP
	within(t, 5*time.Second, "it is reloaded", func() bool { return strings.Contains(e.log.String(), "configuration reloaded") })
	renewed := e.callOut(carrier, "+15550000001", "d")
	if renewed.serial != 5 || renewed.conn == first.conn {
		t.Errorf("after the renewal serial %d is shown", renewed.serial)
	}
	if again := e.callOut(carrier, "+15550000002", "e"); again.conn != second.conn {
		t.Error("the renewal of one trunk cost the other its connection")
	}
	// The call before the renewal goes on over its connection.
	e.agent.send(e.sip, e.outbound("BYE", "+15550000001", "a", first.to, 2, ""))
	bye := carrier.next("BYE ")
	if bye.conn != first.conn {
		t.Error("the call that was up has left its connection")
	}
	carrier.ok(bye, "")
	e.agent.expect("SIP/2.0 200")
}
