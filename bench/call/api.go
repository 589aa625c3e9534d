package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// besideAPI measures calls while clients of the admin API ask for lists and test credentials as fast as they are answered. The
// clients alone cost something too; what is left after that is taken away is what they do to a call.
func (b *bench) besideAPI(ctx context.Context, systems []system) error {
	i := slices.IndexFunc(systems, func(s system) bool { return s.name == "trunkline" })
	if i < 0 {
		return errors.New("the API is the edge's")
	}
	return b.up(ctx, systems[i], func(under *process) error {
		key, err := b.firstKey(ctx)
		if err != nil {
			return err
		}
		if _, err := b.drive(ctx, load{rate: b.rate, calls: 2 * b.rate, hold: 100 * time.Millisecond}); err != nil {
			return err
		}
		fmt.Printf("| round | calls alone µs/call | beside the API µs/call | ratio | calls good | API requests/s | µs/request alone | API p50 / p99 ms |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n")
		for round := range b.rounds {
			alone, err := b.cost(ctx, under, b.rate, b.steady)
			if err != nil {
				return err
			}
			idle, spent := hammer(ctx, under, key, func() error { return sleep(ctx, b.steady/2) })
			if idle.err != nil {
				return idle.err
			}
			perRequest := spent.Seconds() * 1e6 / float64(idle.requests)
			var beside cost
			busy, spent := hammer(ctx, under, key, func() (err error) {
				beside, err = b.cost(ctx, under, b.rate, b.steady)
				return err
			})
			if busy.err != nil {
				return busy.err
			}
			left := (spent.Seconds()*1e6 - perRequest*float64(busy.requests)) / float64(beside.outcome.calls)
			fmt.Printf("| %d | %.1f | %.1f | %.2f | %d of %d | %.0f | %.0f | %.1f / %.1f |\n", round+1, alone.microseconds, left, left/alone.microseconds,
				beside.outcome.good, beside.outcome.calls, float64(busy.requests)/b.steady.Seconds(), perRequest, millis(busy.delays, 50), millis(busy.delays, 99))
			if !beside.outcome.clean() {
				return fmt.Errorf("%d of %d calls beside the API were good", beside.outcome.good, beside.outcome.calls)
			}
		}
		return nil
	})
}

// firstKey makes an organization with a key.
func (b *bench) firstKey(ctx context.Context) (string, error) {
	binary := b.edge
	if binary == "" {
		binary = filepath.Join(b.dir, "trunkline")
	}
	out, err := exec.CommandContext(ctx, binary, "key", "create", "--name", "bench", "--config", filepath.Join(b.dir, "sipgo.yaml")).Output()
	if err != nil {
		return "", fmt.Errorf("key create: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// hammered is what clients of the API saw.
type hammered struct {
	requests int
	delays   []time.Duration // sorted
	err      error
}

// What the clients ask: lists, again and again, and tests of credentials that lead nowhere, a few at a time since each takes its time.
const (
	listers = 4
	testers = 2
)

// hammer runs clients while play does, and returns what they saw and the CPU time that the edge spent meanwhile.
func hammer(ctx context.Context, under *process, key string, play func() error) (h hammered, spent time.Duration) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: listers + testers}}
	defer client.CloseIdleConnections()
	var mu sync.Mutex
	ask := func(method, path, body string, want int) {
		start := time.Now()
		err := request(ctx, client, key, method, path, body, want)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case ctx.Err() != nil:
		case err != nil:
			h.err = errors.Join(h.err, err)
		default:
			h.requests++
			h.delays = append(h.delays, time.Since(start))
		}
	}
	var clients sync.WaitGroup
	before := under.cpuTime()
	for i := range listers {
		clients.Go(func() {
			paths := []string{"/v1/voip-connections", "/v1/phone-numbers", "/v1/agents", "/v1/cps-keys", "/api/v1/sip-credentials"}
			for n := i; ctx.Err() == nil; n++ {
				ask(http.MethodGet, paths[n%len(paths)], "", http.StatusOK)
				_ = sleep(ctx, 10*time.Millisecond)
			}
		})
	}
	for range testers {
		clients.Go(func() {
			for ctx.Err() == nil {
				ask(http.MethodPost, "/v1/voip-connections/test", `{"provider": "manual", "credentials": {"username": "bench", "password": "bench"}, "sip_config": {"server": "`+
					calleeAddress+`", "test_number": "+15550009999"}}`, http.StatusOK)
				_ = sleep(ctx, 100*time.Millisecond)
			}
		})
	}
	err := play()
	stop()
	clients.Wait()
	spent = under.cpuTime() - before
	h.err = errors.Join(h.err, err)
	if h.err == nil && h.requests == 0 {
		h.err = errors.New("the API answered nothing")
	}
	slices.Sort(h.delays)
	return h, spent
}

func request(ctx context.Context, client *http.Client, key, method, path, body string, want int) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+httpAddress+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != want {
		err = fmt.Errorf("%s %s: %d, want %d: %.300s", method, path, response.StatusCode, want, text)
	}
	return err
}

// sleep waits, or less if ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func millis(sorted []time.Duration, percent int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[len(sorted)*percent/100]) / float64(time.Millisecond)
}
