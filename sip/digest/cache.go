package digest

import (
	"bytes"
	crand "crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"time"

	"trunkline/sip/wire"
)

// Why a challenge is not answered.
var (
	// ErrNoChallenge: the response carries no digest challenge that can be read.
	ErrNoChallenge = errors.New("no digest challenge")
	// ErrUnsupported: every challenge wants an algorithm or qop that we lack.
	ErrUnsupported = errors.New("no supported digest algorithm or qop")
	// ErrRealm: the challenge is for a realm other than the configured one.
	ErrRealm = errors.New("digest challenge for another realm")
	// ErrRejected: our credentials came with a nonce that was fresh, or is still
	// good, and were refused (RFC 3261 §22.3). Trying again would lock the account.
	ErrRejected = errors.New("credentials refused")
	// ErrLoop is an ErrRejected: every nonce is called stale, fresh ones too.
	ErrLoop = fmt.Errorf("%w: every nonce is called stale at once", ErrRejected)
	// ErrNoCredentials: the trunk has no user name.
	ErrNoCredentials = errors.New("no credentials configured")
)

// Credentials are what one trunk authenticates with.
type Credentials struct {
	Username string
	Password string
	Realm    string // only challenges for this realm are answered; empty: for any realm of this trunk
}

// Cache answers the challenges of one trunk. It belongs to one goroutine: every
// shard keeps its own for each trunk, since the count of a nonce's uses cannot be
// shared (RFC 7616 §3.4, nc).
type Cache struct {
	credentials Credentials
	maxAge      time.Duration
	random      *rand.ChaCha8
	seed        maphash.Seed
	spaces      []*space // of which we know a nonce, newest first
	next        uint8    // id of the next space
	text        []byte   // being hashed
}

// space is a protection space: the part of the trunk that one realm guards, as a
// server (401) or as a proxy (407).
type space struct {
	id        uint8 // never 0
	proxy     bool
	qop       bool // answer with qop=auth
	hasOpaque bool
	named     bool // the challenge named its algorithm
	single    bool // nonces here are good for one request: send none unasked
	algorithm Algorithm
	realm     []byte
	nonce     []byte
	opaque    []byte
	secret    []byte // AppendSecret for realm and algorithm
	cnonce    []byte // of a -sess algorithm, one for each nonce
	count     uint32 // uses of the nonce
	strikes   uint8  // see maxStrikes
	learned   time.Time
}

const (
	// maxSpaces bounds what a trunk can make us keep and send.
	maxSpaces = 4
	// maxRounds bounds the challenges that one request may meet.
	maxRounds = 6
	// A nonce refused at its second use, younger than singleAge, was good for one
	// request. After maxStrikes of them in a row the space gets none unasked.
	singleAge  = 10 * time.Second
	maxStrikes = 3
	// usualAge is how long a nonce is used when nobody says so.
	usualAge = time.Hour
)

// NewCache returns a cache that knows no challenge yet. No nonce is used unasked
// when maxAge has passed since its challenge; 0 means an hour.
func NewCache(c Credentials, maxAge time.Duration) *Cache {
	if maxAge == 0 {
		maxAge = usualAge
	}
	if !wire.ValidValue(c.Username) { // would break out of its header line
		c.Username = ""
	}
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return &Cache{credentials: c, maxAge: maxAge, random: rand.NewChaCha8(seed), seed: maphash.MakeSeed(),
		next: seed[0]} // so that an Attempt hardly mistakes a new cache's spaces for an old one's
}

// Attempt remembers what one request was sent with, so that refused credentials
// are told from a nonce that grew old. Keep one for each request and its
// repetitions with new credentials; start with the zero value and copy it freely.
type Attempt struct {
	rounds uint8
	sent   [maxSpaces]sent
}

type sent struct {
	space    uint8 // id; 0: unused
	answered uint8 // challenges of this space answered in this attempt
	stale    bool  // one of them said stale=true
	nonce    uint64
}

// of returns the attempt's note about a space.
func (a *Attempt) of(id uint8) *sent {
	for i := range a.sent {
		switch a.sent[i].space {
		case id:
			return &a.sent[i]
		case 0:
			a.sent[i].space = id
			return &a.sent[i]
		}
	}
	last := &a.sent[maxSpaces-1]
	*last = sent{space: id}
	return last
}

// Authorize appends the Authorization and Proxy-Authorization lines of a request:
// for every realm that the trunk has challenged for lately, so that it has no
// need to ask again (RFC 3261 §22.3, RFC 7616 §3.6). It appends nothing when
// there was no challenge yet. uri must be the exact Request-URI (§22.4).
func (c *Cache) Authorize(b []byte, now time.Time, method string, uri []byte, a *Attempt) []byte {
	for _, s := range c.spaces {
		note := a.of(s.id)
		if note.answered == 0 && (s.single || now.Sub(s.learned) > c.maxAge) {
			continue
		}
		note.nonce = maphash.Bytes(c.seed, s.nonce)
		b = c.appendLine(b, s, method, uri)
	}
	return b
}

func (c *Cache) appendLine(b []byte, s *space, method string, uri []byte) []byte {
	s.count++
	var count [8]byte
	var random [16]byte
	cnonce := s.cnonce
	if cnonce == nil && s.qop {
		cnonce = appendHex(random[:0], c.random.Uint64(), len(random))
	}
	p := proof{algorithm: s.algorithm, secret: s.secret, nonce: s.nonce, cnonce: cnonce, method: method, uri: uri}
	if s.qop {
		p.qop, p.nc = "auth", appendHex(count[:0], uint64(s.count), len(count))
	}
	if s.proxy {
		b = append(b, "Proxy-"...)
	}
	b = append(b, `Authorization: Digest username="`...)
	b = appendQuoted(b, c.credentials.Username)
	b = appendParameter(b, `", realm="`, s.realm)
	b = appendParameter(b, `", nonce="`, s.nonce)
	b = appendParameter(b, `", uri="`, uri)
	b = append(b, `", response="`...)
	b, c.text = p.appendResponse(b, c.text)
	b = append(b, '"')
	if s.named {
		b = append(b, ", algorithm="...)
		b = append(b, s.algorithm.String()...)
	}
	if cnonce != nil {
		b = appendParameter(b, `, cnonce="`, cnonce)
		b = append(b, '"')
	}
	if s.hasOpaque {
		b = appendParameter(b, `, opaque="`, s.opaque)
		b = append(b, '"')
	}
	if s.qop {
		b = appendParameter(b, ", qop=auth, nc=", p.nc)
	}
	return append(b, "\r\n"...)
}

// Challenged learns from a 401 or 407 to a request whose headers Authorize made,
// and returns nil when the request should be sent once more with the lines of
// another Authorize. Its errors are ErrNoChallenge, ErrUnsupported, ErrRealm,
// ErrRejected, ErrLoop and ErrNoCredentials.
func (c *Cache) Challenged(now time.Time, m *wire.Message, a *Attempt) error {
	if c.credentials.Username == "" {
		return ErrNoCredentials
	}
	if a.rounds++; a.rounds > maxRounds {
		return ErrRejected
	}
	err := ErrNoChallenge
	answered := false
	var chosen [maxSpaces]uint8 // spaces whose challenge in this response was chosen
	n := 0
	for proxy, one := range inResponse(m) {
		if !one.hasNonce || !one.hasRealm {
			continue
		}
		if c.credentials.Realm != "" && string(one.realm) != c.credentials.Realm {
			err = worse(err, ErrRealm)
			continue
		}
		algorithm, known := algorithmNamed(one.algorithm)
		qop, ok := one.offersAuth()
		if !known || !ok {
			err = worse(err, ErrUnsupported)
			continue
		}
		s := c.find(proxy, one.realm)
		if s != nil && bytes.IndexByte(chosen[:n], s.id) >= 0 {
			continue // RFC 8760 §2.4: the topmost that we support
		}
		if n == maxSpaces {
			break
		}
		if s != nil && !c.maySend(s, &one, a) {
			s.learned = time.Time{} // the next request waits to be asked: unasked, each would be refused twice
			if one.stale {
				return ErrLoop
			}
			return ErrRejected
		}
		s = c.learn(now, s, proxy, algorithm, qop, &one)
		note := a.of(s.id)
		note.answered++
		note.stale = note.stale || one.stale
		chosen[n], n = s.id, n+1
		answered = true
	}
	if answered {
		return nil
	}
	return err
}

// worse keeps the more telling of two reasons.
func worse(now, next error) error {
	if now == ErrNoChallenge || next == ErrUnsupported {
		return next
	}
	return now
}

// inResponse yields the challenges of a response, with true for a proxy's.
func inResponse(m *wire.Message) iter.Seq2[bool, challenge] {
	return func(yield func(bool, challenge) bool) {
		for _, proxy := range [2]bool{false, true} {
			id := wire.HWWWAuthenticate
			if proxy {
				id = wire.HProxyAuthenticate
			}
			for line := range m.All(id) {
				for one := range challenges(line) {
					if !yield(proxy, one) {
						return
					}
				}
			}
		}
	}
}

// maySend reports whether an answer to this challenge could be accepted though
// the space knows our credentials: they were not sent, or with a nonce that had
// grown old. An old nonce forgives once; stale=true forgives once more, also
// after a fresh one (RFC 3261 §22.3).
func (c *Cache) maySend(s *space, one *challenge, a *Attempt) bool {
	note := a.of(s.id)
	switch {
	case note.nonce == 0: // nothing was sent
		return true
	case one.stale:
		return !note.stale
	case note.answered > 0: // with a fresh nonce
		return false
	}
	return note.nonce != maphash.Bytes(c.seed, one.nonce)
}

func (c *Cache) find(proxy bool, realm []byte) *space {
	for _, s := range c.spaces {
		if s.proxy == proxy && bytes.Equal(s.realm, realm) {
			return s
		}
	}
	return nil
}

// learn takes over a challenge; s is its space if there is one already.
func (c *Cache) learn(now time.Time, s *space, proxy bool, algorithm Algorithm, qop bool, one *challenge) *space {
	switch {
	case s == nil:
		s = c.newSpace(proxy, one.realm)
	case s.count == 2 && now.Sub(s.learned) < singleAge && !bytes.Equal(s.nonce, one.nonce):
		s.strikes++
		s.single = s.strikes >= maxStrikes
	case s.count > 2:
		s.strikes = 0
	}
	if s.secret == nil || s.algorithm != algorithm {
		s.secret = AppendSecret(s.secret[:0], algorithm, c.credentials.Username, string(one.realm), c.credentials.Password)
	}
	s.algorithm, s.named, s.qop = algorithm, len(one.algorithm) > 0, qop
	s.opaque, s.hasOpaque = append(s.opaque[:0], one.opaque...), one.hasOpaque
	c.renew(now, s, one.nonce)
	return s
}

// renew begins to use a nonce.
func (c *Cache) renew(now time.Time, s *space, nonce []byte) {
	if !bytes.Equal(s.nonce, nonce) {
		s.nonce, s.count, s.cnonce = append(s.nonce[:0], nonce...), 0, nil
	}
	if !s.algorithm.session() {
		s.cnonce = nil
	} else if s.cnonce == nil {
		s.cnonce = appendHex(nil, c.random.Uint64(), 16)
	}
	s.learned = now
}

// newSpace puts a space in front, in place of the oldest if there are many.
func (c *Cache) newSpace(proxy bool, realm []byte) *space {
	if c.next++; c.next == 0 {
		c.next = 1
	}
	if len(c.spaces) == maxSpaces {
		c.spaces = c.spaces[:maxSpaces-1]
	}
	s := &space{id: c.next, proxy: proxy, realm: bytes.Clone(realm)}
	c.spaces = append([]*space{s}, c.spaces...)
	return s
}

// Accepted learns from a final response that is no challenge: its
// Authentication-Info may name the nonce to use next (RFC 7616 §3.5).
func (c *Cache) Accepted(now time.Time, m *wire.Message) {
	for i := range m.Headers {
		h := &m.Headers[i]
		proxy := h.ID == wire.HOther && equalFold(h.Name, "proxy-authentication-info") // RFC 7615
		if h.ID != wire.HAuthenticationInfo && !proxy {
			continue
		}
		nonce := nextNonce(h.Value)
		if nonce == nil {
			continue
		}
		for _, s := range c.spaces {
			if s.proxy == proxy {
				s.single = false
				c.renew(now, s, nonce)
				break
			}
		}
	}
}

// nextNonce reads the parameters of Authentication-Info, which has no scheme.
func nextNonce(value []byte) []byte {
	var room [maxParameter]byte
	text := append(append(room[:0], "Digest "...), value...)
	for one := range challenges(text) {
		if one.nextNonce != nil {
			return bytes.Clone(one.nextNonce)
		}
	}
	return nil
}

func appendParameter(b []byte, name string, value []byte) []byte {
	return append(append(b, name...), value...)
}

// appendQuoted appends s as it stands between quotes.
func appendQuoted(b []byte, s string) []byte {
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return b
}

func appendHex(b []byte, n uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, "0123456789abcdef"[n>>(4*i)&15])
	}
	return b
}
