package siptest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/tools/txtar"

	"trunkline/config"
	"trunkline/sip/ladder"
	"trunkline/sip/transport"
)

var update = flag.Bool("update", false, "rewrite the .want parts of flow files from what the edge does")

// Edge is what a flow is played against. The constructor given to Run makes one for each flow.
type Edge interface {
	// Run serves until ctx ends and returns when every goroutine of the edge has.
	Run(ctx context.Context) error
	// Records are the records of the calls that ended, oldest first.
	Records() []Record
	// Metrics is the Prometheus text exposition.
	Metrics() string
}

// Reloader is an Edge that obeys `edge reload PART.yaml`.
type Reloader interface{ Reload(config.Config) error }

// Drainer is an Edge that obeys `edge drain`. Drain must not wait for the calls in progress.
type Drainer interface{ Drain() }

// Record is a call record as words: outcome, ended_by, code, trunk … Durations are rounded as a reader expects them: ringing=5s.
type Record map[string]string

// Constructor makes the edge of one flow, from its configuration and on its network, inside the flow's synctest bubble.
type Constructor func(t *testing.T, cfg config.Config, net *Network) Edge

// Run plays every flow file (*.txtar) in a folder, each as a subtest with its name, in a synctest bubble of its own.
func Run(t *testing.T, folder string, build Constructor) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatalf("no flow files in %s", folder)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			f, err := readFlow(path)
			if err != nil {
				t.Fatal(err)
			}
			play(t, f, build)
		})
	}
}

// play runs one flow and rewrites its file if asked to.
func play(t *testing.T, f *flow, build Constructor) {
	cfg, err := f.config(t, "sipgo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s, err := newScript(t, f, cfg)
		if err != nil {
			t.Fatal(err)
		}
		s.update = *update
		err = s.run(build)
		if err != nil || testing.Verbose() {
			t.Logf("\n%s", ladder.Text(s.net.Messages(), ladder.Options{Columns: s.columns()}))
		}
		if err != nil {
			t.Fatal(err)
		}
		if s.changed {
			if err := os.WriteFile(f.path, txtar.Format(f.archive), 0o644); err != nil {
				t.Fatal(err)
			}
			t.Logf("rewrote %s", f.path)
		}
	})
}

var errFlowEnded = errors.New("the flow has ended")

// run builds the edge, plays the flow and stops the edge.
func (s *script) run(build Constructor) error {
	s.edge = build(s.t, s.config, s.net)
	ctx, stop := context.WithCancelCause(context.Background())
	ended := make(chan error, 1)
	go func() {
		err := s.edge.Run(ctx)
		stop(fmt.Errorf("Run returned: %w", errors.Join(err, errFlowEnded)))
		ended <- err
	}()
	err := s.play(ctx)
	stop(errFlowEnded)
	for _, p := range s.net.ports {
		p.Wake()
	}
	runErr := <-ended
	s.net.Close()
	if err == nil && runErr != nil && !errors.Is(runErr, context.Canceled) {
		err = fmt.Errorf("Run: %w", runErr)
	}
	return err
}

// Addresses of the default configuration.
const defaultSIP = `sip: {listen: ["udp://192.0.2.1:5060", "tcp://192.0.2.1:5060"]}
`

const defaultConfig = `media: {relay: false}
trunks:
  - {name: carrier, server: "192.0.2.20:5060", source_addresses: [192.0.2.20]}
agents:
  - {name: app, destinations: [{uri: "sip:192.0.2.30:5080"}], source_addresses: [192.0.2.30]}
numbers:
  - {number: "+15550001234", trunk: carrier, inbound_agent: app, outbound_agent: app}
`

// config loads a part of the file as configuration. A part without a sip section gets the listeners of every flow; the
// part sipgo.yaml may be absent: then the flow has one trunk, carrier, one agent, app, and one number.
func (f *flow) config(t *testing.T, part string) (config.Config, error) {
	data, ok := f.part(part)
	text := string(data)
	switch {
	case !ok && part == "sipgo.yaml":
		text = defaultConfig
	case !ok:
		return config.Config{}, fmt.Errorf("%s: there is no part %s", f.path, part)
	}
	if !strings.HasPrefix(text, "sip:") && !strings.Contains(text, "\nsip:") {
		text += defaultSIP
	}
	path := filepath.Join(t.TempDir(), "sipgo.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return config.Config{}, err
	}
	c, err := config.Load(path, nil)
	if err != nil {
		return c, fmt.Errorf("%s: %s: %w", f.path, part, err)
	}
	return c, nil
}

// newScript makes network and parties of a flow.
func newScript(t *testing.T, f *flow, cfg config.Config) (*script, error) {
	s := &script{t: t, flow: f, config: cfg, parties: map[string]*party{}, vars: map[string]string{}}
	s.loaded = func(part string) (config.Config, error) { return f.config(t, part) }
	listeners, err := listenersOf(cfg)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	s.net = NewNetwork(NetworkOptions{Listeners: listeners, Shards: max(cfg.SIP.Shards, 1)})
	s.net.Names = f.names
	if err := s.partiesOf(cfg); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	for _, p := range f.parties {
		addr, err := netip.ParseAddrPort(p.addr)
		if err != nil {
			return nil, f.errAt(p.line, "%v", err)
		}
		proto := transport.UDP
		if p.proto != "" {
			if proto, err = parseProto(p.proto); err != nil {
				return nil, f.errAt(p.line, "%v", err)
			}
		}
		if err := s.addParty(p.name, p.name, proto, addr); err != nil {
			return nil, f.errAt(p.line, "%v", err)
		}
	}
	return s, nil
}

// listenersOf are the edge's listeners as the real network would show them.
func listenersOf(cfg config.Config) ([]transport.Listener, error) {
	var listeners []transport.Listener
	for _, l := range cfg.SIP.Listen {
		proto, err := parseProto(string(l.Transport))
		if err != nil {
			return nil, err
		}
		if l.Addr.Addr().IsUnspecified() {
			return nil, fmt.Errorf("%s: flows need listeners with an address", l)
		}
		shown := l.Addr.Addr()
		if public := l.Public; public.IsValid() {
			shown = public
		} else if public := cfg.SIP.PublicAddress; public.IsValid() && public.Is4() == shown.Is4() {
			shown = public
		}
		listeners = append(listeners, transport.Listener{Proto: proto, Addr: l.Addr, Local: l.Addr, SentBy: netip.AddrPortFrom(shown, l.Addr.Port()).String()})
	}
	if len(listeners) == 0 {
		return nil, errors.New("the edge listens nowhere")
	}
	return listeners, nil
}

// partiesOf makes a party of each trunk, at its server, and of each agent, at its first destination.
func (s *script) partiesOf(cfg config.Config) error {
	numbers := map[string]string{}
	for _, n := range cfg.Numbers {
		if n.OutboundAgent != "" && numbers[n.OutboundAgent] == "" {
			numbers[n.OutboundAgent] = n.Number
		}
	}
	for _, a := range cfg.Agents {
		if len(a.Destinations) == 0 {
			continue
		}
		user := numbers[a.Name]
		if user == "" {
			user = a.Name
		}
		d := a.Destinations[0].URI
		if err := s.addConfigured(a.Name, user, d.Transport, d.Host, d.Port); err != nil {
			return err
		}
	}
	for i, k := range cfg.Trunks {
		user := fmt.Sprintf("+1415555019%d", 9-i%10)
		if err := s.addConfigured(k.Name, user, k.Transport, k.Server.Host, k.Server.Port); err != nil {
			return err
		}
	}
	return nil
}

func (s *script) addConfigured(name, user string, t config.Transport, host string, port uint16) error {
	proto, err := parseProto(string(t))
	if err != nil {
		return err
	}
	if at, ok := s.flow.addrOf(host, t); ok && port == 0 {
		return s.addParty(name, user, proto, at)
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return fmt.Errorf("party %s: name its host in the part names, or give an address: %w", name, err)
	}
	if port == 0 {
		port = 5060
	}
	return s.addParty(name, user, proto, netip.AddrPortFrom(ip, port))
}

// columns puts the edge between those who stand left of it and the others.
func (s *script) columns() []string {
	if len(s.names) == 0 {
		return []string{"edge"}
	}
	return append([]string{s.names[0], "edge"}, s.names[1:]...)
}
