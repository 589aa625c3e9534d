package contract

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"trunkline/internal/peers"
)

var (
	loadConnections = flag.Int("load.connections", 8, "connections of TestLoad; 200 for the long form")
	loadNumbers     = flag.Int("load.numbers", 5, "numbers of each; 50 for the long form")
	loadCPS         = flag.Int("load.cps", 100, "calls per second the carrier takes, and the connections' shared limit")
)

// TestLoad onboards many connections with many numbers in one go: all numbers are verified by calls within what the carrier takes,
// with progress, and the API answers other requests meanwhile.
func TestLoad(t *testing.T) {
	total := *loadConnections * *loadNumbers
	w := newWorld(t, worldOptions{numbers: total + *loadConnections, cps: *loadCPS, config: "trace: {memory: 16MiB}"})
	o := w.org("acme", "owner")

	began := time.Now()
	ids := make([][]int64, *loadConnections)
	each(*loadConnections, 4, func(i int) {
		body := w.manual(sipPassword, w.number())
		config := body["sip_config"].(map[string]any)
		config["register"], config["cps_limit"], config["cps_key"] = false, *loadCPS, "carrier"
		made := o.ask(t, "POST", connectionsPath, with(body, "name", fmt.Sprint("connection ", i), "verification_evidence_id", o.evidence(t, body))).want(t, 201)
		numbers := make([]string, *loadNumbers)
		for n := range numbers {
			numbers[n] = w.number()
		}
		imported := o.ask(t, "POST", fmt.Sprintf("%s/%d/import-numbers", connectionsPath, made.num("id")), map[string]any{"numbers": numbers}).want(t, 201)
		for _, n := range imported.list("") {
			ids[i] = append(ids[i], reply{value: n}.num("id"))
		}
	})
	t.Logf("%d connections tested and created, %d numbers imported in %s", *loadConnections, total, time.Since(began).Round(time.Millisecond))

	time.Sleep(time.Second) // the calls of the first test, of a limit that was not in force yet, count at the carrier for so long
	began = time.Now()
	started := o.ask(t, "POST", numbersPath+"/verify-voip", map[string]any{"numbers": slices.Concat(ids...)}).want(t, 202)
	over := make(chan struct{})
	var client sync.WaitGroup
	var took []time.Duration
	client.Go(func() { // ends with over
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			case <-time.After(5 * time.Millisecond):
			}
			path := []string{connectionsPath + "?limit=20", numbersPath + "?limit=50", fmt.Sprintf("%s/%d", numbersPath, ids[0][0]), "/v1/agents", "/v1/cps-keys"}[i%5]
			asked := time.Now()
			o.ask(t, "GET", path, nil).want(t, 200)
			took = append(took, time.Since(asked))
		}
	})
	progress := 0
	peers.Eventually(t, time.Minute+time.Duration(6*total / *loadCPS)*time.Second, "every number is verified", func() bool {
		p := o.ask(t, "GET", started.header.Get("Location"), nil).want(t, 200)
		if done := int(p.num("done")); done >= progress+1000 {
			progress = done
			t.Logf("%s: %d of %d, %d failed", time.Since(began).Round(time.Second), done, total, p.num("failed"))
		}
		return p.str("state") == "done"
	})
	spent := time.Since(began)
	close(over)
	client.Wait()
	final := o.ask(t, "GET", started.header.Get("Location"), nil)
	equal(t, final.num("failed"), int64(0))
	equal(t, final.num("done"), int64(total))
	active := o.ask(t, "GET", numbersPath+"?status=active", nil).want(t, 200)
	equal(t, len(active.list("")), total)
	if n := w.carrier.Throttled(); n > total/50 { // it counts by when it reads, so that a stall makes a burst of what left evenly
		t.Errorf("%d INVITEs were above the carrier's limit", n)
	}
	slices.Sort(took)
	if len(took) == 0 {
		t.Fatal("no request was answered meanwhile")
	}
	t.Logf("%d numbers verified in %s, %.0f a second; the carrier's busiest second %d of %d; %d other requests meanwhile: p50 %s, p99 %s, slowest %s",
		total, spent.Round(time.Millisecond), float64(total)/spent.Seconds(), w.carrier.Peak(), *loadCPS,
		len(took), took[len(took)/2].Round(10*time.Microsecond), took[len(took)*99/100].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
}

// each calls f for 0 to n-1, some at once.
func each(n, atOnce int, f func(i int)) {
	slots := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	all.Wait()
}
