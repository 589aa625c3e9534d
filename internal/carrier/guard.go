package carrier

import (
	"crypto/subtle"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// guard demands and checks digest credentials (RFC 7616, RFC 8760).
type guard struct {
	realm, user, password string
	algorithms            []string
	life                  time.Duration

	mu     sync.Mutex
	nonces map[string]*nonce
}

// nonce is one that was given out. A bound is not needed: a simulated carrier does not live long.
type nonce struct {
	algorithm string
	born      time.Time
	count     int // highest nc seen
}

func newGuard(o Options) *guard {
	return &guard{realm: o.Realm, user: o.User, password: o.Password, algorithms: strings.Split(o.Algorithm, ","), life: o.NonceLife, nonces: map[string]*nonce{}}
}

// check returns 0 when the request carries right credentials; else the status to answer with, status (401 or 407) or 403, and
// its headers.
func (g *guard) check(req *sip.Request, status int) (int, []sip.Header) {
	name := "Authorization"
	if status == 407 {
		name = "Proxy-Authorization"
	}
	for _, h := range req.GetHeaders(name) {
		credentials, err := digest.ParseCredentials(h.Value())
		if err != nil || credentials.Realm != g.realm {
			continue
		}
		switch g.verify(credentials, req) {
		case right:
			return 0, nil
		case stale:
			return status, g.challenge(status, true)
		case wrong:
			return 403, nil
		}
	}
	return status, g.challenge(status, false)
}

type verdict int

const (
	right verdict = iota
	stale
	wrong
)

func (g *guard) verify(c *digest.Credentials, req *sip.Request) verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.nonces[c.Nonce]
	if !ok || time.Since(known.born) > g.life {
		return stale
	}
	if c.Username != g.user || c.URI != req.Recipient.String() || !strings.EqualFold(algorithmOf(c.Algorithm), known.algorithm) || c.QOP != "auth" {
		return wrong
	}
	expected, err := digest.Digest(&digest.Challenge{Realm: g.realm, Nonce: c.Nonce, Algorithm: known.algorithm, QOP: []string{"auth"}},
		digest.Options{Method: string(req.Method), URI: c.URI, Username: g.user, Password: g.password, Cnonce: c.Cnonce, Count: c.Nc})
	if err != nil || subtle.ConstantTimeCompare([]byte(expected.Response), []byte(c.Response)) == 0 {
		return wrong
	}
	if c.Nc <= known.count { // a replay
		return stale
	}
	known.count = c.Nc
	return right
}

func algorithmOf(s string) string {
	if s == "" {
		return "MD5"
	}
	return s
}

func (g *guard) challenge(status int, old bool) []sip.Header {
	name := "WWW-Authenticate"
	if status == 407 {
		name = "Proxy-Authenticate"
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var headers []sip.Header
	for _, algorithm := range g.algorithms {
		fresh := sip.GenerateTagN(32)
		g.nonces[fresh] = &nonce{algorithm: algorithm, born: time.Now()}
		value := fmt.Sprintf(`Digest realm="%s", nonce="%s", algorithm=%s, qop="auth"`, g.realm, fresh, algorithm)
		if old {
			value += ", stale=true"
		}
		headers = append(headers, sip.NewHeader(name, value))
	}
	return headers
}
