package siptest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"strings"
)

// challenge is what a scripted party demanded; the books of RFC 7616 §3.4 as a server keeps them.
type challenge struct {
	header string // the answer is expected in this header
	realm  string
	nonces map[string]string // nonce → algorithm, of every challenge sent
	opaque string
	count  int
	qop    bool
}

// demandDigest adds a challenge to a 401 or 407. The option names algorithms, the first preferred, each its own header:
// SHA-256,MD5. MD5/noqop leaves qop out as RFC 2069 did; /stale adds stale=true.
func (p *party) demandDigest(m *message, option string) error {
	name := map[int]string{401: "WWW-Authenticate", 407: "Proxy-Authenticate"}[m.status]
	if name == "" {
		return fmt.Errorf("challenge= goes with 401 and 407")
	}
	c := &p.challenge
	c.header = map[int]string{401: "Authorization", 407: "Proxy-Authorization"}[m.status]
	c.realm, c.opaque = p.name, p.name+"-opaque"
	if c.nonces == nil {
		c.nonces = map[string]string{}
	}
	for one := range strings.SplitSeq(option, ",") {
		algorithm, flag, _ := strings.Cut(one, "/")
		c.count++
		nonce := fmt.Sprintf("%s-nonce-%d", p.name, c.count)
		value := fmt.Sprintf(`Digest realm="%s", nonce="%s", opaque="%s"`, c.realm, nonce, c.opaque)
		if algorithm != "none" { // absent means MD5
			value += ", algorithm=" + algorithm
		}
		c.qop = flag != "noqop"
		if c.qop {
			value += `, qop="auth,auth-int"`
		}
		if flag == "stale" {
			value += ", stale=true"
		}
		c.nonces[nonce] = algorithm
		m.add(name, value)
	}
	return nil
}

// verify checks the credentials in a request. want is USER:PASSWORD, with /ALGORITHM to name the one that must be chosen.
func (c *challenge) verify(m *message, want string) error {
	userPassword, algorithm, _ := strings.Cut(want, "/")
	user, password, _ := strings.Cut(userPassword, ":")
	if c.header == "" {
		return fmt.Errorf("nothing was demanded yet")
	}
	value, ok := strings.CutPrefix(m.get(c.header), "Digest ")
	if !ok || m.count(c.header) != 1 {
		return fmt.Errorf("it has %d %s headers", m.count(c.header), c.header)
	}
	got := map[string]string{}
	for _, item := range splitList(value) {
		name, v, _ := strings.Cut(item, "=")
		got[strings.ToLower(name)] = strings.Trim(v, `"`)
	}
	chosen, ok := c.nonces[got["nonce"]]
	switch {
	case !ok:
		return fmt.Errorf("nonce %q was never given out", got["nonce"])
	case algorithm != "" && chosen != algorithm:
		return fmt.Errorf("it answers the %s challenge", chosen)
	case got["realm"] != c.realm || got["opaque"] != c.opaque:
		return fmt.Errorf("realm and opaque must come back as they were (RFC 7616 §3.4)")
	case got["username"] != user:
		return fmt.Errorf("username is %q", got["username"])
	case got["uri"] != m.uri:
		return fmt.Errorf("uri is %q, the Request-URI %q (RFC 3261 §22.4)", got["uri"], m.uri)
	case chosen != "none" && got["algorithm"] != chosen && !strings.EqualFold(chosen, "MD5"):
		return fmt.Errorf("algorithm is %q", got["algorithm"])
	case c.qop && (got["qop"] != "auth" || len(got["nc"]) != 8 || got["cnonce"] == ""):
		return fmt.Errorf("qop, nc or cnonce is missing (RFC 3261 §22.4)")
	case !c.qop && (got["qop"] != "" || got["nc"] != "" || got["cnonce"] != "" && !strings.HasSuffix(chosen, "-sess")):
		return fmt.Errorf("qop, nc or cnonce where none was asked for (RFC 3261 §22.4)")
	}
	if expected := response(chosen, got, user, c.realm, password, m.method); got["response"] != expected {
		return fmt.Errorf("response is %q, not %q", got["response"], expected)
	}
	return nil
}

// response is RFC 7616 §3.4.1.
func response(algorithm string, got map[string]string, user, realm, password, method string) string {
	hash := func(s string) string { sum := md5.Sum([]byte(s)); return hex.EncodeToString(sum[:]) }
	switch strings.TrimSuffix(algorithm, "-sess") {
	case "SHA-256":
		hash = func(s string) string { sum := sha256.Sum256([]byte(s)); return hex.EncodeToString(sum[:]) }
	case "SHA-512-256":
		hash = func(s string) string { sum := sha512.Sum512_256([]byte(s)); return hex.EncodeToString(sum[:]) }
	}
	a1 := hash(user + ":" + realm + ":" + password)
	if strings.HasSuffix(algorithm, "-sess") {
		a1 = hash(a1 + ":" + got["nonce"] + ":" + got["cnonce"])
	}
	a2 := hash(method + ":" + got["uri"])
	if got["qop"] == "" {
		return hash(a1 + ":" + got["nonce"] + ":" + a2)
	}
	return hash(strings.Join([]string{a1, got["nonce"], got["nc"], got["cnonce"], got["qop"], a2}, ":"))
}
