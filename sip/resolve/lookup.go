package resolve

import (
	"context"
	"time"
)

// found is what one question led to.
type found struct {
	records
	until time.Time // when to ask again
	stale bool
}

// flight is a question being asked; whoever wants the same answer waits for it too.
type flight struct {
	done chan struct{} // closed when err is set and the cache holds the answer
	err  error
}

// lookup answers q from the cache, else from the resolvers, else with the last answer there was. It waits no longer than
// ctx; the question goes on without it, so that its answer is there the next time. The error is ErrUnavailable, ErrChain or ctx's.
func (r *Resolver) lookup(ctx context.Context, q question) (found, error) {
	f, kept, fresh, err := r.begin(q)
	if fresh {
		return kept, err
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		if !kept.until.IsZero() {
			return kept, nil
		}
		return found{}, context.Cause(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.cache.get(q); e != nil && e.holds() {
		return e.found(time.Now()), nil
	}
	return found{}, f.err
}

// begin returns what is kept for q. fresh: that is the answer. Otherwise f is under way, and kept, if anything, is stale.
func (r *Resolver) begin(q question) (f *flight, kept found, fresh bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if e := r.cache.get(q); e != nil {
		waits := now.Before(e.failed)
		switch {
		case e.holds():
			kept = e.found(now)
			if !kept.stale || waits || r.closed {
				return nil, kept, true, nil
			}
		case waits:
			return nil, found{}, true, ErrUnavailable
		}
	}
	if r.closed {
		return nil, kept, true, ErrUnavailable
	}
	f = r.flights[q]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		r.flights[q] = f
		r.running.Go(func() { r.fly(q, f) }) // ends with its answer, after the last try's timeout, or with Close
	}
	return f, kept, false, nil
}

// found is e as an answer.
func (e *entry) found(now time.Time) found {
	if now.Before(e.until) {
		return found{records: e.records, until: e.until}
	}
	return found{records: e.records, until: now.Add(failureRest), stale: true}
}

// fly asks the resolvers and keeps what they say.
func (r *Resolver) fly(q question, f *flight) {
	answer, err := r.ask(q)
	r.mu.Lock()
	now := time.Now()
	if err == nil {
		r.cache.answered(now, q, answer)
	} else {
		r.cache.failed(now, q)
	}
	f.err = err
	delete(r.flights, q)
	r.mu.Unlock()
	close(f.done)
}

// ask follows aliases that lead out of an answer, up to maxChain.
func (r *Resolver) ask(q question) (records, error) {
	ttl := longestTTL
	for at, hop := q, 0; hop <= maxChain; hop++ {
		m, err := r.exchange(at)
		if err != nil {
			return records{}, err
		}
		answer, next, err := interpret(m, at)
		if err != nil {
			return records{}, err
		}
		ttl = min(ttl, answer.ttl)
		if next == "" {
			answer.ttl = ttl
			return answer, nil
		}
		if next == q.name {
			break
		}
		at.name = next
	}
	return records{}, ErrChain
}
