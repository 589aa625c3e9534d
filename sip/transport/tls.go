package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// tlsSettings is what the files of TLSFiles held when they were read last.
type tlsSettings struct {
	certificate *tls.Certificate
	server      *tls.Config
	roots       *x509.CertPool // nil: the system's
}

// reload reads the files and puts them to use for connections to come.
func (s *streams) reload() error {
	f := s.n.options.TLS
	t := &tlsSettings{server: &tls.Config{MinVersion: tls.VersionTLS12}}
	if f.Certificate != "" || f.Key != "" {
		pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
		if err != nil {
			return fmt.Errorf("TLS certificate: %w", err)
		}
		t.certificate = &pair
		t.server.Certificates = []tls.Certificate{pair}
	}
	if f.ClientCA != "" {
		pool, err := readAuthorities(f.ClientCA)
		if err != nil {
			return fmt.Errorf("TLS client authorities: %w", err)
		}
		t.server.ClientCAs = pool
		t.server.ClientAuth = tls.VerifyClientCertIfGiven
		if f.RequireClient {
			t.server.ClientAuth = tls.RequireAndVerifyClientCert
		}
	} else if f.RequireClient {
		return errors.New("TLS: client certificates are required but no authority is given to check them")
	}
	if f.RootCA != "" {
		pool, err := readAuthorities(f.RootCA)
		if err != nil {
			return fmt.Errorf("TLS authorities: %w", err)
		}
		t.roots = pool
	}
	s.tls.Store(t)
	return nil
}

func readAuthorities(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// handshakeServer returns the secured connection and the client's verified certificate, nil if it showed none.
func (s *streams) handshakeServer(ctx context.Context, nc net.Conn) (net.Conn, *x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, s.n.options.HandshakeTimeout)
	defer cancel()
	t := tls.Server(nc, s.tls.Load().server)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, nil, err
	}
	return t, verifiedLeaf(t.ConnectionState()), nil
}

// clientTLS demands the name of a peer, or else its address (RFC 5922 §7.2). bare becomes true when the server asks for a
// certificate and there is none to show.
func (s *streams) clientTLS(remote netip.AddrPort, p *Peer) (cfg *tls.Config, bare *bool) {
	t := s.tls.Load()
	name, roots, own := remote.Addr().WithZone("").String(), t.roots, []tls.Certificate(nil)
	if t.certificate != nil && s.n.options.TLS.Show {
		own = []tls.Certificate{*t.certificate}
	}
	if p != nil && p.ServerName != "" {
		name = p.ServerName
	}
	if p != nil && p.RootCAs != nil {
		roots = p.RootCAs
	}
	if p != nil && len(p.Certificates) > 0 {
		own = p.Certificates
	}
	bare = new(bool)
	cfg = &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: name,
		InsecureSkipVerify: true, // VerifyConnection does it, with the rules of SIP
		VerifyConnection:   func(cs tls.ConnectionState) error { return verify(cs, roots, name) },
	}
	// Not cfg.Certificates: Go leaves those out that no authority named by the server has signed, and carriers name odd ones.
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if len(own) > 0 {
			return &own[0], nil
		}
		*bare = true
		return new(tls.Certificate), nil
	}
	return cfg, bare
}

// vouchesFor reports whether a request for a peer may use an accepted connection: over TCP always, over TLS only if the client
// certificate proves the name that we would demand (RFC 5923 §9) to the authorities that we ask, and the peer is not to be
// shown a certificate other than the listener's.
func (c *conn) vouchesFor(p *Peer) bool {
	if c.key.proto == TCP {
		return true
	}
	if p != nil && (p.RootCAs != nil || len(p.Certificates) > 0) {
		return false
	}
	leaf := c.certificate.Load()
	name := c.key.remote.Addr().String()
	if p != nil && p.ServerName != "" {
		name = p.ServerName
	}
	return leaf != nil && leaf.VerifyHostname(name) == nil
}

func verifiedLeaf(cs tls.ConnectionState) *x509.Certificate {
	if len(cs.VerifiedChains) == 0 {
		return nil
	}
	return cs.VerifiedChains[0][0]
}
