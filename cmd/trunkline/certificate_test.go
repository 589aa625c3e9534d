package main

import (
	"crypto/tls"
	"net"
	"os"
	"testing"
	"time"
)

func TestSelfSignedCertificateIsKeptUntilItNearsItsEnd(t *testing.T) {
	folder := t.TempDir()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	addresses := []net.IP{net.IPv4(127, 0, 0, 1)}
	certificate, key, err := selfSigned(folder, addresses, now)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := pair.Leaf.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %v (%v), want 0600", info.Mode(), err)
	}
	first := read(t, certificate)
	if _, _, err := selfSigned(folder, addresses, now.Add(300*24*time.Hour)); err != nil || read(t, certificate) != first {
		t.Errorf("a valid certificate was replaced (%v)", err)
	}
	if _, _, err := selfSigned(folder, addresses, now.Add(390*24*time.Hour)); err != nil || read(t, certificate) == first {
		t.Errorf("a certificate near its end was kept (%v)", err)
	}
	if err := os.WriteFile(certificate, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := selfSigned(folder, addresses, now); err != nil {
		t.Fatal(err)
	}
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		t.Errorf("a damaged certificate was kept: %v", err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
