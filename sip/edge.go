package sip

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/config"
	"trunkline/media"
	"trunkline/sip/call"
	"trunkline/sip/digest"
	"trunkline/sip/registrar"
	"trunkline/sip/resolve"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
	"trunkline/trunks/pace"
)

// Network is what the edge needs of the sockets: a transport.Network, or the
// network in memory of package siptest.
type Network interface {
	Port(shard int) transport.Port
	Listeners() []transport.Listener
}

// Recorder takes the record of each call as it ends. Record is called on a
// shard and must not block; shards call it concurrently.
type Recorder interface{ Record(trunks.CallRecord) }

// Resolver finds hosts (RFC 3263); *resolve.Resolver is one. It is called
// concurrently, never on a shard.
type Resolver interface {
	Resolve(ctx context.Context, q resolve.Query) (resolve.Answer, error)
}

// Options of an Edge. Network and Trunks are required.
type Options struct {
	Network Network
	Shards  int // ports of the network that are used; 0: 1
	Trunks  *trunks.Snapshot

	Media        *media.Relay // nil: session descriptions pass unchanged, media goes past us
	MediaAddress netip.Addr   // where media is received; invalid: at the address of each side's signalling
	// MediaTimeout ends an answered call of which neither party has been heard for so long, holds apart, and
	// MediaEarlyTimeout one that is not answered yet; 0: never. Both need Media.
	MediaTimeout, MediaEarlyTimeout time.Duration

	Records Recorder // nil: records are not kept
	// Resolver finds the names in Contact, Route and Service-Route; nil: such requests go where the side's messages come from.
	Resolver Resolver
	Log      *slog.Logger // nil: nothing is logged

	// Registrar keeps where agents are that register; nil: none do. Agents with an auth_user are challenged with Realm, which it then needs.
	Registrar *registrar.Registrar
	Realm     string
	Digests   []digest.Algorithm // that challenges offer, the best first; nil: SHA-256, then MD5

	UserAgent string        // value of User-Agent and Server; empty: neither header is sent
	Timers    config.Timers // of all transactions, where a trunk sets none; zero: those of RFC 3261
	Trace     int           // bytes of message memory for all shards together; 0: none
	Emergency []string      // called numbers that no limit holds up, beside urn:service:sos
	// ForeignRoute is what becomes of an INVITE with a Route that does not name the
	// edge; empty: ignore.
	ForeignRoute config.ForeignRoute

	// OverloadDelay is how long new INVITEs may have waited to be received before they get 503; 0: as long as they like.
	OverloadDelay time.Duration
}

// Edge is the SIP side of the daemon. Its methods may be called concurrently.
type Edge struct {
	options   Options
	policy    call.Options
	listeners []transport.Listener
	contacts  [][transports][]byte // our Contact value by listener and protocol
	shards    []*shard
	snapshot  atomic.Pointer[trunks.Snapshot]
	ways      atomic.Pointer[ways]
	rests     resolve.Rests // of servers that failed lately
	expected  expectations
	peers     sync.Map // identity → *transport.Peer, of trunks that are tested
	peerCount atomic.Int64
	draining  atomic.Bool
	calls     atomic.Int64
	behind    atomic.Int32 // shards that refuse new calls because they have too much to do

	lookUps     sync.WaitGroup  // of names that messages gave us
	looking     context.Context // ends with Run
	stopLookUps context.CancelFunc
}

// New makes an edge. Nothing is received before Run.
func New(o Options) (*Edge, error) {
	if o.Network == nil || o.Trunks == nil {
		return nil, errors.New("sip: Network and Trunks are required")
	}
	if o.Registrar != nil && o.Realm == "" {
		return nil, errors.New("sip: a Registrar needs a Realm")
	}
	if o.Shards == 0 {
		o.Shards = 1
	}
	if o.Shards < 1 || o.Shards > maxShards {
		return nil, fmt.Errorf("sip: %d shards: allowed are 1 to %d", o.Shards, maxShards)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Edge{options: o, listeners: o.Network.Listeners(), policy: policy(o)}
	for i := range e.listeners {
		e.contacts = append(e.contacts, contactsOf(e.listeners[i].SentBy))
	}
	e.looking, e.stopLookUps = context.WithCancel(context.Background())
	if err := e.Reload(o.Trunks); err != nil {
		e.stopLookUps()
		return nil, err
	}
	for i := range o.Shards {
		e.shards = append(e.shards, newShard(e, i, o.Network.Port(i)))
	}
	return e, nil
}

// policy is what the machine of every call goes by.
func policy(o Options) call.Options {
	return call.Options{
		T1:          o.Timers.T1.D(),
		RingTimeout: o.Timers.TimerC.D(),
		Redirect:    call.RedirectFollow,
		Pass:        call.Methods(call.INFO, call.MESSAGE, call.UPDATE),
	}
}

// contactsOf are our Contact values at an address, by protocol.
func contactsOf(sentBy string) [transports][]byte {
	return [transports][]byte{
		transport.UDP: fmt.Appendf(nil, "<sip:%s>", sentBy),
		transport.TCP: fmt.Appendf(nil, "<sip:%s;transport=tcp>", sentBy),
		transport.TLS: fmt.Appendf(nil, "<sip:%s;transport=tls>", sentBy),
	}
}

// contact returns our Contact value on this flow. Its transport is the flow's,
// also where a stream was dialled from a UDP listener's address.
func (e *Edge) contact(f transport.Flow) []byte { return e.contacts[f.Socket][f.Proto] }

// Run serves until ctx ends, then ends the calls that are left with a BYE and
// returns. It is called once.
func (e *Edge) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range e.shards {
		all.Go(func() { s.run(ctx) })
	}
	all.Wait()
	e.stopLookUps()
	e.lookUps.Wait()
	return nil
}

// ways is how trunks are reached beyond their address: made of a snapshot when
// it comes into force.
type ways struct {
	timers map[string]*transaction.Timers // by trunk
	peers  peers                          // what trunks are shown and asked for over streams
	keys   map[string]pace.Limiter        // by trunk; none: not paced
	byName map[string]pace.Limiter
	agents map[string][]destination // by agent, as its Destinations

	bindings      bindings
	manners       map[string]*manners      // by trunk
	trunkPolicies map[string]*call.Options // by trunk
	agentPolicies map[string]*call.Options // by agent
	phonePolicies map[string]*call.Options // by agent, for calls to one that has registered at several places
}

// destination is a destination's URI in the parts that Request-URI and To are
// made of.
type destination struct {
	user, host, hostPort, params string
	proto                        transport.Proto
}

// destinations returns an agent's. One that a reload has removed, but a running
// call still tries, is read again.
func (w *ways) destinations(a *trunks.Agent) []destination {
	if found := w.agents[a.Name]; len(found) == len(a.Destinations) {
		return found
	}
	return destinationsOf(a)
}

func destinationsOf(a *trunks.Agent) []destination {
	all := make([]destination, len(a.Destinations))
	for i := range a.Destinations {
		u, err := wire.ParseURI([]byte(a.Destinations[i].URI.String()))
		if err != nil {
			continue
		}
		d := destination{user: string(u.User), host: string(u.Host), hostPort: string(u.Host), params: string(u.Params), proto: protoOfURI(u)}
		if u.Port != 0 {
			d.hostPort += ":" + strconv.Itoa(u.Port)
		}
		all[i] = d
	}
	return all
}

// Reload replaces trunks, agents and numbers for the calls to come. Running
// calls keep what they started with. On error, a TLS file that cannot be read,
// nothing changes.
func (e *Edge) Reload(s *trunks.Snapshot) error {
	w := &ways{timers: map[string]*transaction.Timers{}, agents: map[string][]destination{}}
	for _, a := range s.Agents {
		w.agents[a.Name] = destinationsOf(a)
	}
	old := e.ways.Load()
	if old == nil {
		old = &ways{}
	}
	w.keys, w.byName = keysOf(s, old.byName)
	w.trunkPolicies, w.agentPolicies, w.phonePolicies = policiesOf(e.policy, s)
	w.bindings = bindingsOf(s, old.bindings)
	w.manners = make(map[string]*manners, len(s.Trunks))
	for _, t := range s.Trunks {
		w.manners[t.Name] = mannersOf(t)
		if timers := (t.Timers); timers != (config.Timers{}) {
			w.timers[t.Name] = timersOf(timers)
		}
	}
	var err error
	if w.peers, err = peersOf(s, old.peers); err != nil {
		return err
	}
	e.ways.Store(w)
	if r := e.options.Registrar; r != nil {
		r.Forget(func(name string) bool { a := s.Agent(name); return a != nil && a.AuthUser != "" })
	}
	e.snapshot.Store(s)
	return nil
}

func timersOf(t config.Timers) *transaction.Timers {
	return &transaction.Timers{T1: t.T1.D(), T2: t.T2.D(), T4: t.T4.D(), B: t.TimerB.D(), F: t.TimerF.D(), C: t.TimerC.D()}
}

// Trunks returns the snapshot in force.
func (e *Edge) Trunks() *trunks.Snapshot { return e.snapshot.Load() }

// limits are those in force.
func (e *Edge) limits() *config.Limits { return &e.snapshot.Load().Limits }

// Calls returns the number of calls that have not ended.
func (e *Edge) Calls() int { return int(e.calls.Load()) }

// Draining reports whether Drain was called.
func (e *Edge) Draining() bool { return e.draining.Load() }

// RefuseCalls refuses new calls with 503 from now on.
func (e *Edge) RefuseCalls() { e.draining.Store(true) }

// Drain refuses new calls with 503 from now on and waits until the running ones
// have ended or ctx ends; it returns how many are left.
func (e *Edge) Drain(ctx context.Context) int {
	e.draining.Store(true)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for e.Calls() > 0 {
		select {
		case <-ctx.Done():
			return e.Calls()
		case <-tick.C:
		}
	}
	return 0
}

// resolve looks a host up beside the shards and tells found, on a goroutine of its
// own, within lookUpLimit.
func (e *Edge) resolve(q resolve.Query, found func(resolve.Answer, error)) {
	e.lookUps.Go(func() { // ends with the look-up, at the latest with Run
		ctx, cancel := context.WithTimeout(e.looking, lookUpLimit)
		defer cancel()
		found(e.options.Resolver.Resolve(ctx, q))
	})
}

// lookUpLimit bounds the look-up of a name that a message gave us.
const lookUpLimit = 2 * time.Second

// HangUpAll refuses new calls with 503 from now on, ends the running ones with a
// BYE, and waits until they are over or ctx ends; it returns how many are left.
func (e *Edge) HangUpAll(ctx context.Context) int {
	e.draining.Store(true)
	for _, s := range e.shards {
		s.post(func(now time.Time) { s.hangUpAll(now) })
	}
	return e.Drain(ctx)
}

// HangUp ends a call by its id, the one its record will have; false when there
// is no such call.
func (e *Edge) HangUp(ctx context.Context, id string) (bool, error) {
	found := false
	shard, slot, ok := readTag([]byte(id))
	if !ok || shard >= len(e.shards) {
		return false, nil
	}
	s := e.shards[shard]
	err := s.do(ctx, func(now time.Time) {
		if c := s.session(slot); c != nil && string(c.id[:]) == id {
			found = true
			if c.origin.waiting {
				c.dismissAgent(now)
				c.originFailed(now, 487, call.CauseAPI)
				return
			}
			c.step(now, call.Event{Kind: call.HangUp, Cause: call.CauseAPI})
		}
	})
	return found, err
}

// Messages returns what the trace still has of a call, oldest first, with
// credentials masked; nil for a call that is not, or no longer, known.
func (e *Edge) Messages(ctx context.Context, id string) ([]Traced, error) {
	shard, _, ok := readTag([]byte(id))
	if !ok || shard >= len(e.shards) {
		return nil, nil
	}
	var found []Traced
	err := e.shards[shard].do(ctx, func(time.Time) { found = e.shards[shard].messages(id) })
	for i := range found {
		found[i].Bytes = Redact(found[i].Bytes)
	}
	return found, err
}
