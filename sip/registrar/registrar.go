package registrar

import (
	"cmp"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Options bound what agents may register. The zero value works.
type Options struct {
	MinExpires time.Duration // shorter wishes get 423; 0: one minute
	MaxExpires time.Duration // longer wishes are granted this; 0: one hour
	// StreamExpires is MaxExpires for what comes over a connection: how long one may be silent before it is closed. 0: MaxExpires.
	StreamExpires time.Duration
	Contacts      int // bindings of one agent; 0: 10
}

// Binding is a place where an agent has registered. It is never changed once it is returned.
type Binding struct {
	URI      string         // the Contact URI as it came
	Flow     transport.Flow // where the REGISTER came from, which is where requests go: it may be behind a NAT
	Q        float64        // preference, 0 to 1
	Expires  time.Time
	Seen     time.Time // when its REGISTER came; zero: before this process began
	CallID   string
	CSeq     uint32
	Instance string // +sip.instance (RFC 5626 §4.1); empty: none
	Agent    string // User-Agent of the device, at most 64 bytes

	key        string // what makes it the same binding when it comes again
	translated bool   // a NAT stands between
	turn       int    // its group
}

// Registrar keeps the bindings of all agents, by name. Its methods may be called concurrently.
type Registrar struct {
	o Options

	mu      sync.Mutex
	agents  map[string][]Binding
	changed map[string]struct{} // agents whose bindings have changed since they were kept

	Accepted, Refused atomic.Uint64 // REGISTERs that were answered 200, and otherwise
}

// New returns an empty registrar.
func New(o Options) *Registrar {
	o.MinExpires = cmp.Or(o.MinExpires, time.Minute)
	o.MaxExpires = max(cmp.Or(o.MaxExpires, time.Hour), o.MinExpires)
	o.StreamExpires = max(min(cmp.Or(o.StreamExpires, o.MaxExpires), o.MaxExpires), o.MinExpires)
	o.Contacts = cmp.Or(o.Contacts, 10)
	return &Registrar{o: o, agents: map[string][]Binding{}, changed: map[string]struct{}{}}
}

// Bindings returns where the agent is at the moment: the preferred ones first, of equals the latest. The slice is the caller's.
func (r *Registrar) Bindings(agent string, now time.Time) []Binding {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.live(agent, now))
}

// Count returns how many bindings the agent has at the moment.
func (r *Registrar) Count(agent string, now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.live(agent, now))
}

// Turns is how many groups of about the same size the bindings are in.
const Turns = 30

// Translated returns the bindings of one group, 0 to Turns-1, that are over UDP and name another place than their REGISTER came from, in no
// order: a NAT stands between, which lets in only what it has lately let out. A binding stays in its group when it comes again.
func (r *Registrar) Translated(now time.Time, turn int) (translated []Binding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent := range r.agents {
		for _, b := range r.live(agent, now) {
			if b.translated && b.turn == turn {
				translated = append(translated, b)
			}
		}
	}
	return translated
}

// place finds out once what Translated asks of each binding again and again.
func (b *Binding) place() {
	b.translated = b.Flow.Proto == transport.UDP && !b.AtHome()
	b.turn = int(maphash.String(turnSeed, b.key) % Turns)
}

var turnSeed = maphash.MakeSeed()

// AtHome tells whether the binding names the place that its REGISTER came from; if not, a NAT or a proxy stands between.
func (b *Binding) AtHome() bool {
	u, err := wire.ParseURI([]byte(b.URI))
	if err != nil {
		return false
	}
	port := cmp.Or(u.Port, 5060)
	host, err := netip.ParseAddr(strings.Trim(string(u.Host), "[]"))
	return err == nil && netip.AddrPortFrom(host.Unmap(), uint16(port)) == b.Flow.Remote
}

// Forget removes every binding of agents that keep says no more of: a reload, or one that was deleted.
func (r *Registrar) Forget(keep func(agent string) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent := range r.agents {
		if !keep(agent) {
			delete(r.agents, agent)
			r.touch(agent)
		}
	}
}

// Lost removes the bindings of a stream connection that has ended: nothing can be sent there any more. RFC 5626 §4.2. Whoever has come
// back from the same address meanwhile keeps what it has registered.
func (r *Registrar) Lost(f transport.Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for agent, bindings := range r.agents {
		left := slices.DeleteFunc(bindings, func(b Binding) bool { return b.Flow.Conn == f.Conn })
		if len(left) == 0 {
			delete(r.agents, agent)
		} else {
			r.agents[agent] = left
		}
	}
}

// live drops what has expired. The mutex is held.
func (r *Registrar) live(agent string, now time.Time) []Binding {
	bindings, some := r.agents[agent]
	if !some {
		return nil
	}
	bindings = slices.DeleteFunc(bindings, func(b Binding) bool { return !b.Expires.After(now) })
	if len(bindings) == 0 {
		delete(r.agents, agent)
		r.touch(agent)
		return nil
	}
	r.agents[agent] = bindings
	return bindings
}

// order sorts bindings as calls try them: a device that is there has refreshed its own lately, whatever it was granted.
func order(bindings []Binding) {
	slices.SortStableFunc(bindings, func(a, b Binding) int {
		return cmp.Or(cmp.Compare(b.Q, a.Q), b.Seen.Compare(a.Seen), b.Expires.Compare(a.Expires), strings.Compare(a.key, b.key))
	})
}
