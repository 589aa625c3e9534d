package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// selfSignedFor is how long a certificate of our own making is valid; it is made again at a start near its end.
const selfSignedFor = 397 * 24 * time.Hour

// selfSigned returns the files of a certificate of our own making, for TLS listeners without one. It is kept in folder, so
// that peers which pin it are not surprised by a restart. Peers that check names refuse it.
func selfSigned(folder string, addresses []net.IP, now time.Time) (certificate, key string, err error) {
	certificate, key = filepath.Join(folder, "self-signed.pem"), filepath.Join(folder, "self-signed.key")
	if usable(certificate, key, now) {
		return certificate, key, nil
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "trunkline"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(selfSignedFor),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  addresses,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	if err := writePEM(key, "PRIVATE KEY", pkcs8); err != nil {
		return "", "", err
	}
	if err := writePEM(certificate, "CERTIFICATE", der); err != nil {
		return "", "", err
	}
	return certificate, key, nil
}

// usable reports whether both files exist and the certificate is valid for another month.
func usable(certificate, key string, now time.Time) bool {
	if _, err := os.Stat(key); err != nil {
		return false
	}
	text, err := os.ReadFile(certificate)
	if err != nil {
		return false
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	parsed, err := x509.ParseCertificate(block.Bytes)
	return err == nil && now.Add(30*24*time.Hour).Before(parsed.NotAfter)
}

// writePEM replaces a file that only we may read.
func writePEM(file, kind string, der []byte) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("keep the self-signed certificate: %w", err)
	}
	return nil
}
