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
	Options

	mu     sync.Mutex
	nonces map[string]*nonce
}

// nonce is one that was given out. A bound is not needed: a simulated carrier does not live long.
type nonce struct {
	algorithm string
	opaque    string
	qop       []string
	born      time.Time
	count     int // highest nc seen
}

func newGuard(o Options) *guard {
	return &guard{Options: o, nonces: map[string]*nonce{}}
}

// check returns a zero code when the request carries right credentials; else the answer: a challenge with status (401 or 407),
// or a refusal.
func (g *guard) check(req *sip.Request, status int, f Faults) reply {
	name := "Authorization"
	if status == 407 {
		name = "Proxy-Authorization"
	}
	for _, h := range req.GetHeaders(name) {
		credentials, err := digest.ParseCredentials(h.Value())
		if err != nil || credentials.Realm != g.realm(f) {
			continue
		}
		switch found := g.verify(credentials, req, f); {
		case found == right:
			return reply{}
		case found == stale:
			return g.challenge(status, f, true)
		case g.ChallengesAll:
			return g.challenge(status, f, false)
		case found == unknown && (status == 401 || g.Dialect != Plain): // RFC 3261 §10.3 has the 404 for REGISTER
			return g.Dialect.refusal(UnknownUser)
		default:
			return g.Dialect.refusal(WrongPassword)
		}
	}
	return g.challenge(status, f, false)
}

func (g *guard) realm(f Faults) string {
	if f.Realm != "" {
		return f.Realm
	}
	return g.Realm
}

type verdict int

const (
	right verdict = iota
	stale
	unknown
	wrong
)

func (g *guard) verify(c *digest.Credentials, req *sip.Request, f Faults) verdict {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.nonces[c.Nonce]
	if !ok || f.StaleNonces || time.Since(known.born) > g.NonceLife {
		return stale
	}
	if c.Username != g.User || f.UnknownUser {
		return unknown
	}
	if f.WrongDigest || c.URI != req.Recipient.String() || !strings.EqualFold(algorithmOf(c.Algorithm), known.algorithm) ||
		c.QOP != strings.Join(known.qop, "") || c.Opaque != known.opaque {
		return wrong
	}
	// The realm of the account: what the client was told may be another's.
	expected, err := digest.Digest(&digest.Challenge{Realm: g.Realm, Nonce: c.Nonce, Algorithm: known.algorithm, QOP: known.qop},
		digest.Options{Method: string(req.Method), URI: c.URI, Username: g.User, Password: g.Password, Cnonce: c.Cnonce, Count: c.Nc})
	if err != nil || subtle.ConstantTimeCompare([]byte(expected.Response), []byte(c.Response)) == 0 {
		return wrong
	}
	if len(known.qop) > 0 && c.Nc <= known.count { // a replay
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

// challenge asks for credentials.
func (g *guard) challenge(status int, f Faults, old bool) reply {
	name := "WWW-Authenticate"
	if status == 407 {
		name = "Proxy-Authenticate"
	}
	algorithms := g.Algorithm
	if f.Algorithm != "" {
		algorithms = f.Algorithm
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	answer := reply{code: status}
	for algorithm := range strings.SplitSeq(algorithms, ",") {
		fresh := sip.GenerateTagN(32)
		n := &nonce{algorithm: algorithm, born: time.Now(), opaque: sip.GenerateTagN(8), qop: []string{"auth"}}
		if g.Dialect == Telnyx && status == 401 { // RFC 2069, seen on the wire
			n.qop = nil
		}
		g.nonces[fresh] = n
		value := fmt.Sprintf(`Digest realm="%s", nonce="%s", opaque="%s", algorithm=%s`, g.realm(f), fresh, n.opaque, algorithm)
		if len(n.qop) > 0 {
			value += `, qop="auth"`
		}
		if old {
			value += ", stale=true"
		}
		answer.headers = append(answer.headers, sip.NewHeader(name, value))
	}
	return answer
}
