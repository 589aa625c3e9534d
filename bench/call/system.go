package main

import (
	"context"
	"embed"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

//go:embed scenarios
var scenarios embed.FS

// Loopback addresses of the three parties. The caller is the carrier's side, the callee the agent's.
const (
	testAddress   = "127.0.0.1:5560"
	callerAddress = "127.0.0.2:5570"
	probeAddress  = "127.0.0.2:5572"
	calleeAddress = "127.0.0.3:5580"
	httpAddress   = "127.0.0.1:5590"
	calledNumber  = "+15550001234"
)

// system is one thing to measure: a program that takes calls on testAddress and passes them to calleeAddress.
type system struct {
	name  string
	start func(ctx context.Context) (*process, error) // returns when calls are taken
}

type bench struct {
	plan
	dir      string
	share    *quota // of the edge's CPU; nil: all of it
	counters bool   // hardware counters work here
}

func (b *bench) writeScenarios() error {
	for _, name := range []string{"caller.xml", "callee.xml"} {
		text, err := scenarios.ReadFile("scenarios/" + name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	if _, err := exec.LookPath("sipp"); err != nil {
		return &absentError{"sipp"}
	}
	return nil
}

// kamailio is Debian's, as a stateful proxy with record-route. Its packaged default allocator is four times slower than
// tlsf and would flatter us; above 6000 CPS it needs more than 1 GiB of shared memory.
func (b *bench) kamailio(context.Context) (system, error) {
	if _, err := exec.LookPath("kamailio"); err != nil {
		return system{}, &absentError{"kamailio"}
	}
	modules, err := filepath.Glob("/usr/lib/*/kamailio/modules/tm.so")
	if err != nil || len(modules) == 0 {
		return system{}, &absentError{"kamailio's module folder"}
	}
	text, err := scenarios.ReadFile("scenarios/kamailio.cfg")
	if err != nil {
		return system{}, err
	}
	filled := strings.NewReplacer("LISTEN", testAddress, "CALLEE", calleeAddress, "MODULES", filepath.Dir(modules[0])).Replace(string(text))
	config := filepath.Join(b.dir, "kamailio.cfg")
	if err := os.WriteFile(config, []byte(filled), 0o600); err != nil {
		return system{}, err
	}
	return system{name: "kamailio", start: func(ctx context.Context) (*process, error) {
		p, err := b.spawn(ctx, b.testCPU, "kamailio", "kamailio", "-f", config, "-DD", "-E",
			"-x", "tlsf", "-X", "tlsf", "-m", "2048", "-Y", b.dir, "-w", b.dir)
		if err != nil {
			return nil, err
		}
		if err := waitListening(ctx, p, testAddress); err != nil {
			p.stop()
			return nil, err
		}
		return p, nil
	}}, nil
}

// trunkline is the edge of this tree with records, metrics and policy on, as in production.
func (b *bench) trunkline(ctx context.Context) (system, error) {
	binary := b.edge
	if binary == "" {
		binary = filepath.Join(b.dir, "trunkline")
		progress("building the edge")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "osusergo netgo sqlite_omit_load_extension", "-o", binary, "trunkline/cmd/trunkline")
		if out, err := build.CombinedOutput(); err != nil {
			return system{}, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	config := filepath.Join(b.dir, "sipgo.yaml")
	text := fmt.Sprintf(`sip:
  listen: ["udp://%s"]
media:
  relay: %t
http:
  listen: %s
  rate_limit: 0
probe:
  allow_private_targets: true
limits:
  source_rate: 1000000 # all calls come from one address
storage:
  directory: %s
trunks:
  - name: carrier
    server: %s
    source_addresses: [127.0.0.2]
agents:
  - name: app
    destinations: [{uri: "sip:%s;transport=udp", priority: 1, weight: 1}]
    source_addresses: [127.0.0.3]
numbers:
  - {number: "%s", trunk: carrier, inbound_agent: app, outbound_agent: app}
`, testAddress, b.relay, httpAddress, filepath.Join(b.dir, "data"), callerAddress, calleeAddress, calledNumber)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return system{}, err
	}
	return system{name: "trunkline", start: func(ctx context.Context) (*process, error) {
		// Each start is on a fresh store, so that runs are alike.
		if err := os.RemoveAll(filepath.Join(b.dir, "data")); err != nil {
			return nil, err
		}
		p, err := b.spawn(ctx, b.testCPU, "trunkline", binary, "serve", "--config", config)
		if err != nil {
			return nil, err
		}
		if b.share != nil {
			if err := b.share.take(p.pid); err != nil {
				p.stop()
				return nil, err
			}
		}
		if err := waitReady(ctx, p, "http://"+httpAddress+"/readyz"); err != nil {
			p.stop()
			return nil, err
		}
		return p, nil
	}}, nil
}

// waitListening waits until a UDP socket is bound to address, for five seconds at most.
func waitListening(ctx context.Context, p *process, address string) error {
	return waitFor(ctx, p, 5*time.Second, func() bool { return udpBound(address) })
}

// waitReady waits until url answers 200, for ten seconds at most.
func waitReady(ctx context.Context, p *process, url string) error {
	client := &http.Client{Timeout: time.Second}
	return waitFor(ctx, p, 10*time.Second, func() bool {
		response, err := client.Get(url)
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

func waitFor(ctx context.Context, p *process, limit time.Duration, ready func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %s", p.tail())
		case <-ctx.Done():
			return fmt.Errorf("not up after %s: %s", limit, p.tail())
		case <-tick.C:
		}
	}
	return nil
}

func machine() string {
	model := "unknown CPU"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s", runtime.NumCPU(), model, runtime.Version())
}
