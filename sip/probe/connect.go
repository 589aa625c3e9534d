package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"trunkline/config"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// connected is a stream to the server, of the probe's own, so that what goes wrong
// on the way can be told in words.
type connected struct {
	conn   net.Conn
	remote netip.AddrPort
	nth    int
}

func (c *connected) close() { c.conn.Close() }

// connect opens a TCP connection to the first address that takes one.
func (p *Prober) connect(ctx context.Context, t *trunks.Trunk, timeout time.Duration) (*connected, finding) {
	var last error
	var at netip.AddrPort
	for i, a := range t.Servers[:min(len(t.Servers), maxAddresses)] {
		begin := time.Now()
		conn, err := p.dial(ctx, a, timeout)
		if err == nil {
			return &connected{conn, a, i}, passes("%s takes TCP connections, in %s", a, time.Since(begin).Round(10*time.Microsecond))
		}
		last, at = err, a
	}
	switch {
	case ctx.Err() != nil:
		return nil, leavesOpen(Interrupted, "%v", errInterrupted)
	case errors.Is(last, syscall.ECONNREFUSED):
		return nil, fails(PortClosed, "%s refuses TCP connections: nothing listens there", at)
	case isTimeout(last):
		return nil, fails(NoResponse, "%s does not answer to a TCP connection", at)
	}
	return nil, fails(ConnectionFailed, "%s cannot be reached over TCP: %v", at, reason(last))
}

func (p *Prober) dial(ctx context.Context, a netip.AddrPort, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.options.Dial(ctx, "tcp", a.String())
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// reason is the innermost of an error of package net.
func reason(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// expiresSoon is when a certificate that is still valid is worth a word.
const expiresSoon = 14 * 24 * time.Hour

// handshake looks at the server's TLS: what it shows is taken first and judged
// afterwards, so that the report has the chain also where it is not trusted.
func (c *connected) handshake(ctx context.Context, peer *transport.Peer, timeout time.Duration) (*TLSFacts, finding) {
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: peer.ServerName, Certificates: peer.Certificates} // judged below
	if _, err := netip.ParseAddr(strings.Trim(peer.ServerName, "[]")); err == nil {
		cfg.ServerName = "" // SNI has no addresses (RFC 6066 §3)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn := tls.Client(c.conn, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, judgeHandshake(c.remote, err)
	}
	state := conn.ConnectionState()
	facts := factsOf(state)
	opts := x509.VerifyOptions{Roots: peer.RootCAs, DNSName: strings.Trim(peer.ServerName, "[]"), Intermediates: x509.NewCertPool()}
	for _, one := range state.PeerCertificates[1:] {
		opts.Intermediates.AddCert(one)
	}
	if _, err := state.PeerCertificates[0].Verify(opts); err != nil {
		return facts, judgeCertificate(err, facts, peer.ServerName, time.Now())
	}
	if left := time.Until(facts.Expires); left < expiresSoon {
		return facts, leavesOpen(TLSExpires, "%s, certificate for %s, which ends in %s, on %s", facts.Version, strings.Join(facts.Names, ", "),
			left.Round(time.Hour), facts.Expires.Format(time.DateOnly))
	}
	return facts, passes("%s, certificate for %s, good until %s, %d in the chain", facts.Version, strings.Join(facts.Names, ", "),
		facts.Expires.Format(time.DateOnly), len(facts.Chain))
}

func factsOf(s tls.ConnectionState) *TLSFacts {
	leaf := s.PeerCertificates[0]
	f := &TLSFacts{Version: tls.VersionName(s.Version), Cipher: tls.CipherSuiteName(s.CipherSuite), Names: leaf.DNSNames, Expires: leaf.NotAfter.UTC()}
	for _, ip := range leaf.IPAddresses {
		f.Names = append(f.Names, ip.String())
	}
	if len(f.Names) == 0 {
		f.Names = []string{leaf.Subject.CommonName}
	}
	for _, c := range s.PeerCertificates {
		f.Chain = append(f.Chain, c.Subject.String())
		if c.NotAfter.Before(f.Expires) {
			f.Expires = c.NotAfter.UTC()
		}
	}
	return f
}

// judgeCertificate tells what is wrong with a certificate.
func judgeCertificate(err error, facts *TLSFacts, name string, now time.Time) finding {
	if wrong, ok := errors.AsType[x509.CertificateInvalidError](err); ok && wrong.Reason == x509.Expired {
		if now.Before(wrong.Cert.NotBefore) {
			return fails(TLSExpired, "the certificate of %s is not valid before %s", wrong.Cert.Subject, wrong.Cert.NotBefore.UTC().Format(time.RFC3339))
		}
		return fails(TLSExpired, "the certificate of %s ended on %s", wrong.Cert.Subject, wrong.Cert.NotAfter.UTC().Format(time.RFC3339))
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		f := fails(TLSName, "the certificate is for %s and not for %s", strings.Join(facts.Names, ", "), name)
		f.fix = "set domain or tls.server_name to a name the certificate is for: " + strings.Join(facts.Names, ", ")
		return f
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fails(TLSUntrusted, "nobody that is trusted here has signed the certificate; its chain is %s", strings.Join(facts.Chain, " ← "))
	}
	return fails(TLSFailed, "the certificate is refused: %v", err)
}

// judgeHandshake tells why there is no handshake at all.
func judgeHandshake(at netip.AddrPort, err error) finding {
	switch record, ok := errors.AsType[tls.RecordHeaderError](err); {
	case ok:
		_ = record
		f := fails(WrongTransport, "%s does not speak TLS: it takes TCP there", at)
		f.fix = "set transport to tcp, or the port to the one that takes TLS (5061 as a rule)"
		return f
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fails(TLSFailed, "%s takes the connection but does not answer the TLS handshake", at)
	case strings.Contains(err.Error(), "protocol version"):
		return fails(TLSVersion, "%s speaks no TLS version that we do: %v", at, reason(err))
	}
	return fails(TLSFailed, "the TLS handshake with %s failed: %v", at, reason(err))
}

// streamSpeaks reports whether a server takes TCP connections at an address, and
// TLS on them.
func (p *Prober) streamSpeaks(ctx context.Context, a netip.AddrPort, timeout time.Duration) (tcp, overTLS bool) {
	conn, err := p.dial(ctx, a, timeout)
	if err != nil {
		return false, false
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return true, tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx) == nil
}

// usualPort is that of RFC 3261 §19.1.2.
func usualPort(t config.Transport) uint16 {
	if t == config.TLSTransport {
		return 5061
	}
	return 5060
}
