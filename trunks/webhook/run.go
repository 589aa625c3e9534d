package webhook

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"
	"time"

	"trunkline/trunks/account"
)

const (
	receivers    = 16               // webhooks served at a time
	sendersEach  = 8                // attempts under way to one of them
	batchSize    = 32               // deliveries read and settled together
	lookEvery    = 30 * time.Second // for what other processes wrote
	settleLimit  = 5 * time.Second
	longestPause = time.Minute // between looks while the database is in trouble
)

// Run delivers until ctx ends; attempts under way then are cut short and made again later. It is called once.
func (s *Service) Run(ctx context.Context) {
	r := &run{Service: s, ended: make(chan served), busy: map[string]struct{}{}, down: map[string]trouble{}}
	defer r.serving.Wait()
	for {
		wait := r.dispatch(ctx)
		var changed <-chan struct{}
		if s.o.Changed != nil {
			changed = s.o.Changed()
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-s.changed: // a webhook, or a delivery that is made once more
		case done := <-r.ended:
			r.settled(done)
		case <-ctx.Done():
			timer.Stop()
			for len(r.busy) > 0 {
				r.settled(<-r.ended)
			}
			return
		}
		timer.Stop()
	}
}

// run is what Run remembers. One goroutine owns it.
type run struct {
	*Service
	serving  sync.WaitGroup
	ended    chan served
	busy     map[string]struct{} // webhooks that are being served
	down     map[string]trouble  // webhooks in trouble
	failures int                 // of the database, in a row
	counted  time.Time           // when the waiting deliveries were
}

// trouble is how often in a row a webhook was down, and until when it is left alone.
type trouble struct {
	times int
	until time.Time
}

// served is the end of serving one webhook.
type served struct {
	id   string
	down bool // leave it alone for a while
	up   bool // something was delivered
}

// dispatch starts serving webhooks that have something due, and returns how long to wait before looking again.
func (r *run) dispatch(ctx context.Context) time.Duration {
	at := time.Now()
	wait := lookEvery
	except := make([]string, 0, len(r.busy)+len(r.down))
	for id := range r.busy {
		except = append(except, id)
	}
	for id, t := range r.down {
		if left := t.until.Sub(at); left > 0 {
			except = append(except, id)
			wait = min(wait, left)
		}
	}
	free := receivers - len(r.busy)
	if free == 0 {
		return lookEvery // the next end comes first
	}
	due, next, err := r.o.Store.Due(ctx, at, except, free)
	if err != nil {
		if r.failures++; r.failures == 1 && ctx.Err() == nil {
			r.o.Log.Warn("webhook deliveries cannot be read", "error", err)
		}
		return min(time.Second<<min(r.failures, 6), longestPause)
	}
	r.failures = 0
	if !next.IsZero() {
		wait = min(wait, max(0, next.Sub(at)))
	}
	for _, id := range due {
		r.busy[id] = struct{}{}
		r.serving.Go(func() { r.ended <- r.serve(ctx, id) }) // ends with its batch
	}
	if at.Sub(r.counted) >= lookEvery {
		if waiting, err := r.o.Store.CountWaiting(ctx); err == nil {
			r.counted = at
			r.metrics.waits(waiting)
		}
	}
	return wait
}

// settled takes note of the end of serving one webhook.
func (r *run) settled(s served) {
	delete(r.busy, s.id)
	switch {
	case s.down:
		t := trouble{times: r.down[s.id].times + 1}
		t.until = time.Now().Add(rest(t.times))
		r.down[s.id] = t
	case s.up:
		delete(r.down, s.id)
	}
	for id, t := range r.down { // what was left alone for long is forgotten: it may be gone
		if time.Since(t.until) > time.Hour {
			delete(r.down, id)
		}
	}
}

// serve makes one attempt at each delivery of a batch, several at a time, and settles them together.
func (s *Service) serve(ctx context.Context, id string) served {
	end := served{id: id}
	w, secrets, batch, err := s.o.Store.Batch(ctx, id, time.Now(), batchSize)
	if err != nil || len(batch) == 0 {
		if err != nil && ctx.Err() == nil {
			s.o.Log.Warn("webhook deliveries cannot be read", "webhook", id, "error", err)
			end.down = true // not at once again
		}
		return end
	}
	attempts := make([]Attempt, len(batch))
	var sending sync.WaitGroup
	slots := make(chan struct{}, sendersEach)
	for i := range batch {
		slots <- struct{}{}
		sending.Go(func() { // ends with attemptLimit
			defer func() { <-slots }()
			attempts[i] = s.send(ctx, w, secrets, batch[i].Event)
		})
	}
	sending.Wait()
	if ctx.Err() != nil { // what was cut short has not failed: it still waits
		batch, attempts = onlyDelivered(batch, attempts)
	}
	if len(batch) == 0 {
		return end
	}
	at, worked := now(), false
	for i, a := range attempts {
		batch[i] = settle(batch[i], a, at, rand.Float64())
		end.down = end.down || a.Down
		worked = worked || a.Error == ""
		if batch[i].State == Failed {
			s.metrics.gaveUp()
		}
	}
	end.up, end.down = worked, end.down && !worked
	if !s.settleBatch(ctx, w, batch, attempts, at) {
		end.up, end.down = false, true // the same ones are due again: not at once
	}
	return end
}

func onlyDelivered(batch []Delivery, attempts []Attempt) (_ []Delivery, _ []Attempt) {
	var delivered []Delivery
	var done []Attempt
	for i, a := range attempts {
		if a.Error == "" {
			delivered, done = append(delivered, batch[i]), append(done, a)
		}
	}
	return delivered, done
}

// settleBatch stores what became of a batch and reports whether it could.
func (s *Service) settleBatch(ctx context.Context, before Webhook, batch []Delivery, attempts []Attempt, at time.Time) bool {
	after := judge(before, attempts, at)
	var disabled *account.Event
	if before.Enabled && !after.Enabled {
		data, _ := json.Marshal(map[string]string{"reason": after.DisabledReason}) // cannot fail
		disabled = &account.Event{Org: before.Org, Type: "webhook.disabled", Subject: "webhook/" + before.ID, At: at, Data: data}
		s.o.Log.Warn("a webhook was switched off", "webhook", before.ID, "reason", after.DisabledReason)
	}
	// What was delivered is worth noting even while the daemon ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleLimit)
	defer cancel()
	if err := s.o.Store.Settle(ctx, after, batch, disabled); err != nil {
		s.o.Log.Warn("webhook deliveries cannot be noted; they are made again", "webhook", before.ID, "error", err)
		return false
	}
	return true
}
