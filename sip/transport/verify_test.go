package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TRN-07, RFC 5922 §7.1: each way in which a TLS server is not the one we want, or does not want us, has its cause and a sentence
// that says what is wrong.
func TestTLSFailuresArePrecise(t *testing.T) {
	ca, strangers := newAuthority(t), newAuthority(t)
	const name = "sip.carrier.example"
	uri := func(text string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = append(c.URIs, u)
		}
	}
	as := func(change func(*x509.Certificate), names ...string) *tls.Config {
		_, _, pair := ca.issueOdd(t, "carrier", 2, change, names...)
		return &tls.Config{Certificates: []tls.Certificate{pair}}
	}
	same := func(*x509.Certificate) {}
	_, _, foreign := strangers.issue(t, "carrier", 2, name)
	asking := func(max uint16) *tls.Config {
		c := as(same, name)
		c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, ca.pool(), max
		return c
	}
	for _, test := range []struct {
		name   string
		server *tls.Config
		show   []tls.Certificate
		cause  TLSCause // empty: it works
		why    string
	}{
		{"its name", as(same, "other.example", name), nil, "", ""},
		{"a wildcard for it", as(same, "*.carrier.example"), nil, "", ""},
		{"its domain in a SIP URI", as(uri("sip:" + name)), nil, "", ""},
		{"another name", as(same, "sip.other.example", "192.0.2.1"), nil, TLSWrongName, "the certificate is for sip.other.example, 192.0.2.1, not for sip.carrier.example"},
		{"a user in a SIP URI is nobody's domain", as(uri("sip:" + name + "@other.example")), nil, TLSWrongName, "not for sip.carrier.example"},
		{"a URI of another scheme", as(uri("https://" + name)), nil, TLSWrongName, "not for sip.carrier.example"},
		{"the common name alone counts for nothing", as(func(c *x509.Certificate) { c.Subject.CommonName = name }), nil, TLSWrongName, "nobody (no subjectAltName)"},
		{"expired", as(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }, name), nil, TLSExpired, "the certificate of carrier expired on " + time.Now().UTC().Format("2006-01")},
		{"not valid yet", as(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }, name), nil, TLSNotYet, "the certificate of carrier is valid from "},
		{"signed by a stranger", &tls.Config{Certificates: []tls.Certificate{foreign}}, nil, TLSUntrusted, `signed by "CN=test authority", which is not trusted`},
		{"for clients only", as(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, name), nil, TLSInvalid, "incompatible key usage"},
		{"old versions only", func() *tls.Config {
			c := as(same, name)
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			return c
		}(), nil, TLSVersion, ""},
		{"a client certificate is wanted, TLS 1.2", asking(tls.VersionTLS12), nil, TLSClientCert, "client certificate"},
		{"a client certificate is wanted, TLS 1.3", asking(tls.VersionTLS13), nil, TLSClientCert, "the server wants a client certificate and was shown none"},
		{"ours is refused, TLS 1.3", asking(tls.VersionTLS13), []tls.Certificate{foreign}, TLSClientCert, "the server refuses our client certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			to, _ := tlsPeer(t, test.server)
			n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, TLS: TLSFiles{RootCA: ca.file}})
			to.Peer = &Peer{ServerName: name, Certificates: test.show}
			mustSend(t, n.Port(0), to, sip("OPTIONS", 100), 7)
			expectTLS(t, next(t, n.Port(0)), to, test.cause, test.why)
		})
	}
	for _, test := range []struct {
		name  string
		speak func(net.Conn)
		cause TLSCause
		why   string
	}{
		{"something else than TLS", func(c net.Conn) { c.Write([]byte("SIP/2.0 400 Bad Request\r\n\r\n")); c.Read(make([]byte, 100)) }, TLSNot, "the server does not speak TLS on this port"},
		{"closed at once", func(c net.Conn) { c.Read(make([]byte, 10000)) }, TLSInterrupted, "closed the connection during the handshake"},
		{"silence", func(c net.Conn) { time.Sleep(time.Second) }, TLSTimeout, "the handshake was not over in time"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, addr := tcpPeer(t, "127.0.0.1:0")
			go func() { // ends with the listener
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					test.speak(c)
					c.Close()
				}
			}()
			n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, TLS: TLSFiles{RootCA: ca.file}, ConnectTimeout: 500 * time.Millisecond})
			to := Flow{Proto: TLS, Remote: addr, Peer: &Peer{ServerName: name}}
			mustSend(t, n.Port(0), to, sip("OPTIONS", 100), 7)
			expectTLS(t, next(t, n.Port(0)), to, test.cause, test.why)
		})
	}
}

func expectTLS(t *testing.T, got Packet, to Flow, cause TLSCause, why string) {
	t.Helper()
	failure, failed := errors.AsType[*TLSError](got.Err)
	switch {
	case cause == "":
		if got.Err != nil {
			t.Error(got.Err)
		}
	case !failed:
		t.Errorf("%+v, want a TLS error", got)
	case failure.Cause != cause || !strings.Contains(failure.Why, why) || failure.Remote != to.Remote:
		t.Errorf("%s: %v, want %s: %s", failure.Cause, failure, cause, why)
	}
}

// TRN-07: two trunks at one address with identities of their own never share a connection, nor does one with an identity use a
// connection that came in.
func TestIdentitiesShareNoConnection(t *testing.T) {
	ca := newAuthority(t)
	cert, key, pair := ca.issue(t, "edge", 2, "127.0.0.1")
	to, accepted := tlsPeer(t, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert})
	_, _, one := ca.issue(t, "one", 3, "one.example")
	_, _, two := ca.issue(t, "two", 4, "two.example")
	n := open(t, Options{Listen: []string{"tls://127.0.0.1:0"}, TLS: TLSFiles{RootCA: ca.file, Certificate: cert, Key: key, ClientCA: ca.file, Show: true}})
	p := n.Port(0)
	conns := map[uint64]string{}
	for _, test := range []struct {
		peer *Peer
		want int64 // serial of the certificate shown
	}{
		{&Peer{ServerName: "127.0.0.1", Certificates: []tls.Certificate{one}}, 3},
		{&Peer{ServerName: "127.0.0.1", Certificates: []tls.Certificate{two}}, 4},
		{&Peer{ServerName: "127.0.0.1"}, 2}, // that of the listeners
	} {
		for range 3 {
			to.Peer = test.peer
			mustSend(t, p, to, sip("OPTIONS", 100), 0)
			flow, _ := nextMessage(t, p)
			if known, ok := conns[flow.Conn]; ok && known != test.peer.key() {
				t.Errorf("connection %d of %s carries a message of %s", flow.Conn, known, test.peer.key())
			}
			conns[flow.Conn] = test.peer.key()
		}
		shown := accepted().ConnectionState().PeerCertificates
		if len(shown) == 0 || shown[0].SerialNumber.Int64() != test.want {
			t.Errorf("shown %d certificates, want serial %d", len(shown), test.want)
		}
	}
	if len(conns) != 3 {
		t.Errorf("%d connections, want 3", len(conns))
	}

	inbound := tls.Client(connect(t, n.Listeners()[0].Addr), &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{one}})
	write(t, inbound, sip("OPTIONS", 100))
	flow, _ := nextMessage(t, p)
	for _, peer := range []*Peer{{ServerName: "one.example", Certificates: []tls.Certificate{two}}, {ServerName: "one.example", RootCAs: ca.pool()}} {
		mustSend(t, p, Flow{Proto: TLS, Remote: flow.Remote, Peer: peer}, "no", 1)
		if pk := nextFailure(t, p); pk.Ref != 1 || pk.Flow.Conn == flow.Conn {
			t.Errorf("failure %+v, want one of a connection of its own", pk)
		}
	}
}

func (p *Peer) key() string {
	if len(p.Certificates) == 0 {
		return "none"
	}
	c, _ := x509.ParseCertificate(p.Certificates[0].Certificate[0])
	return c.Subject.CommonName
}
