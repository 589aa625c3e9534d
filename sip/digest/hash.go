package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
)

// Algorithm is a digest algorithm of RFC 7616 and RFC 8760.
//
// The hashes are the standard library's one-shot functions over a scratch slice.
// A digest library would allocate, and the one at hand (icholy/digest) knows no
// -sess variant and does not trim the qop list.
type Algorithm uint8

// The algorithms. The -sess variants mix the nonces of the session into the
// secret.
const (
	MD5 Algorithm = iota
	MD5Sess
	SHA256
	SHA256Sess
	SHA512256
	SHA512256Sess
	numAlgorithms
)

var algorithmNames = [numAlgorithms]string{"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"}
var algorithmLower = [numAlgorithms]string{"md5", "md5-sess", "sha-256", "sha-256-sess", "sha-512-256", "sha-512-256-sess"}

// String returns the name in the IANA registry.
func (a Algorithm) String() string {
	if a >= numAlgorithms {
		return "?"
	}
	return algorithmNames[a]
}

func (a Algorithm) session() bool { return a&1 != 0 }

// algorithmNamed returns the algorithm of a challenge; none means MD5.
func algorithmNamed(name []byte) (Algorithm, bool) {
	if len(name) == 0 {
		return MD5, true
	}
	for a, lower := range algorithmLower {
		if equalFold(name, lower) {
			return Algorithm(a), true
		}
	}
	return 0, false
}

// appendHash appends the hash of text in lower-case hexadecimal. b may not be
// the slice behind text.
func (a Algorithm) appendHash(b, text []byte) []byte {
	switch a {
	case MD5, MD5Sess:
		sum := md5.Sum(text)
		return hex.AppendEncode(b, sum[:])
	case SHA256, SHA256Sess:
		sum := sha256.Sum256(text)
		return hex.AppendEncode(b, sum[:])
	default:
		sum := sha512.Sum512_256(text)
		return hex.AppendEncode(b, sum[:])
	}
}

// size returns the length of a hash in hexadecimal.
func (a Algorithm) size() int {
	if a == MD5 || a == MD5Sess {
		return 2 * md5.Size
	}
	return 2 * sha256.Size
}

// hexHash is room for the longest hash in hexadecimal.
type hexHash [64]byte

// AppendSecret appends what a password becomes before anything else, in
// hexadecimal: the hash of user:realm:password. It is as good as the password for
// this realm and must be kept as one.
func AppendSecret(b []byte, a Algorithm, username, realm, password string) []byte {
	var room [256]byte
	text := append(room[:0], username...)
	text = append(text, ':')
	text = append(text, realm...)
	text = append(text, ':')
	text = append(text, password...)
	b = a.appendHash(b, text)
	clear(text)
	return b
}

// proof is what a response is made of (RFC 7616 §3.4.1).
type proof struct {
	algorithm  Algorithm
	secret     []byte // hash of user:realm:password
	nonce      []byte
	cnonce, nc []byte // without qop both empty, except cnonce for a -sess algorithm
	qop        string // "auth", or "" for RFC 2069
	method     string
	uri        []byte
}

// appendResponse appends the response in hexadecimal. text is scratch and comes
// back grown.
func (p *proof) appendResponse(b, text []byte) (response, scratch []byte) {
	var a1, a2 hexHash
	secret := p.secret
	if p.algorithm.session() {
		text = append(text[:0], secret...)
		text = appendParts(text, p.nonce, p.cnonce)
		secret = p.algorithm.appendHash(a1[:0], text)
	}
	text = append(text[:0], p.method...)
	text = appendParts(text, p.uri)
	second := p.algorithm.appendHash(a2[:0], text)
	text = append(text[:0], secret...)
	text = appendParts(text, p.nonce)
	if p.qop != "" {
		text = appendParts(text, p.nc, p.cnonce)
		text = append(text, ':')
		text = append(text, p.qop...)
	}
	text = appendParts(text, second)
	return p.algorithm.appendHash(b, text), text
}

func appendParts(b []byte, parts ...[]byte) []byte {
	for _, part := range parts {
		b = append(b, ':')
		b = append(b, part...)
	}
	return b
}
