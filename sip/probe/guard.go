package probe

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"trunkline/config"
	"trunkline/trunks"
)

// guard sees to it that no number has more than one live test call, as caller or
// as called.
type guard struct {
	mu     sync.Mutex
	live   map[string]*place   // by number
	queues map[string][]*place // that wait for a number
}

// place is one test call in the guard's books.
type place struct {
	numbers []string
	owner   *Discovery // whose tries go one after the other, though a server that was silent may still have the one before; nil: nobody's
	granted func()     // called without the lock, when a place that had to wait has its numbers
	state   placeState
}

type placeState uint8

const (
	placeWaits placeState = iota
	placeHolds
	placeLeft
)

// take reports whether the place has its numbers; else it waits and is told.
func (g *guard) take(p *place) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.try(p)
}

// try is take with the lock held.
func (g *guard) try(p *place) bool {
	for _, n := range p.numbers {
		if other := g.live[n]; other != nil && (p.owner == nil || other.owner != p.owner) {
			if g.queues == nil {
				g.queues = map[string][]*place{}
			}
			g.queues[n] = append(g.queues[n], p)
			return false
		}
	}
	if g.live == nil {
		g.live = map[string]*place{}
	}
	for _, n := range p.numbers {
		g.live[n] = p
	}
	p.state = placeHolds
	return true
}

func (g *guard) holds(p *place) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return p.state == placeHolds
}

// leave gives a place up, whether it holds its numbers or waits for them, and tells
// those that have theirs now.
func (g *guard) leave(p *place) {
	g.mu.Lock()
	held := p.state == placeHolds
	p.state = placeLeft
	var next []*place
	if held {
		for _, n := range p.numbers {
			if g.live[n] == p {
				delete(g.live, n)
			}
		}
		for _, n := range p.numbers {
			next = g.serve(n, next)
		}
	}
	g.mu.Unlock()
	for _, q := range next {
		q.granted()
	}
}

// serve gives a free number to the first that waits for it and can have all it
// needs.
func (g *guard) serve(number string, next []*place) []*place {
	for g.live[number] == nil && len(g.queues[number]) > 0 {
		q := g.queues[number][0]
		if g.queues[number] = g.queues[number][1:]; len(g.queues[number]) == 0 {
			delete(g.queues, number)
		}
		if q.state == placeWaits && g.try(q) {
			next = append(next, q)
		}
	}
	return next
}

// manners remember when servers were last sent OPTIONS.
type manners struct {
	mu    sync.Mutex
	at    map[server]time.Time
	swept time.Time
}

// server is one place that answers over one transport.
type server struct {
	at   netip.AddrPort
	over config.Transport
}

// may reports whether a server may be sent OPTIONS now, and notes that it is.
func (a *manners) may(now time.Time, s server, pause time.Duration) bool {
	if pause < 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at == nil {
		a.at = map[server]time.Time{}
	}
	if now.Sub(a.swept) > pause {
		a.swept = now
		maps.DeleteFunc(a.at, func(_ server, at time.Time) bool { return now.Sub(at) >= pause })
	}
	if at, ok := a.at[s]; ok && now.Sub(at) < pause {
		return false
	}
	a.at[s] = now
	return true
}

// numbersIn are the numbers that a test call occupies: what stands for a number in
// called and caller. A target of any other kind may have many calls.
func numbersIn(all ...string) (numbers []string) {
	for _, one := range all {
		if n := numberIn(one); n != "" && !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// numberIn returns the E.164 number that a target stands for, "" for none.
func numberIn(target string) string {
	user := target
	if isURI(target) {
		_, user, _ = strings.Cut(target, ":")
		var ok bool
		if user, _, ok = strings.Cut(user, "@"); !ok {
			return ""
		}
	}
	n := string(trunks.Normalize([]byte(user), nil))
	if !strings.HasPrefix(n, "+") {
		return ""
	}
	return n
}

// isURI reports whether a target is a URI and no number.
func isURI(target string) bool {
	scheme, _, ok := strings.Cut(target, ":")
	return ok && (strings.EqualFold(scheme, "sip") || strings.EqualFold(scheme, "sips"))
}

// Private reports whether the public network cannot reach an address: loopback,
// private, shared (RFC 6598), link-local, multicast, unspecified or reserved.
func Private(a netip.Addr) bool {
	a = a.Unmap()
	if a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() {
		return true
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // RFC 1122 §3.2.1.3
	netip.MustParsePrefix("100.64.0.0/10"),   // RFC 6598
	netip.MustParsePrefix("192.0.0.0/24"),    // RFC 6890
	netip.MustParsePrefix("192.0.2.0/24"),    // RFC 5737
	netip.MustParsePrefix("198.18.0.0/15"),   // RFC 2544
	netip.MustParsePrefix("198.51.100.0/24"), // RFC 5737
	netip.MustParsePrefix("203.0.113.0/24"),  // RFC 5737
	netip.MustParsePrefix("240.0.0.0/4"),     // RFC 1112 §4
	netip.MustParsePrefix("64:ff9b::/96"),    // RFC 6052: leads to IPv4, private ones too
	netip.MustParsePrefix("2001:db8::/32"),   // RFC 3849
}
