package probe

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"trunkline/sip"
	"trunkline/sip/resolve"
)

// Options of a Prober. Engine is required.
type Options struct {
	Engine    Engine
	Resolver  *resolve.Resolver // for Request.Config; nil: only literal addresses
	Target    string            // number or SIP URI that test calls go to where a Request names none; empty: none
	Rate      float64           // probes begun per second, all together; 0: no limit
	Most      int               // probes in flight; 0: 10,000
	RingLimit time.Duration     // longest a test call is left without a final response; 0: 10 s
	Pause     time.Duration     // least time between two OPTIONS to one server, since some ban who asks oftener; 0: 15 s; negative: none

	// Dial opens the connections on which a stream server is looked at before its first request; nil: as net.Dialer does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Prober runs probes and keeps their guards: one live test call for a number, a
// rate for all, a limit to ringing. Its methods may be called concurrently.
type Prober struct {
	options Options
	guard   guard
	asked   manners
	counts  counts
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	working sync.WaitGroup // goroutines that prepare a probe of Start

	mu     sync.Mutex
	jobs   map[*Running]struct{}
	next   time.Time // when the rate lets the next probe begin
	closed bool
	empty  chan struct{} // closed when the last probe has ended after Close
}

// New returns a Prober.
func New(o Options) *Prober {
	if o.Most == 0 {
		o.Most = 10_000
	}
	if o.RingLimit == 0 {
		o.RingLimit = 10 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = 15 * time.Second
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	p := &Prober{options: o, jobs: map[*Running]struct{}{}, empty: make(chan struct{})}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// mostSteps is more than any probe has.
const mostSteps = 64

// Run probes a trunk and reports when all steps are done, or as soon as ctx ends,
// with what is known by then; what is under way is cancelled and taken back. The
// error is a *RequestError, ErrBusy or ErrClosed, and there is no report then.
func (p *Prober) Run(ctx context.Context, r Request) (Report, error) {
	r, err := r.complete(p.options)
	if err != nil {
		return Report{}, err
	}
	tell := r.Progress
	if tell == nil {
		tell = func(Step) {}
	}
	steps, done := make(chan Step, mostSteps), make(chan Report, 1)
	running, err := p.enter(func(report Report) { done <- report })
	if err != nil {
		return Report{}, err
	}
	found := p.prepare(ctx, &r, tell)
	if !found.ready {
		running.leave()
		return p.counted(p.lookAround(ctx, r, found.report(r), tell)), nil
	}
	running.job = found.job(p, r, func(s Step) { steps <- s })
	running.begin(p)
	defer context.AfterFunc(ctx, func() { running.Stop(context.Cause(ctx)) })()
	var over <-chan time.Time
	gone := ctx.Done()
	for {
		select {
		case s := <-steps:
			tell(s)
		case report := <-done:
			for len(steps) > 0 {
				tell(<-steps)
			}
			return p.counted(p.lookAround(ctx, r, report, tell)), nil
		case <-gone:
			gone, over = nil, time.After(cancelWait+2*r.Timeout+time.Second)
		case <-over: // only an edge that has ended keeps us waiting
			return Report{}, context.Cause(ctx)
		}
	}
}

// Start begins a probe and returns; done is told its report, on a shard or from a
// goroutine of ours, and must not block, as Request.Progress must not. A trunk with
// its addresses over UDP costs no goroutine. The error is as that of Run.
func (p *Prober) Start(r Request, done func(Report)) (*Running, error) {
	r, err := r.complete(p.options)
	if err != nil {
		return nil, err
	}
	tell := r.Progress
	if tell == nil {
		tell = func(Step) {}
	}
	running, err := p.enter(func(report Report) { done(p.counted(report)) })
	if err != nil {
		return nil, err
	}
	if r.simple() {
		found := preparation{home: way{trunk: r.Trunk}, out: way{trunk: r.dialOut()}, started: time.Now().UTC()}
		running.job = found.job(p, r, tell)
		running.begin(p)
		return running, nil
	}
	p.working.Go(func() { // ends with the preparation, which the prober's end ends
		ctx, cancel := context.WithTimeout(p.ctx, prepareLimit)
		defer cancel()
		found := p.prepare(ctx, &r, tell)
		if !found.ready {
			running.leave()
			done(p.counted(found.report(r)))
			return
		}
		running.mu.Lock()
		running.job = found.job(p, r, tell)
		running.mu.Unlock()
		running.begin(p)
	})
	return running, nil
}

// prepareLimit bounds what precedes SIP in a probe of Start.
const prepareLimit = 30 * time.Second

// Running is a probe under way.
type Running struct {
	prober *Prober
	done   func(Report)

	mu      sync.Mutex
	job     *job // nil while it is being prepared
	stopped error
}

// Stop ends the probe early; its report comes as soon as its call is given up and
// its binding taken back.
func (r *Running) Stop(cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped != nil {
		return
	}
	r.stopped = errors.Join(errInterrupted, cause)
	if j := r.job; j != nil {
		j.desk.Post(func(now time.Time) { j.stop(now, cause) })
	}
}

// enter takes a place among the probes in flight.
func (p *Prober) enter(done func(Report)) (*Running, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, ErrClosed
	case len(p.jobs) >= p.options.Most:
		return nil, ErrBusy
	}
	r := &Running{prober: p, done: done}
	p.jobs[r] = struct{}{}
	return r, nil
}

// leave gives the place back.
func (r *Running) leave() {
	p := r.prober
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.jobs, r)
	if p.closed && len(p.jobs) == 0 {
		close(p.empty)
	}
}

// begin hands the job to its desk, when the rate lets it.
func (r *Running) begin(p *Prober) {
	j := r.job
	j.done = func(report Report) {
		r.leave()
		r.done(report)
	}
	at := p.turn()
	j.desk.Post(func(now time.Time) {
		r.mu.Lock()
		stopped := r.stopped
		r.mu.Unlock()
		switch {
		case stopped != nil:
			j.stopped = true
			j.proceed(now)
		case at.After(now):
			j.pass.Ring = j.proceed
			j.waiting = func() { j.desk.Stop(&j.pass) }
			j.begin(now, "", "wait")
			j.desk.Set(&j.pass, at)
		default:
			j.proceed(now)
		}
	})
}

// turn books the next probe's beginning.
func (p *Prober) turn() time.Time {
	if p.options.Rate <= 0 {
		return time.Time{}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.next
	if now := time.Now(); at.Before(now) {
		at = now
	}
	p.next = at.Add(time.Duration(float64(time.Second) / p.options.Rate))
	return at
}

// InFlight returns the number of probes under way.
func (p *Prober) InFlight() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.jobs)
}

// Close stops every probe under way, and waits until their calls are given up and
// their bindings taken back, or ctx ends. Run and Start fail with ErrClosed from
// then on.
func (p *Prober) Close(ctx context.Context) {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	all := slices.Collect(maps.Keys(p.jobs))
	if first && len(all) == 0 {
		close(p.empty)
	}
	p.mu.Unlock()
	p.cancel()
	for _, r := range all {
		r.Stop(ErrClosed)
	}
	select {
	case <-p.empty:
		p.working.Wait()
	case <-ctx.Done():
	}
}

// desk is where a job's waits end; see sip.Desk.
var _ Engine = (*sip.Edge)(nil)
