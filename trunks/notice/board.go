package notice

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/trunks"
	"trunkline/trunks/account"
)

// Owners say whose a trunk or an agent is: names in the engine to organizations. They do not change once given.
type Owners struct{ Trunks, Agents map[string]string }

// Look is the state of the edge at one time.
type Look struct {
	Registrations []Condition
	Health        []Condition // of trunks that are watched
	Paces         []Pace
}

// Condition is how one trunk is in one respect.
type Condition struct {
	Trunk string // its name in the engine
	State string // a word; another word is a change
	Cause string
}

// Pace is what a key has done so far.
type Pace struct {
	Key              string // its name in the engine
	Trunks           []string
	Limit            float64 // calls per second
	Delayed, Refused uint64  // calls, since the start
}

// Drift is a check of a trunk, or of one of its numbers, that came to another verdict for good.
type Drift struct {
	Trunk              string // its name in the engine
	Number             string // empty: of the trunk
	Check, Was, Now    string
	Code, Message, Fix string // of the verdict now
}

// Options of a Board. Write and Look are required.
type Options struct {
	Write   func(ctx context.Context, events []account.Event) error // all of them or none
	Look    func() Look
	Queue   int          // events that may wait for the disk; 0: 10,000
	Metrics *Metrics     // nil: nothing is counted
	Log     *slog.Logger // nil: nothing is logged
}

// Board collects. CallEnded, Drifted and Belong may be called from any goroutine.
type Board struct {
	o      Options
	owners atomic.Pointer[Owners]

	mu      sync.Mutex // guards what follows
	waiting []account.Event
	dropped uint64
}

const (
	usualQueue = 10_000
	lookEvery  = time.Second
	writeEvery = 250 * time.Millisecond
	together   = 500 // events of one transaction
	flushLimit = 2 * time.Second
	longestTry = time.Minute // between tries while the disk refuses
)

// New returns a Board.
func New(o Options) (*Board, error) {
	if o.Write == nil || o.Look == nil {
		return nil, errors.New("notice: Write and Look are required")
	}
	if o.Queue <= 0 {
		o.Queue = usualQueue
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b := &Board{o: o}
	b.owners.Store(&Owners{})
	return b, nil
}

// Belong says whose everything is from now on.
func (b *Board) Belong(o Owners) { b.owners.Store(&o) }

// CallEnded takes note of a call. It does not wait, and costs a look into a map when the call is nobody's.
func (b *Board) CallEnded(r *trunks.CallRecord) {
	owners := b.owners.Load()
	org := owners.Trunks[r.Trunk]
	if org == "" {
		org = owners.Agents[r.Agent]
	}
	if org == "" {
		return
	}
	b.put(callEnded(org, r))
}

// Drifted takes note of a check. It does not wait.
func (b *Board) Drifted(d Drift) {
	if org := b.owners.Load().Trunks[d.Trunk]; org != "" {
		b.put(checkChanged(org, d, time.Now()))
	}
}

// put queues events; those that do not fit are dropped.
func (b *Board) put(events ...account.Event) {
	b.mu.Lock()
	room := max(0, b.o.Queue-len(b.waiting))
	fit := min(room, len(events))
	b.waiting = append(b.waiting, events[:fit]...)
	lost := len(events) - fit
	first := lost > 0 && b.dropped == 0
	b.dropped += uint64(lost)
	b.mu.Unlock()
	if lost > 0 {
		b.o.Metrics.dropped(lost)
	}
	if first {
		b.o.Log.Warn("events were dropped: more happens than can be written", "queue", b.o.Queue)
	}
}

// Run looks and writes until ctx ends, and then writes once more what is there. It is called once.
func (b *Board) Run(ctx context.Context) {
	look, write := time.NewTicker(lookEvery), time.NewTicker(writeEvery)
	defer look.Stop()
	defer write.Stop()
	var seen memory
	var again time.Time
	failures := 0
	for {
		select {
		case now := <-look.C:
			b.put(seen.compare(now, b.o.Look(), *b.owners.Load())...)
		case now := <-write.C:
			if now.Before(again) {
				continue
			}
			if err := b.write(ctx); err != nil {
				failures++
				again = now.Add(min(time.Second<<min(failures, 10), longestTry))
				continue
			}
			failures = 0
		case <-ctx.Done():
			return
		}
	}
}

// Flush writes what is left after Run, when no more calls end.
func (b *Board) Flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	if err := b.write(ctx); err != nil {
		b.mu.Lock()
		left := len(b.waiting)
		b.mu.Unlock()
		b.o.Metrics.dropped(left)
	}
}

// write writes everything that waits. What cannot be written stays.
func (b *Board) write(ctx context.Context) error {
	for {
		b.mu.Lock()
		batch := b.waiting[:min(len(b.waiting), together)]
		b.mu.Unlock()
		if len(batch) == 0 {
			return nil
		}
		if err := b.o.Write(ctx, batch); err != nil {
			if ctx.Err() == nil {
				b.o.Log.Warn("events cannot be written", "error", err)
			}
			return err
		}
		b.mu.Lock()
		left := copy(b.waiting, b.waiting[len(batch):])
		clear(b.waiting[left:])
		b.waiting = b.waiting[:left]
		b.mu.Unlock()
	}
}
