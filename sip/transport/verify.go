package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// TLSCause says what is wrong between us and a TLS server we called, from a closed set.
type TLSCause string

// The causes.
const (
	TLSExpired     TLSCause = "expired"            // the server's certificate, or one above it, has run out
	TLSNotYet      TLSCause = "not_yet_valid"      // or is not valid yet: one of both clocks is wrong
	TLSWrongName   TLSCause = "wrong_name"         // it is for other names than the one demanded
	TLSUntrusted   TLSCause = "untrusted"          // no authority that we trust has signed it
	TLSInvalid     TLSCause = "invalid"            // it cannot be used for another reason
	TLSClientCert  TLSCause = "client_certificate" // the server wants a certificate of ours, or refuses the one it was shown
	TLSVersion     TLSCause = "version"            // no version or cipher in common
	TLSNot         TLSCause = "not_tls"            // something other than TLS is spoken there
	TLSTimeout     TLSCause = "timeout"
	TLSInterrupted TLSCause = "interrupted" // the connection ended in the middle of the handshake
	TLSOther       TLSCause = "other"
)

// TLSError is why a TLS connection we opened cannot be used. It wraps what crypto/tls and crypto/x509 say.
type TLSError struct {
	Remote netip.AddrPort
	Cause  TLSCause
	Why    string // a sentence without its end
	Err    error
}

func (e *TLSError) Error() string { return fmt.Sprintf("TLS with %s: %s", e.Remote, e.Why) }
func (e *TLSError) Unwrap() error { return e.Err }

// tlsError explains an error of a handshake, or of the first read after it: a server of TLS 1.3 refuses our certificate only then.
// bare: it asked for one and we had none.
func tlsError(remote netip.AddrPort, err error, bare bool) *TLSError {
	cause, why := explainTLS(err)
	if bare && cause == TLSVersion { // TLS 1.2 has no alert of its own for that
		cause, why = TLSClientCert, "the server asks for a client certificate, was shown none, and refuses the handshake"
	}
	return &TLSError{Remote: remote, Cause: cause, Why: why, Err: err}
}

func explainTLS(err error) (TLSCause, string) {
	const stamp = "2006-01-02 15:04 MST"
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return TLSWrongName, fmt.Sprintf("the certificate is for %s, not for %s", namesOf(name.Certificate), name.Host)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		now := time.Now()
		switch c := invalid.Cert; {
		case invalid.Reason == x509.Expired && c != nil && now.Before(c.NotBefore):
			return TLSNotYet, fmt.Sprintf("the certificate of %s is valid from %s only", c.Subject.CommonName, c.NotBefore.UTC().Format(stamp))
		case invalid.Reason == x509.Expired && c != nil:
			return TLSExpired, fmt.Sprintf("the certificate of %s expired on %s", c.Subject.CommonName, c.NotAfter.UTC().Format(stamp))
		}
		return TLSInvalid, "the certificate cannot be used: " + invalid.Error()
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		signer := "an unknown authority"
		if c := unknown.Cert; c != nil && c.Issuer.String() != "" {
			signer = fmt.Sprintf("%q", c.Issuer.String())
		}
		return TLSUntrusted, "the certificate is signed by " + signer + ", which is not trusted"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return TLSNot, "the server does not speak TLS on this port"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return explainAlert(strings.TrimPrefix(op.Err.Error(), "tls: "))
	}
	switch text := err.Error(); {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return TLSTimeout, "the handshake was not over in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return TLSInterrupted, "the server closed the connection during the handshake"
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "selected unsupported protocol version"):
		return TLSVersion, "the server speaks no TLS version from 1.2 on"
	default:
		return TLSOther, strings.TrimPrefix(text, "tls: ")
	}
}

// explainAlert reads what the server says of us (RFC 8446 §6.2). crypto/tls keeps the codes to itself, so by its words.
func explainAlert(alert string) (TLSCause, string) {
	switch alert {
	case "certificate required":
		return TLSClientCert, "the server wants a client certificate and was shown none"
	case "bad certificate", "unsupported certificate", "revoked certificate", "expired certificate", "unknown certificate",
		"unknown certificate authority", "access denied":
		return TLSClientCert, "the server refuses our client certificate: " + alert
	case "protocol version not supported", "insufficient security level", "handshake failure":
		return TLSVersion, "the server refuses the handshake: " + alert
	}
	return TLSOther, "the server refuses: " + alert
}

// verify checks a server's chain against roots, and that it stands for name (RFC 5922 §7.1): by a DNS name or an address as
// usual, or by a URI "sip:name" without a user.
func verify(cs tls.ConnectionState, roots *x509.CertPool, name string) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("tls: no certificate")
	}
	leaf, above := cs.PeerCertificates[0], x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		above.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: above})
	if err == nil && !isSIPDomain(leaf, name) {
		err = leaf.VerifyHostname(name)
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: cs.PeerCertificates, Err: err}
	}
	return nil
}

// isSIPDomain reports whether a certificate names the SIP domain in a URI.
func isSIPDomain(c *x509.Certificate, domain string) bool {
	for _, u := range c.URIs {
		host := u.Host
		if host == "" {
			host = u.Opaque // "sip:example.com" has no slashes
		}
		if strings.EqualFold(u.Scheme, "sip") && strings.EqualFold(host, domain) && !strings.ContainsAny(host, "@;?") {
			return true
		}
	}
	return false
}

// namesOf lists whom a certificate stands for, for people.
func namesOf(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, a := range c.IPAddresses {
		names = append(names, a.String())
	}
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	const most = 5
	switch {
	case len(names) == 0:
		return "nobody (no subjectAltName)"
	case len(names) > most:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
