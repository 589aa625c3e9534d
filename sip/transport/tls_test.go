package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serverFiles is a certificate for 127.0.0.1 that nobody trusts.
func serverFiles(t testing.TB) TLSFiles {
	t.Helper()
	cert, key, _ := newAuthority(t).issue(t, "edge", 2, "127.0.0.1")
	return TLSFiles{Certificate: cert, Key: key}
}

// tlsPeer accepts TLS connections from the network under test and answers each read with the same bytes.
func tlsPeer(t testing.TB, cfg *tls.Config) (at Flow, accepted func() *tls.Conn) {
	t.Helper()
	l, addr := tcpPeer(t, "127.0.0.1:0")
	connections := make(chan *tls.Conn, 16)
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				s := tls.Server(c, cfg)
				if s.Handshake() != nil {
					return
				}
				connections <- s
				buf := make([]byte, 4096)
				for {
					n, err := s.Read(buf)
					if err != nil {
						return
					}
					s.Write(buf[:n])
				}
			}()
		}
	}()
	return Flow{Proto: TLS, Remote: addr}, func() *tls.Conn {
		select {
		case c := <-connections:
			return c
		case <-time.After(patience):
			t.Fatal("no TLS connection")
			return nil
		}
	}
}

// TRN-07, RFC 5922 §7: the certificate must carry the name that is asked for, and connections verified for one name are not used
// for another.
func TestServerNameIsVerified(t *testing.T) {
	ca, strangers := newAuthority(t), newAuthority(t)
	_, _, pair := ca.issue(t, "carrier", 2, "sip.carrier.example", "127.0.0.1")
	to, accepted := tlsPeer(t, &tls.Config{Certificates: []tls.Certificate{pair}})
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, TLS: TLSFiles{RootCA: ca.file}})
	p := n.Port(0)
	ask := func(peer *Peer) Packet {
		t.Helper()
		to.Peer = peer
		mustSend(t, p, to, sip("OPTIONS", 100), 3)
		return next(t, p)
	}

	right := &Peer{ServerName: "sip.carrier.example"}
	answer := ask(right)
	if answer.Err != nil {
		t.Fatal(answer.Err)
	}
	if accepted().ConnectionState().ServerName != "sip.carrier.example" {
		t.Error("no SNI")
	}
	if leaf := n.PeerCertificate(answer.Flow.Conn); leaf == nil || leaf.DNSNames[0] != "sip.carrier.example" {
		t.Errorf("peer certificate %v", leaf)
	}
	if again := ask(right); again.Flow.Conn != answer.Flow.Conn {
		t.Error("the same peer got a second connection")
	}
	wrong := ask(&Peer{ServerName: "sip.other.example"})
	if _, ok := errors.AsType[x509.HostnameError](wrong.Err); !ok || wrong.Ref != 3 {
		t.Errorf("wrong name: %+v, want a host name error with ref 3", wrong)
	}
	if byAddress := ask(nil); byAddress.Err != nil || byAddress.Flow.Conn == answer.Flow.Conn {
		t.Errorf("no name: %+v, want a connection of its own, verified by address", byAddress)
	}
	accepted()
	untrusted := ask(&Peer{ServerName: "sip.carrier.example", RootCAs: strangers.pool()})
	if _, ok := errors.AsType[x509.UnknownAuthorityError](untrusted.Err); !ok {
		t.Errorf("unknown authority: %v", untrusted.Err)
	}
	if again := ask(right); again.Flow.Conn != answer.Flow.Conn {
		t.Error("failures of others cost the connection")
	}
}

// TRN-07: client certificates, shown by us and asked of others.
func TestClientCertificates(t *testing.T) {
	ca := newAuthority(t)
	cert, key, pair := ca.issue(t, "edge", 2, "127.0.0.1")
	_, _, client := ca.issue(t, "client", 3, "sip.client.example")
	_, _, stranger := newAuthority(t).issue(t, "stranger", 4, "sip.stranger.example")

	t.Run("ours is shown", func(t *testing.T) {
		to, accepted := tlsPeer(t, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool(), MaxVersion: tls.VersionTLS12})
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, TLS: TLSFiles{RootCA: ca.file}})
		to.Peer = &Peer{Certificates: []tls.Certificate{client}}
		mustSend(t, n.Port(0), to, sip("OPTIONS", 100), 0)
		nextMessage(t, n.Port(0))
		if got := accepted().ConnectionState().PeerCertificates[0].DNSNames[0]; got != "sip.client.example" {
			t.Errorf("showed %s", got)
		}
	})

	for _, test := range []struct {
		name     string
		required bool
		show     []tls.Certificate
		max      uint16
		welcome  bool
		verified bool
	}{
		{name: "optional and none shown", welcome: true},
		{name: "optional and a good one shown", show: []tls.Certificate{client}, welcome: true, verified: true},
		{name: "optional and a stranger's shown", show: []tls.Certificate{stranger}},
		{name: "required and none shown", required: true},
		{name: "required and a good one shown", required: true, show: []tls.Certificate{client}, welcome: true, verified: true},
		{name: "TLS 1.1", max: tls.VersionTLS11},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := open(t, Options{Listen: []string{"tls://127.0.0.1:0"}, TLS: TLSFiles{Certificate: cert, Key: key, ClientCA: ca.file, RequireClient: test.required}})
			c := tls.Client(connect(t, n.Listeners()[0].Addr), &tls.Config{
				RootCAs: ca.pool(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS10, MaxVersion: test.max,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(test.show) == 0 {
						return &tls.Certificate{}, nil
					}
					return &test.show[0], nil
				},
			})
			if !test.welcome {
				if c.Handshake() == nil {
					expectEnd(t, c) // TLS 1.3 tells the client after its handshake
				}
				eventually(t, n.Port(0), "refusal counted", func() bool { return n.Stats().Dropped[DropHandshake] == 1 })
				return
			}
			write(t, c, sip("OPTIONS", 100))
			flow, _ := nextMessage(t, n.Port(0))
			if got := n.PeerCertificate(flow.Conn) != nil; got != test.verified {
				t.Errorf("certificate known: %v, want %v", got, test.verified)
			}
			mustSend(t, n.Port(0), flow, "200", 0)
			expect(t, c, "200")
		})
	}
}

// RFC 5923 §9: a TLS connection that came to us carries requests of ours to its address only if the peer has proven the name we want.
func TestInboundTLSIsReusedOnlyForAProvenName(t *testing.T) {
	ca := newAuthority(t)
	cert, key, _ := ca.issue(t, "edge", 2, "127.0.0.1")
	_, _, client := ca.issue(t, "client", 3, "sip.client.example")
	n := open(t, Options{Listen: []string{"tls://127.0.0.1:0"}, TLS: TLSFiles{Certificate: cert, Key: key, ClientCA: ca.file}})
	p := n.Port(0)
	cfg := &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1", Certificates: []tls.Certificate{client}}
	proven := tls.Client(connect(t, n.Listeners()[0].Addr), cfg)
	write(t, proven, sip("OPTIONS", 100))
	flow, _ := nextMessage(t, p)

	mustSend(t, p, Flow{Proto: TLS, Remote: flow.Remote, Peer: &Peer{ServerName: "sip.client.example"}}, "yes", 0)
	expect(t, proven, "yes")
	for _, peer := range []*Peer{nil, {ServerName: "sip.other.example"}} {
		mustSend(t, p, Flow{Proto: TLS, Remote: flow.Remote, Peer: peer}, "no", 1)
		if pk := nextFailure(t, p); pk.Ref != 1 || pk.Flow.Conn == flow.Conn {
			t.Errorf("failure %+v, want one of a connection of its own", pk)
		}
	}
	mustSend(t, p, Flow{Proto: TLS, Conn: flow.Conn, Remote: flow.Remote, Peer: &Peer{ServerName: "sip.other.example"}}, "in dialog", 0)
	expect(t, proven, "in dialog")
}

// TRN-07: a new certificate serves new connections; old ones live on; a bad file changes nothing.
func TestReloadTLS(t *testing.T) {
	ca := newAuthority(t)
	cert, key, _ := ca.issue(t, "edge", 2, "127.0.0.1")
	n := open(t, Options{Listen: []string{"tls://127.0.0.1:0"}, TLS: TLSFiles{Certificate: cert, Key: key}})
	cfg := &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1"}
	dial := func() (*tls.Conn, int64) {
		t.Helper()
		c := tls.Client(connect(t, n.Listeners()[0].Addr), cfg)
		if err := c.Handshake(); err != nil {
			t.Fatal(err)
		}
		return c, c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	old, serial := dial()
	if serial != 2 {
		t.Fatalf("serial %d", serial)
	}
	ca.issue(t, "edge", 3, "127.0.0.1")
	if err := n.ReloadTLS(); err != nil {
		t.Fatal(err)
	}
	if _, serial := dial(); serial != 3 {
		t.Errorf("serial %d after the reload, want 3", serial)
	}
	write(t, old, Ping)
	expect(t, old, "\r\n")
	if err := os.WriteFile(cert, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n.ReloadTLS() == nil {
		t.Error("a bad file was taken")
	}
	if _, serial := dial(); serial != 3 {
		t.Errorf("serial %d after a failed reload, want 3", serial)
	}
}

func TestTLSFilesSayWhatIsWrong(t *testing.T) {
	ca := newAuthority(t)
	cert, key, _ := ca.issue(t, "edge", 2, "127.0.0.1")
	empty := filepath.Join(t.TempDir(), "empty.pem")
	writePEM(t, empty, "NOTHING", nil)
	for _, test := range []struct {
		name  string
		files TLSFiles
		want  string
	}{
		{"no certificate", TLSFiles{}, "listen on tls://127.0.0.1:0: a TLS listener needs a certificate and its key"},
		{"missing file", TLSFiles{Certificate: "/nowhere/cert.pem", Key: key}, "TLS certificate: open /nowhere/cert.pem: no such file or directory"},
		{"certificate without key", TLSFiles{Certificate: cert}, "TLS certificate: open : no such file or directory"},
		{"authority without certificate", TLSFiles{Certificate: cert, Key: key, ClientCA: empty}, "TLS client authorities: " + empty + " holds no certificate"},
		{"clients required but no authority", TLSFiles{Certificate: cert, Key: key, RequireClient: true}, "TLS: client certificates are required but no authority is given to check them"},
		{"missing roots", TLSFiles{Certificate: cert, Key: key, RootCA: "/nowhere/ca.pem"}, "TLS authorities: open /nowhere/ca.pem: no such file or directory"},
	} {
		n, err := Listen(Options{Listen: []string{"udp://127.0.0.1:0", "tls://127.0.0.1:0"}, TLS: test.files})
		if err == nil {
			n.Close(context.Background())
			t.Errorf("%s: no error", test.name)
			continue
		}
		if err.Error() != test.want {
			t.Errorf("%s: %q, want %q", test.name, err, test.want)
		}
	}
}

// The address shown on a TLS connection we opened is where the peer sees us, not the listener.
func TestLocalAddressOfADialledConnection(t *testing.T) {
	ca := newAuthority(t)
	_, _, pair := ca.issue(t, "carrier", 2, "127.0.0.1")
	to, accepted := tlsPeer(t, &tls.Config{Certificates: []tls.Certificate{pair}})
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, TLS: TLSFiles{RootCA: ca.file}})
	mustSend(t, n.Port(0), to, sip("OPTIONS", 100), 0)
	flow, _ := nextMessage(t, n.Port(0))
	if seen := accepted().RemoteAddr().(*net.TCPAddr).AddrPort(); flow.Local != seen || strings.Contains(n.Listeners()[0].SentBy, seen.String()) {
		t.Errorf("flow says %s, the peer sees %s", flow.Local, seen)
	}
}
