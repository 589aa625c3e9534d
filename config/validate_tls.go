package config

import (
	"crypto/tls"
	"crypto/x509"
)

// keyPair checks the certificate and key below path: both or neither, readable, and made for each other.
func (l *loader) keyPair(path, certificate, key string) {
	switch {
	case certificate == "" && key == "":
		return
	case key == "":
		l.badAllowed(path+".certificate", "", "needs %s.key beside it", path)
		return
	case certificate == "":
		l.badAllowed(path+".key", "", "needs %s.certificate beside it", path)
		return
	}
	certificatePEM, okCertificate := l.pemFile(path+".certificate", certificate)
	keyPEM, okKey := l.pemFile(path+".key", key)
	if !okCertificate || !okKey {
		return
	}
	if _, err := tls.X509KeyPair(certificatePEM, keyPEM); err != nil {
		l.bad(path+".certificate", "%s with key %s: %v", quoteShort(certificate), quoteShort(key), err)
	}
}

// certificates checks that file, where given, holds at least one certificate.
func (l *loader) certificates(path, file string) {
	if file == "" {
		return
	}
	if text, ok := l.pemFile(path, file); ok && !x509.NewCertPool().AppendCertsFromPEM(text) {
		l.bad(path, "%s holds no certificate", quoteShort(file))
	}
}

func (l *loader) pemFile(path, file string) ([]byte, bool) {
	text, err := readFile(file)
	if err != nil {
		l.bad(path, "%s: %v", quoteShort(file), err)
		return nil, false
	}
	return text, true
}
