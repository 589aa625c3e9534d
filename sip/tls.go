package sip

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"trunkline/config"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// identity is what distinguishes one transport.Peer from another. Trunks with the
// same identity share connections to an address (RFC 5923); no others do.
type identity struct {
	serverName      string
	ping            time.Duration
	ca, certificate [sha256.Size]byte // of what the files hold; zero: none
}

// peers are the identities of the trunks of a snapshot.
type peers struct {
	byTrunk map[string]*transport.Peer
	known   map[identity]*transport.Peer
}

// peersOf reads the files of every trunk. What is as it was in old keeps its Peer,
// and with it its connections.
func peersOf(s *trunks.Snapshot, old peers) (peers, error) {
	all := peers{byTrunk: map[string]*transport.Peer{}, known: map[identity]*transport.Peer{}}
	for _, t := range s.Trunks {
		if t.Transport != config.TLSTransport && t.KeepAlive == 0 {
			continue
		}
		id, peer, err := peerOf(t)
		if err != nil {
			return peers{}, fmt.Errorf("trunk %s: %w", t.Name, err)
		}
		for _, known := range [...]map[identity]*transport.Peer{all.known, old.known} {
			if same := known[id]; same != nil {
				peer = same // connections are shared by pointer
			}
		}
		all.byTrunk[t.Name], all.known[id] = peer, peer
	}
	return all, nil
}

// peerOf is what we demand of, and show to, a trunk over TCP and TLS. Over TLS its
// certificate must carry the configured name, else the trunk's domain (RFC 5922 §7).
func peerOf(t *trunks.Trunk) (identity, *transport.Peer, error) {
	id := identity{ping: t.KeepAlive.D()}
	p := &transport.Peer{Ping: id.ping}
	if t.Transport != config.TLSTransport {
		return id, p, nil
	}
	id.serverName = t.TLS.ServerName
	p.ServerName = id.serverName
	if t.TLS.CA != "" {
		pem, err := os.ReadFile(t.TLS.CA)
		if err != nil {
			return id, nil, fmt.Errorf("tls.ca: %w", err)
		}
		p.RootCAs = x509.NewCertPool()
		if !p.RootCAs.AppendCertsFromPEM(pem) {
			return id, nil, errors.New("tls.ca: no certificate in " + t.TLS.CA)
		}
		id.ca = sha256.Sum256(pem)
	}
	if t.TLS.Certificate != "" {
		own, err := tls.LoadX509KeyPair(t.TLS.Certificate, t.TLS.Key)
		if err != nil {
			return id, nil, fmt.Errorf("tls.certificate: %w", err)
		}
		p.Certificates = []tls.Certificate{own}
		hash := sha256.New()
		for _, der := range own.Certificate {
			hash.Write(der)
		}
		id.certificate = [sha256.Size]byte(hash.Sum(nil))
	}
	return id, p, nil
}
