package sip_test

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"trunkline/config"
	"trunkline/internal/siptest"
	"trunkline/media"
	"trunkline/sip"
	"trunkline/sip/health"
	"trunkline/sip/resolve"
	"trunkline/trunks"
	"trunkline/trunks/pace"
)

var verbose = flag.Bool("edge-log", false, "show the edge's own log in flow tests")

// TestFlow plays every conversation in testdata/flows against a whole edge.
func TestFlow(t *testing.T) {
	siptest.Run(t, "../testdata/flows", newFlowEdge)
}

// flowEdge is an edge on a network in memory.
type flowEdge struct {
	*sip.Edge
	t       *testing.T
	cfg     config.Config
	names   trunks.Names
	relay   *media.Relay
	metrics *prometheus.Registry
	watcher *health.Watcher

	mu      sync.Mutex
	records []siptest.Record
}

func newFlowEdge(t *testing.T, cfg config.Config, net *siptest.Network) siptest.Edge {
	t.Helper()
	snapshot, err := trunks.Build(cfg, net.Names)
	if err != nil {
		t.Fatal(err)
	}
	e := &flowEdge{t: t, cfg: cfg, names: net.Names, metrics: prometheus.NewPedanticRegistry()}
	o := sip.Options{
		Network: net, Shards: net.Shards(), Trunks: snapshot, Records: e, Timers: cfg.SIP.Timers, UserAgent: cfg.SIP.UserAgent,
		Resolver: namesAfter{net.Names}, Trace: 1 << 20, OverloadDelay: cfg.Limits.OverloadDelay.D(), Emergency: cfg.Limits.EmergencyNumbers, ForeignRoute: cfg.SIP.ForeignRoute,
	}
	if cfg.Media.Relay {
		shown := map[netip.Addr]netip.Addr{}
		for _, l := range net.Listeners() {
			shown[l.Addr.Addr()] = netip.MustParseAddrPort(l.SentBy).Addr()
		}
		e.relay, err = media.New(media.Options{Engine: media.EngineNone, Advertise: shown,
			PortLow: int(cfg.Media.Ports.First), PortHigh: int(cfg.Media.Ports.Last), Outlet: net.FromRelay})
		if err != nil {
			t.Fatal(err)
		}
		net.ToRelay = e.relay.Inject
		o.Media = e.relay
	}
	if *verbose {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	net.Dispatch = sip.Dispatch(net.Shards())
	if e.Edge, err = sip.New(o); err != nil {
		t.Fatal(err)
	}
	e.watcher = health.New(e.Edge)
	e.metrics.MustRegister(e.Edge.Collector(), e.watcher, pace.Collector(e.PaceKeys))
	return e
}

// Run serves as the daemon does: trunks with health.interval are watched.
func (e *flowEdge) Run(ctx context.Context) error {
	e.watcher.Apply(e.Trunks())
	defer e.watcher.Close()
	return e.Edge.Run(ctx)
}

// namesAfter answers for the names of a flow, as a name server 20 ms away does.
type namesAfter struct{ names trunks.Names }

func (n namesAfter) Resolve(ctx context.Context, q resolve.Query) (resolve.Answer, error) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
		return resolve.Answer{}, ctx.Err()
	}
	found := n.names[trunks.Host{Name: q.Host, Transport: q.Transport}]
	if len(found) == 0 {
		return resolve.Answer{}, resolve.ErrNotFound
	}
	var a resolve.Answer
	for _, s := range found {
		port := s.Addr.Port()
		if q.Port != 0 {
			port = q.Port
		}
		a.Targets = append(a.Targets, resolve.Target{Addr: netip.AddrPortFrom(s.Addr.Addr(), port), Transport: q.Transport, Priority: s.Priority, Weight: s.Weight, Server: s.Record})
	}
	return a, nil
}

// Record implements sip.Recorder.
func (e *flowEdge) Record(r trunks.CallRecord) {
	out := siptest.Record{
		"outcome": r.Outcome, "ended_by": r.EndedBy, "code": strconv.Itoa(r.Code), "reason": r.Reason,
		"trunk": r.Trunk, "agent": r.Agent, "direction": r.Direction.String(), "caller": r.Caller, "called": r.Called,
		"attempts": strconv.Itoa(r.Attempts), "refusal": r.Refusal.String(),
	}
	if len(r.Tries) > 0 {
		words := make([]string, len(r.Tries))
		for i, try := range r.Tries {
			try.Target = ""
			words[i] = strings.ReplaceAll(try.String(), " ", ":")
		}
		out["tries"] = strings.Join(words, ",")
	}
	span := func(name string, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() {
			out[name] = to.Sub(from).Round(100 * time.Millisecond).String()
		}
	}
	span("ringing", r.Ringing, firstOf(r.Answered, r.Ended))
	span("duration", r.Answered, r.Ended)
	e.mu.Lock()
	e.records = append(e.records, out)
	e.mu.Unlock()
}

func firstOf(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

func (e *flowEdge) Records() []siptest.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.records
}

func (e *flowEdge) Metrics() string {
	families, err := e.metrics.Gather()
	if err != nil {
		e.t.Error(err)
	}
	var text bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			e.t.Error(err)
		}
	}
	return text.String()
}

// Reload implements siptest.Reloader.
func (e *flowEdge) Reload(cfg config.Config) error {
	snapshot, err := e.Trunks().Rebuild(cfg, e.names)
	if err != nil {
		return err
	}
	if err := e.Edge.Reload(snapshot); err != nil {
		return err
	}
	e.watcher.Apply(snapshot)
	return nil
}

// Drain implements siptest.Drainer.
func (e *flowEdge) Drain() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	e.Edge.Drain(ctx)
}
