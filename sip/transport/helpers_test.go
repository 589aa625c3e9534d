package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience bounds what should happen at once; reaching it fails the test.
const patience = 20 * time.Second

// open listens, with a P for each raw reader, and closes when the test ends.
func open(t testing.TB, o Options) *Network {
	t.Helper()
	n, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ReserveProcs(n.Shards())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := n.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		ReserveProcs(-n.Shards())
	})
	return n
}

// eachLoop runs a test with both receive loops.
func eachLoop(t *testing.T, test func(t *testing.T, loop Loop)) {
	for name, loop := range map[string]Loop{"raw": LoopRaw, "portable": LoopPortable} {
		t.Run(name, func(t *testing.T) {
			if loop == LoopRaw && !haveRaw {
				t.Skip(errNoRaw)
			}
			test(t, loop)
		})
	}
}

// next receives until something comes.
func next(t testing.TB, p Port) Packet {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if pk, ok := p.Receive(100 * time.Millisecond); ok {
			return pk
		}
	}
	t.Fatal("nothing received")
	return Packet{}
}

// nextMessage is next for a message.
func nextMessage(t testing.TB, p Port) (Flow, string) {
	t.Helper()
	pk := next(t, p)
	if pk.Err != nil {
		t.Fatalf("failure instead of a message: %v", pk.Err)
	}
	return pk.Flow, string(pk.Bytes)
}

// nextFailure is next for a failed send.
func nextFailure(t testing.TB, p Port) Packet {
	t.Helper()
	pk := next(t, p)
	if pk.Err == nil {
		t.Fatalf("message %q instead of a failure", pk.Bytes)
	}
	return pk
}

// eventually receives, and forgets what comes, until ok.
func eventually(t testing.TB, p Port, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if ok() {
			return
		}
		p.Receive(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func mustSend(t testing.TB, p Port, f Flow, b string, ref uint64) {
	t.Helper()
	if err := p.Send(f, []byte(b), ref); err != nil {
		t.Fatalf("send to %s %s: %v", f.Proto, f.Remote, err)
	}
}

// sip is a message that streams can cut: a request of about size bytes with a body.
func sip(method string, size int) string {
	head := method + " sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nContent-Length: %d\r\n\r\n"
	body := max(0, size-len(head))
	return fmt.Sprintf(head, body) + strings.Repeat("b", body)
}

// udpPeer is a socket of somebody else.
func udpPeer(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func addrOf(c *net.UDPConn) netip.AddrPort {
	a := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func writeTo(t testing.TB, c *net.UDPConn, b string, to netip.AddrPort) {
	t.Helper()
	if _, err := c.WriteToUDPAddrPort([]byte(b), to); err != nil {
		t.Fatal(err)
	}
}

func readFrom(t testing.TB, c *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 1<<16)
	n, from, err := c.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n]), netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
}

// tcpPeer listens for connections from the network under test.
func tcpPeer(t testing.TB, addr string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	return l, addrPortOf(l.Addr())
}

func accept(t testing.TB, l net.Listener) net.Conn {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

// connect opens a TCP connection to the network under test.
func connect(t testing.TB, to netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func write(t testing.TB, c net.Conn, b string) {
	t.Helper()
	if _, err := c.Write([]byte(b)); err != nil {
		t.Fatal(err)
	}
}

// expect reads exactly what is wanted.
func expect(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	for n := 0; n < len(got); {
		m, err := c.Read(got[n:])
		if err != nil {
			t.Fatalf("got %q, then %v, want %q", got[:n], err, want)
		}
		n += m
	}
	if string(got) != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// expectEnd reads until the peer closes and fails if anything comes before.
func expectEnd(t testing.TB, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n > 0 {
		t.Fatal("data instead of the end")
	}
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("the connection was not closed")
	}
}

// authority signs certificates for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM of the certificate
	dir  string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.file = filepath.Join(a.dir, "authority.pem")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue writes a certificate for names (host names or IP addresses) into files and returns it, too.
func (a *authority) issue(t testing.TB, base string, serial int64, names ...string) (cert, key string, pair tls.Certificate) {
	t.Helper()
	return a.issueOdd(t, base, serial, func(*x509.Certificate) {}, names...)
}

// issueOdd is issue of a certificate that is changed before it is signed.
func (a *authority) issueOdd(t testing.TB, base string, serial int64, change func(*x509.Certificate), names ...string) (cert, key string, pair tls.Certificate) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: base},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	change(template)
	k, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(a.dir, base+".pem"), filepath.Join(a.dir, base+".key")
	writePEM(t, cert, "CERTIFICATE", der)
	writePEM(t, key, "PRIVATE KEY", keyDER)
	pair, err = tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key, pair
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fds counts this process's open file descriptors; 0 where that cannot be known.
func fds() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}

// heap returns the bytes in use after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
