package carrier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// Certificate is which certificate a Carrier shows.
type Certificate uint8

// Certificates.
const (
	GoodCertificate Certificate = iota
	WrongName                   // for another host
	Expired                     // yesterday
	SelfSigned                  // by nobody of Authority
	certificates
)

// identity is a carrier's authority and what it signed, or should not have.
type identity struct {
	authority []byte // PEM
	shown     [certificates]tls.Certificate
}

// newIdentity makes certificates for an address and names.
func newIdentity(address net.IP, names []string) (*identity, error) {
	const day = 24 * time.Hour
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "simulated authority"},
		NotBefore: time.Now().Add(-10 * day), NotAfter: time.Now().Add(day),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	signed, key, err := sign(root, root, nil)
	if err != nil {
		return nil, err
	}
	id := &identity{authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})}
	for kind := range certificates {
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(2 + int64(kind)), Subject: pkix.Name{CommonName: "simulated carrier"},
			NotBefore: time.Now().Add(-9 * day), NotAfter: time.Now().Add(day),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
			IPAddresses: []net.IP{address}, DNSNames: names,
		}
		parent, with := root, key
		switch kind {
		case WrongName:
			leaf.IPAddresses, leaf.DNSNames = nil, []string{"other.example"}
		case Expired:
			leaf.NotAfter = time.Now().Add(-day)
		case SelfSigned:
			parent, with = leaf, nil
		}
		der, own, err := sign(leaf, parent, with)
		if err != nil {
			return nil, err
		}
		id.shown[kind] = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: own}
	}
	return id, nil
}

// sign makes a key and its certificate; by nil: signed with that key itself.
func sign(c, parent *x509.Certificate, by *ecdsa.PrivateKey) (der []byte, own *ecdsa.PrivateKey, err error) {
	if own, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	if by == nil {
		by = own
	}
	der, err = x509.CreateCertificate(rand.Reader, c, parent, &own.PublicKey, by)
	return der, own, err
}

// serverTLS shows what the faults of the moment ask for.
func (c *Carrier) serverTLS(id *identity) *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		f := c.fault()
		conf := &tls.Config{Certificates: []tls.Certificate{id.shown[f.Certificate%certificates]}}
		if f.OldTLS {
			conf.MinVersion, conf.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		}
		return conf, nil
	}}
}
