package sip

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"reflect"

	"trunkline/sip/transport"
	"trunkline/trunks"
)

// peerOf is what we demand of, and show to, a trunk over TCP and TLS. Over TLS its
// certificate must carry the configured name, else the trunk's domain (RFC 5922 §7).
func peerOf(t *trunks.Trunk) (*transport.Peer, error) {
	p := &transport.Peer{ServerName: t.TLS.ServerName, Ping: t.KeepAlive.D()}
	if p.ServerName == "" {
		p.ServerName = t.Domain
	}
	if t.TLS.CA != "" {
		pem, err := os.ReadFile(t.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		p.RootCAs = x509.NewCertPool()
		if !p.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("tls.ca: no certificate in " + t.TLS.CA)
		}
	}
	if t.TLS.Certificate != "" {
		own, err := tls.LoadX509KeyPair(t.TLS.Certificate, t.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.certificate: %w", err)
		}
		p.Certificates = []tls.Certificate{own}
	}
	return p, nil
}

func samePeer(a, b *transport.Peer) bool {
	return a != nil && a.ServerName == b.ServerName && a.Ping == b.Ping && (a.RootCAs == nil) == (b.RootCAs == nil) &&
		(a.RootCAs == nil || a.RootCAs.Equal(b.RootCAs)) && reflect.DeepEqual(certificates(a), certificates(b))
}

func certificates(p *transport.Peer) (der [][][]byte) {
	for _, c := range p.Certificates {
		der = append(der, c.Certificate)
	}
	return der
}
