package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	registrarAddress = "127.0.0.2:15070"
	edgeAddress      = "127.0.0.1:15060"
	httpAddress      = "127.0.0.1:18080"
)

// bench is what all runs share.
type bench struct {
	plan
	dir     string
	binary  string
	modules string   // folder of Kamailio's
	env     []string // of the edge, beside our own
}

// figures are of one run.
type figures struct {
	ready     time.Duration // from the first REGISTER to the last trunk registered
	startCPU  time.Duration // from the process's begin to the same
	start     arrivals
	windowCPU time.Duration
	window    arrivals
	memory    int64 // bytes, at the end of the window
	takenBack int
	stop      time.Duration
}

// measure runs the edge with all trunks, registered for granted; 0: not at all.
func (b *bench) measure(ctx context.Context, granted, window time.Duration) (f figures, err error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return f, err
	}
	registrar, err := b.startKamailio(ctx, dir, granted)
	if err != nil {
		return f, err
	}
	defer registrar.stop()
	edge, err := b.startEdge(ctx, dir, granted > 0)
	if err != nil {
		return f, err
	}
	defer edge.stop()
	limit := 30*time.Second + time.Duration(b.trunks)*20*time.Millisecond
	if err := b.registered(ctx, edge, limit, granted > 0); err != nil {
		return f, err
	}
	ended := time.Now()
	f.startCPU = edge.cpuTime()
	all, err := registrar.registers()
	if err != nil {
		return f, err
	}
	f.start = arrivalsOf(all)
	if len(all) > 0 {
		f.ready = ended.Sub(all[0].at)
	}
	settle := 3 * time.Second
	if granted > 0 && granted < time.Hour {
		settle = granted // until refreshes are as they will be
	}
	if err := pause(ctx, edge, settle); err != nil {
		return f, err
	}
	if all, err = registrar.registers(); err != nil {
		return f, err
	}
	before := edge.cpuTime()
	if err := pause(ctx, edge, window); err != nil {
		return f, err
	}
	f.windowCPU, f.memory = edge.cpuTime()-before, edge.memory()
	later, err := registrar.registers()
	if err != nil {
		return f, err
	}
	f.window = arrivalsOf(later[len(all):])
	begun := time.Now()
	edge.stop()
	f.stop = time.Since(begun)
	last, err := registrar.registers()
	if err != nil {
		return f, err
	}
	for _, r := range last[len(later):] {
		if r.expires == 0 {
			f.takenBack++
		}
	}
	return f, nil
}

// registered waits until every trunk is.
func (b *bench) registered(ctx context.Context, edge *process, limit time.Duration, wanted bool) error {
	for end := time.Now().Add(limit); ; {
		page, err := get("http://" + httpAddress + "/readyz")
		up := err == nil && strings.Contains(page, `"ready"`)
		if up && (!wanted || strings.Contains(page, `"registrations","state":"up"`)) {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not registered after %s: %s %v\n%s", limit, page, err, edge.tail())
		}
		if err := pause(ctx, edge, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits while the edge runs.
func pause(ctx context.Context, edge *process, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-edge.done:
		return errors.New("the edge ended: " + edge.tail())
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// register is one REGISTER as the registrar saw it.
type register struct {
	at      time.Time
	expires int
}

var registerLine = regexp.MustCompile(`came at (\d+)\.(\d{6}) with \d* for (\d+)`)

// registers returns all that came so far.
func (p *process) registers() ([]register, error) {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return nil, err
	}
	var all []register
	for _, match := range registerLine.FindAllSubmatch(text, -1) {
		seconds, _ := strconv.ParseInt(string(match[1]), 10, 64)
		micros, _ := strconv.ParseInt(string(match[2]), 10, 64)
		expires, _ := strconv.Atoi(string(match[3]))
		all = append(all, register{time.Unix(seconds, micros*1000), expires})
	}
	return all, nil
}

// arrivals is how REGISTERs came.
type arrivals struct {
	count   int
	busiest int           // most within one second
	over    time.Duration // from the first to the last
}

func arrivalsOf(all []register) (a arrivals) {
	a.count = len(all)
	if a.count == 0 {
		return a
	}
	a.over = all[len(all)-1].at.Sub(all[0].at)
	for i, j := 0, 0; j < len(all); j++ {
		for all[j].at.Sub(all[i].at) >= time.Second {
			i++
		}
		a.busiest = max(a.busiest, j-i+1)
	}
	return a
}

func (a arrivals) mean() float64 {
	if a.over == 0 {
		return 0
	}
	return float64(a.count) / a.over.Seconds()
}

// startEdge starts the daemon with all trunks.
func (b *bench) startEdge(ctx context.Context, dir string, registering bool) (*process, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "sip: {listen: [\"udp://%s\"]}\nmedia: {relay: false}\ntrace: {memory: 0}\nhttp: {listen: %q}\nstorage: {directory: %q}\nlog: {level: warn}\ntrunks:\n",
		edgeAddress, httpAddress, filepath.Join(dir, "data"))
	for n := range b.trunks {
		fmt.Fprintf(&text, "  - {name: t%d, server: %q, domain: carrier.example, auth_user: u%[1]d, auth_password: secret, register: %[3]t, register_expires: 1h}\n",
			n, registrarAddress, registering)
	}
	file := filepath.Join(dir, "sipgo.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	return spawn(ctx, dir, b.env, b.edgeCPU, "trunkline", b.binary, "serve", "--config", file)
}
