package digest

import (
	"crypto/hmac"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"net/netip"
	"time"

	"trunkline/sip/wire"
)

// Why Check refuses a request.
var (
	// ErrMissing: no credentials for our realm. Challenge.
	ErrMissing = errors.New("no credentials for this realm")
	// ErrStale: the credentials are right but their nonce is too old, not ours, or
	// made for somebody else. Challenge with stale=true.
	ErrStale = errors.New("nonce is stale")
	// ErrRefused: wrong user name or password (nobody is told which), or the
	// credentials were made for another request. Challenge without stale, or answer 403.
	ErrRefused = errors.New("wrong credentials")
	// ErrReplay: this count of this nonce was used before.
	ErrReplay = errors.New("credentials used before")
)

// ServerOptions say whom a Server lets in.
type ServerOptions struct {
	Realm string // required
	Proxy bool   // challenge with 407 and Proxy-Authenticate instead of 401 and WWW-Authenticate

	// Algorithms to offer, the best first; nil: SHA-256, then MD5.
	Algorithms []Algorithm

	// NonceLife is how long a nonce is good; 0: five minutes.
	NonceLife time.Duration

	// MaxNonces bounds the nonces whose counts are remembered, which are only those
	// that came back with the right password; 0: 65536. Above it the older ones are stale.
	MaxNonces int

	// Secret returns AppendSecret of a user for algorithm and Realm; ok is false
	// for an unknown user. Required.
	Secret func(username string, a Algorithm) (secret []byte, ok bool)
}

// Server challenges requests and checks the answers (AUTH-08). Its nonces carry
// their time and a seal, so an unanswered challenge costs no memory. A Server
// belongs to one goroutine.
type Server struct {
	o      ServerOptions
	seal   hash.Hash
	decoy  [64]byte // the secret of users that do not exist
	counts map[uint64]window
	swept  time.Time
	since  int64 // UnixMilli: the counts of nonces made until then are forgotten, and so they are stale
	text   []byte
}

// window is which counts of a nonce were used: the highest, and a bit for each of
// the 64 below it.
type window struct {
	made    int64 // UnixMilli
	highest uint32
	used    uint64
}

const (
	nonceSize = 8 + 8 + 16 // time, id, seal
	usualLife = 5 * time.Minute
)

var nonceText = base64.RawURLEncoding

// NewServer returns a server with a key of its own: the nonces of another one are
// stale here. It panics without Realm or Secret.
func NewServer(o ServerOptions) *Server {
	if o.Realm == "" || o.Secret == nil {
		panic("digest: a server needs Realm and Secret")
	}
	if o.Algorithms == nil {
		o.Algorithms = []Algorithm{SHA256, MD5}
	}
	if o.NonceLife == 0 {
		o.NonceLife = usualLife
	}
	if o.MaxNonces == 0 {
		o.MaxNonces = 1 << 16
	}
	var key [32]byte
	crand.Read(key[:]) // never fails
	s := &Server{o: o, seal: hmac.New(sha256.New, key[:]), counts: map[uint64]window{}}
	crand.Read(key[:])
	AppendSecret(s.decoy[:0], SHA256, "", "", string(key[:]))
	return s
}

// AppendChallenge appends the challenge lines for a request from src, one for each
// algorithm (RFC 8760 §2.4). stale tells the client that only its nonce was wrong.
func (s *Server) AppendChallenge(b []byte, now time.Time, src netip.Addr, stale bool) []byte {
	var room [64]byte
	nonce := s.appendNonce(room[:0], now, src)
	for _, a := range s.o.Algorithms {
		if s.o.Proxy {
			b = append(b, `Proxy-Authenticate: Digest realm="`...)
		} else {
			b = append(b, `WWW-Authenticate: Digest realm="`...)
		}
		b = append(b, s.o.Realm...)
		b = appendParameter(b, `", nonce="`, nonce)
		b = append(b, `", algorithm=`...)
		b = append(b, a.String()...)
		b = append(b, `, qop="auth"`...)
		if stale {
			b = append(b, ", stale=true"...)
		}
		b = append(b, "\r\n"...)
	}
	return b
}

func (s *Server) appendNonce(b []byte, now time.Time, src netip.Addr) []byte {
	var raw [nonceSize]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli()))
	crand.Read(raw[8:16])
	s.sealOf(raw[:16], src, raw[16:16])
	return nonceText.AppendEncode(b, raw[:])
}

// sealOf appends the first half of the HMAC over a nonce's head and the address
// it was made for.
func (s *Server) sealOf(head []byte, src netip.Addr, seal []byte) []byte {
	address := src.As16()
	s.seal.Reset()
	s.seal.Write(head)
	s.seal.Write(address[:])
	var sum [sha256.Size]byte
	return append(seal, s.seal.Sum(sum[:0])[:nonceSize-16]...)
}

// Check returns the user who signed the request m from src, as a string of its
// own. Its errors are ErrMissing, ErrStale, ErrRefused and ErrReplay. An unknown
// user takes the same steps and time as a wrong password.
func (s *Server) Check(now time.Time, m *wire.Message, src netip.Addr) (username string, err error) {
	c, some := s.credentials(m)
	if !some {
		return "", ErrMissing
	}
	return s.check(now, m, src, &c)
}

// Claimed returns who m says to be, whether it can prove it or not: text of a stranger. It is for logs.
func (s *Server) Claimed(m *wire.Message) (username string) {
	c, _ := s.credentials(m)
	return string(unescape(c.username))
}

// credentials returns those of m for our realm.
func (s *Server) credentials(m *wire.Message) (c challenge, some bool) {
	id := wire.HAuthorization
	if s.o.Proxy {
		id = wire.HProxyAuthorization
	}
	for line := range m.All(id) {
		for c := range challenges(line) {
			if string(c.realm) == s.o.Realm {
				return c, true
			}
		}
	}
	return c, false
}

func (s *Server) check(now time.Time, m *wire.Message, src netip.Addr, c *challenge) (string, error) {
	algorithm, offered := s.offered(c.algorithm)
	count, ok := parseCount(c.nc)
	if !offered || !ok || !c.hasUsername || !c.hasResponse || len(c.cnonce) == 0 ||
		!equalFold(c.qop, "auth") || string(c.uri) != string(m.URI) {
		return "", ErrRefused
	}
	username := string(unescape(c.username))
	secret, known := s.o.Secret(username, algorithm)
	if !known {
		secret = s.decoy[:algorithm.size()]
	}
	p := proof{algorithm: algorithm, secret: secret, nonce: c.nonce, cnonce: c.cnonce, nc: c.nc, qop: "auth", method: string(m.MethodName), uri: c.uri}
	var room hexHash
	want, text := p.appendResponse(room[:0], s.text)
	s.text = text
	if subtle.ConstantTimeCompare(want, c.response) != 1 || !known {
		return "", ErrRefused
	}
	made, nonce, ours := s.openNonce(c.nonce, src)
	if !ours || now.Sub(made) > s.o.NonceLife || made.Sub(now) > time.Minute || made.UnixMilli() <= s.since {
		return "", ErrStale
	}
	if err := s.use(now, made, nonce, count); err != nil {
		return "", err
	}
	return username, nil
}

func (s *Server) offered(name []byte) (Algorithm, bool) {
	a, ok := algorithmNamed(name)
	for _, o := range s.o.Algorithms {
		if ok && o == a {
			return a, true
		}
	}
	return 0, false
}

// openNonce reads a nonce of ours.
func (s *Server) openNonce(nonce []byte, src netip.Addr) (made time.Time, id uint64, ours bool) {
	var raw [nonceSize]byte
	if len(nonce) != nonceText.EncodedLen(nonceSize) {
		return time.Time{}, 0, false
	}
	if _, err := nonceText.Decode(raw[:], nonce); err != nil {
		return time.Time{}, 0, false
	}
	var room [nonceSize - 16]byte
	if !hmac.Equal(s.sealOf(raw[:16], src, room[:0]), raw[16:]) {
		return time.Time{}, 0, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(raw[:8]))), binary.BigEndian.Uint64(raw[8:16]), true
}

// use books one count of a nonce. Counts may arrive out of order, within 64.
func (s *Server) use(now, made time.Time, nonce uint64, count uint32) error {
	if now.Sub(s.swept) > s.o.NonceLife {
		s.swept = now
		for id, w := range s.counts {
			if now.Sub(time.UnixMilli(w.made)) > s.o.NonceLife {
				delete(s.counts, id)
			}
		}
	}
	w, seen := s.counts[nonce]
	if !seen && len(s.counts) >= s.o.MaxNonces {
		if s.makeRoom(made.UnixMilli()); made.UnixMilli() <= s.since {
			return ErrStale
		}
	}
	w.made = made.UnixMilli()
	switch behind := int64(w.highest) - int64(count); {
	case behind < 0:
		w.used = w.used<<min(-behind, 64) | 1
		w.highest = count
	case behind >= 64 || w.used&(1<<behind) != 0:
		return ErrReplay
	default:
		w.used |= 1 << behind
	}
	s.counts[nonce] = w
	return nil
}

// makeRoom forgets the older nonces until a quarter of the room is free: who has one of them is challenged once more, while nobody who
// is challenged from now on is kept out, as a single user who asks for many could otherwise do to all others.
func (s *Server) makeRoom(newest int64) {
	for _, w := range s.counts {
		newest = max(newest, w.made)
	}
	for life := s.o.NonceLife.Milliseconds(); len(s.counts) > s.o.MaxNonces*3/4; life /= 2 {
		s.since = newest - life
		for id, w := range s.counts {
			if w.made <= s.since {
				delete(s.counts, id)
			}
		}
	}
}

// parseCount reads nc: eight hexadecimal digits, not zero.
func parseCount(nc []byte) (count uint32, ok bool) {
	if len(nc) != 8 {
		return 0, false
	}
	for _, c := range nc {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		count = count<<4 | uint32(c)
	}
	return count, count > 0
}

// unescape takes the backslashes out of the inside of a quoted string.
func unescape(b []byte) []byte {
	var out []byte
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			if out == nil {
				out = append(make([]byte, 0, len(b)), b[:i]...)
			}
			i++
		}
		if out != nil {
			out = append(out, b[i])
		}
	}
	if out == nil {
		return b
	}
	return out
}
