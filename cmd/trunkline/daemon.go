package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/api"
	"trunkline/config"
	"trunkline/media"
	"trunkline/sip"
	"trunkline/sip/digest"
	"trunkline/sip/health"
	"trunkline/sip/probe"
	"trunkline/sip/register"
	"trunkline/sip/registrar"
	"trunkline/sip/resolve"
	"trunkline/sip/transport"
	"trunkline/store"
	"trunkline/trunks"
	"trunkline/trunks/account"
	"trunkline/trunks/notice"
	"trunkline/trunks/webhook"
)

// daemonOptions is what a daemon is made of. Two may run in one process, as tests do.
type daemonOptions struct {
	Config config.Config
	File   string         // read again by reload; empty: reload reads the environment alone
	Log    *slog.Logger   // required
	Level  *slog.LevelVar // of Log, changed by reload; nil: it stays
}

// daemon is the edge with everything around it, running.
type daemon struct {
	log     *slog.Logger
	level   *slog.LevelVar
	file    string
	started config.Config // as the process began: some keys hold until it ends
	failed  chan error    // a part that ended by itself

	applying   sync.Mutex                    // held while something comes into force; guards what follows, which the start writes too
	config     config.Config                 // of the file, in force
	inventory  account.Inventory             // what organizations have, in force
	joined     config.Config                 // both
	names      trunks.Names                  // in force
	namesUntil time.Time                     // when to look them up again
	warned     string                        // what was said last about the snapshot
	filed      atomic.Pointer[config.Config] // config, for whoever must not wait

	resolver *resolve.Resolver

	metrics   *api.Metrics
	http      *api.Server // nil: no HTTP
	db        *store.DB
	records   *store.Records
	relay     *media.Relay // nil: signalling only
	network   *transport.Network
	edge      *sip.Edge
	prober    *probe.Prober
	verifier  *probe.Verifier      // proves trunks and numbers by schedule
	keeper    *register.Keeper     // of the trunks that register
	watcher   *health.Watcher      // of the trunks with health.interval
	registrar *registrar.Registrar // of agents that register on us
	keepAlive *health.KeepAlive    // of those behind a NAT
	memory    *memory              // of what outlives the process though nobody configured it

	ready    atomic.Bool
	stopEdge context.CancelFunc
	running  sync.WaitGroup // the edge's goroutine
	serving  sync.WaitGroup // the HTTP server's goroutine
	accounts *account.Service
	board    *notice.Board
	webhooks *webhook.Service
	applier  *inventory
	stopWork context.CancelFunc // of accounts and applier
	working  sync.WaitGroup     // their goroutines
	undo     []func()           // what close does, last first
}

// How long closing a part may take before it is cut short.
const (
	probeLimit      = 3 * time.Second // test calls that are given up, bindings of tests taken back
	unregisterLimit = 2 * time.Second // answers to REGISTERs that take our bindings back, and 2 ms a trunk
	unregisterMost  = 8 * time.Second // however many: who stops us may kill us after ten
	byeLimit        = time.Second     // answers to the BYEs of calls still up
	hangUpLimit     = 3 * time.Second // the edge's own end
	flushLimit      = 5 * time.Second // records on their way to the disk
	networkLimit    = time.Second     // bytes queued on stream connections
	httpLimit       = 2 * time.Second // requests in progress
)

// startDaemon builds the parts in the order in which a mistake is cheapest: sockets and files first, calls last. The error
// names the part and what is wrong with it; nothing runs then.
func startDaemon(ctx context.Context, o daemonOptions) (_ *daemon, err error) {
	c := o.Config
	d := &daemon{log: o.Log, level: o.Level, file: o.File, started: c, config: c, failed: make(chan error, 2)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	d.filed.Store(&c)
	d.metrics = api.NewMetrics(build(), d.log)
	if err := d.openStore(); err != nil {
		return nil, err
	}
	d.resolver = newResolver(c)
	d.onClose(d.resolver.Close)
	if err := d.openAccounts(); err != nil {
		return nil, err
	}
	if err := d.openNotices(); err != nil {
		return nil, err
	}
	if err := d.openHTTP(); err != nil {
		return nil, err
	}
	snapshot, err := d.firstSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	if err := d.openEdge(snapshot); err != nil {
		return nil, err
	}
	d.run()
	return d, nil
}

// firstSnapshot is what calls go by from the start: the file and what organizations have.
func (d *daemon) firstSnapshot(ctx context.Context) (*trunks.Snapshot, error) {
	inventory, err := d.readInventory(ctx)
	if err != nil {
		return nil, err
	}
	var wrong error
	d.inventory = inventory
	d.board.Belong(owners(inventory))
	d.joined, wrong = inventory.Join(d.config)
	found := lookUp(ctx, d.resolver, trunks.Hosts(d.joined))
	d.screen(d.config, inventory, found.names)
	d.names, d.namesUntil = found.names, found.until
	snapshot, err := trunks.Build(d.joined, d.names)
	if err == nil {
		d.warn(snapshot, wrong)
	}
	return snapshot, err
}

// openStore opens both databases.
func (d *daemon) openStore() (err error) {
	s := d.config.Storage
	if err := os.MkdirAll(s.Directory, 0o700); err != nil {
		return fmt.Errorf("storage.directory: %w", err)
	}
	if d.db, err = store.Open(s.Directory); err != nil {
		return fmt.Errorf("configuration database: %w", err)
	}
	d.onClose(func() { d.report("close the configuration database", d.db.Close()) })
	d.records, err = store.OpenRecords(s.Directory, store.Options{
		CommitInterval: s.CommitInterval.D(),
		Retention:      s.Retention.D(),
		Queue:          s.Queue,
		Registerer:     d.metrics.Registerer(),
		Report:         d.reportRecords,
	})
	if err != nil {
		return fmt.Errorf("call records: %w", err)
	}
	d.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
		defer cancel()
		d.report("commit the last call records", d.records.Close(ctx))
	})
	return nil
}

// openHTTP opens the socket of health, readiness and metrics, and answers from then on: not ready yet.
func (d *daemon) openHTTP() (err error) {
	if d.config.HTTP.Listen == "" {
		return nil
	}
	identity, err := d.httpIdentity()
	if err != nil {
		return fmt.Errorf("http.tls: %w", err)
	}
	d.http, err = api.Listen(api.Options{Listen: d.config.HTTP.Listen, Ready: d.readiness, Metrics: d.metrics, Calls: calls{d}, Registrations: d.registrations, Bindings: d.bindings,
		Accounts: d.accounts, Traffic: traffic{calls{d}}, Webhooks: d.webhooks, Settle: d.applier.Apply, Limit: api.Limit{PerSecond: d.config.HTTP.RateLimit, Burst: d.config.HTTP.RateBurst},
		TLS: identity, Log: d.log})
	if err != nil {
		return fmt.Errorf("http.listen: %w", err)
	}
	d.serving.Go(func() { // ends when the server is shut down
		if err := d.http.Serve(); err != nil {
			d.failed <- fmt.Errorf("http: %w", err)
		}
	})
	d.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), httpLimit)
		defer cancel()
		d.report("end HTTP", d.http.Shutdown(ctx))
		d.serving.Wait()
	})
	return nil
}

// openEdge opens relay and SIP sockets and joins them to trunks and records.
func (d *daemon) openEdge(snapshot *trunks.Snapshot) (err error) {
	c := d.config
	cores := runtime.GOMAXPROCS(0)
	relayThreads, shards := divideCores(cores, c)
	if c.Media.Relay {
		d.relay, err = media.New(media.Options{
			PortLow: int(c.Media.Ports.First), PortHigh: int(c.Media.Ports.Last),
			Threads: relayThreads, Advertise: advertised(c, ownAddresses()),
		})
		if err != nil {
			return fmt.Errorf("media: %w", err)
		}
		d.onClose(d.relay.Close)
		d.reserve(d.relay.Threads())
	}
	loop := receiveLoop(c.SIP.UDPReceive)
	if runtime.GOOS == "linux" && loop != transport.LoopPortable {
		d.reserve(shards)
	}
	files, err := d.tlsFiles()
	if err != nil {
		return fmt.Errorf("sip.tls: %w", err)
	}
	d.network, err = transport.Listen(transport.Options{
		Listen:        listenURLs(c.SIP.Listen),
		PublicAddress: publicAddress(c.SIP),
		Shards:        shards,
		Loop:          loop,
		Dispatch:      sip.Dispatch(shards),
		SocketBuffer:  int(c.SIP.ReceiveBuffer),
		IdleTimeout:   cmp.Or(c.SIP.IdleTimeout.D(), transport.Never),
		TLS:           files,
		Log:           d.log,
	})
	if err != nil {
		return fmt.Errorf("sip.listen: %w", err)
	}
	d.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), networkLimit)
		defer cancel()
		if err := d.network.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			d.report("close the SIP sockets", err)
		}
	})
	r := c.SIP.Registrar
	d.registrar = registrar.New(registrar.Options{MinExpires: r.MinExpires.D(), MaxExpires: r.MaxExpires.D(), StreamExpires: c.SIP.IdleTimeout.D(), Contacts: r.Contacts})
	d.memory = d.openMemory(snapshot)
	d.edge, err = sip.New(sip.Options{
		Network:      d.network,
		Shards:       shards,
		Trunks:       snapshot,
		Media:        d.relay,
		MediaAddress: c.Media.Address,
		MediaTimeout: c.Media.Timeout.D(), MediaEarlyTimeout: c.Media.EarlyTimeout.D(),
		Records:      recorder{d.records, d.board},
		Resolver:     d.resolver,
		Log:          d.log,
		Registrar:    d.registrar,
		Realm:        c.SIP.Registrar.Realm,
		Digests:      digests(c.SIP.Registrar.Digest),
		UserAgent:    c.SIP.UserAgent,
		Timers:       c.SIP.Timers,
		Trace:        int(c.Trace.Memory),
		Emergency:    c.Limits.EmergencyNumbers,
		ForeignRoute: c.SIP.ForeignRoute,

		OverloadDelay: c.Limits.OverloadDelay.D(),
	})
	if err != nil {
		return err
	}
	d.keeper = register.New(d.edge, d.log)
	d.watcher = health.New(d.edge)
	d.prober = probe.New(probe.Options{Engine: d.edge, Resolver: d.resolver, Target: c.Probe.Target, Rate: c.Probe.Rate, RingLimit: c.Probe.RingLimit.D()})
	d.verifier = probe.NewVerifier(probe.VerifierOptions{Prober: d.prober, Log: d.log, Drifted: d.drifted,
		Trunks: c.Probe.Interval.D(), Numbers: c.Probe.NumberInterval.D()})
	d.keepAlive = health.NewKeepAlive(d.edge, d.registrar.Translated, r.KeepAlive.D())
	d.onClose(d.keepAlive.Close)
	err = registerMetrics(d.metrics.Registerer(), d.edge, d.network, d.relay, d.keeper, d.watcher, d.registrar, d.keepAlive)
	if err != nil {
		return err
	}
	return registerProbeMetrics(d.metrics.Registerer(), d.prober, d.verifier)
}

// reserve makes room in GOMAXPROCS for threads that wait in the kernel without the runtime's knowledge.
func (d *daemon) reserve(threads int) {
	transport.ReserveProcs(threads)
	d.onClose(func() { transport.ReserveProcs(-threads) })
}

// run starts the edge; from here on calls are taken.
func (d *daemon) run() {
	d.memory.run()
	d.onClose(d.memory.close)
	ctx, stop := context.WithCancel(context.Background())
	d.stopEdge = stop
	d.running.Go(func() { // ends with stopEdge
		if err := d.edge.Run(ctx); err != nil {
			d.failed <- fmt.Errorf("sip: %w", err)
		}
	})
	d.onClose(d.hangUp)
	d.keeper.Apply(d.edge.Trunks())
	d.watcher.Apply(d.edge.Trunks())
	d.verifier.Apply(d.edge.Trunks())
	d.ready.Store(true)
	d.startAccounts()
	d.metrics.Reloaded(time.Now(), true)
	for _, l := range d.network.Listeners() {
		d.log.Info("listening", "transport", l.Proto.String(), "address", l.Addr.String(), "shown_as", l.SentBy)
	}
	if d.http != nil {
		d.log.Info("listening", "transport", "HTTP", "address", d.http.Addr().String())
	}
}

// drain refuses new calls and waits for the running ones until drain.deadline or until ctx ends. It returns how many are left.
// Registrations stay: calls that run may need them, and new ones are told where to go.
func (d *daemon) drain(ctx context.Context) (left int) {
	d.edge.RefuseCalls() // before readiness is off: who sees that relies on it
	d.ready.Store(false)
	d.stopAccounts()
	ctx, cancel := context.WithTimeout(ctx, d.config.Drain.Deadline.D())
	defer cancel()
	return d.edge.Drain(ctx)
}

// unregister takes every binding back; a second time it has nothing to do.
func (d *daemon) unregister() {
	limit := unregisterLimit + time.Duration(len(d.edge.Trunks().Trunks))*2*time.Millisecond
	ctx, cancel := context.WithTimeout(context.Background(), min(limit, unregisterMost))
	defer cancel()
	d.keeper.Close(ctx)
}

// hangUp ends the calls that are left with a BYE, takes every binding back once they are gone, and ends the edge.
func (d *daemon) hangUp() {
	d.ready.Store(false)
	d.verifier.Close()
	tests, cancelled := context.WithTimeout(context.Background(), probeLimit)
	defer cancelled()
	d.prober.Close(tests)
	byes, cancel := context.WithTimeout(context.Background(), byeLimit)
	defer cancel()
	d.edge.HangUpAll(byes)
	d.unregister()
	d.stopEdge()
	ended := make(chan struct{})
	go func() { d.running.Wait(); close(ended) }() // ends with the edge
	select {
	case <-ended:
	case <-time.After(hangUpLimit):
		d.log.Warn("calls were cut off", "calls", d.edge.Calls())
	}
	d.board.Flush(context.Background())
}

func (d *daemon) onClose(f func()) { d.undo = append(d.undo, f) }

// close ends what runs, in the reverse order of its start: calls, sockets, HTTP, records. It may be called twice.
func (d *daemon) close() {
	for _, f := range slices.Backward(d.undo) {
		f()
	}
	d.undo = nil
}

func (d *daemon) report(doing string, err error) {
	if err != nil {
		d.log.Error("could not "+doing, "error", err)
	}
}

// reportRecords hears from the record writer when the disk begins to refuse records and when it takes them again.
func (d *daemon) reportRecords(err error) {
	if err != nil {
		d.log.Error("call records cannot be written; calls go on", "error", err)
		return
	}
	d.log.Info("call records are written again")
}

// readiness is what /readyz shows. A store in trouble costs records, counted, not calls: the edge stays ready.
func (d *daemon) readiness() api.Readiness {
	parts := []api.Part{{Name: "sip", State: "up"}, {Name: "media", State: "up"}, {Name: "store", State: "up"}}
	up := d.ready.Load()
	if !up {
		parts[0].State, parts[1].State = "not taking calls", "not taking calls"
	}
	if up && d.relay == nil {
		parts[1].State = "off: media goes past the edge"
	}
	if d.records.Healthy() != nil {
		parts[2].State = "call records cannot be written"
	}
	if !up { // the keeper may not be there yet
		return api.Readiness{Ready: up, Parts: parts}
	}
	if state := registrations(d.keeper); state != "" {
		parts = append(parts, api.Part{Name: "registrations", State: state})
	}
	return api.Readiness{Ready: up, Parts: parts}
}

// divideCores returns how many relay threads and shards share the cores, unless the configuration says.
func divideCores(cores int, c config.Config) (relayThreads, shards int) {
	if c.Media.Relay {
		relayThreads = max(1, cores/2)
		if c.Media.Threads > 0 {
			relayThreads = c.Media.Threads
		}
	}
	if c.SIP.Shards > 0 {
		return relayThreads, c.SIP.Shards
	}
	return relayThreads, max(1, cores-relayThreads)
}

func listenURLs(listeners []config.Listener) []string {
	urls := make([]string, len(listeners))
	for i, l := range listeners {
		urls[i] = l.String()
	}
	return urls
}

func publicAddress(s config.SIP) string {
	if !s.PublicAddress.IsValid() {
		return ""
	}
	return s.PublicAddress.String()
}

// advertised maps the local addresses that media may arrive at to the ones that descriptions show. Behind a wildcard listener
// that is each of ours but loopback, whose peers are on this host. A listener's own public address comes before the common one.
func advertised(c config.Config, ours []netip.Addr) map[netip.Addr]netip.Addr {
	shown := map[netip.Addr]netip.Addr{}
	show := func(local, public netip.Addr) {
		if _, ok := shown[local]; !ok && public.IsValid() && public.Is4() == local.Is4() {
			shown[local] = public
		}
	}
	for _, l := range c.SIP.Listen {
		public := c.SIP.PublicAddress
		if l.Public.IsValid() {
			public = l.Public
		}
		if c.Media.Address.IsValid() {
			show(c.Media.Address, public)
			continue
		}
		if !l.Addr.Addr().IsUnspecified() {
			show(l.Addr.Addr(), public)
			continue
		}
		for _, local := range ours {
			if !local.IsLoopback() {
				show(local, public)
			}
		}
	}
	return shown
}

// ownAddresses are this host's, without zones; none if they cannot be told.
func ownAddresses() (ours []netip.Addr) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			ours = append(ours, prefix.Addr().Unmap().WithZone(""))
		}
	}
	return ours
}

// digests are what challenges offer to agents.
func digests(d config.Digest) []digest.Algorithm {
	switch d {
	case config.DigestMD5:
		return []digest.Algorithm{digest.MD5}
	case config.DigestSHA256:
		return []digest.Algorithm{digest.SHA256}
	default:
		return []digest.Algorithm{digest.SHA256, digest.MD5}
	}
}

func receiveLoop(r config.UDPReceive) transport.Loop {
	switch r {
	case config.ReceiveRaw:
		return transport.LoopRaw
	case config.ReceivePortable:
		return transport.LoopPortable
	default:
		return transport.LoopAuto
	}
}

// tlsFiles names the identity of TLS listeners; without one in the configuration it is self-signed.
func (d *daemon) tlsFiles() (transport.TLSFiles, error) {
	t := d.config.SIP.TLS
	files := transport.TLSFiles{
		Certificate: t.Certificate, Key: t.Key, ClientCA: t.ClientCA,
		RequireClient: t.ClientAuth == config.ClientAuthRequired,
		Show:          t.Certificate != "",
	}
	var addresses []net.IP
	for _, l := range d.config.SIP.Listen {
		if l.Transport == config.TLSTransport {
			addresses = append(addresses, l.Addr.Addr().AsSlice())
		}
	}
	if len(addresses) == 0 || files.Certificate != "" {
		return files, nil
	}
	var err error
	files.Certificate, files.Key, err = selfSigned(d.config.Storage.Directory, addresses, time.Now())
	if err == nil {
		d.log.Warn("no sip.tls.certificate: TLS listeners show a self-signed one, which peers that check names refuse")
	}
	return files, err
}
