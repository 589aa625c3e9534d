package account

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"trunkline/trunks/provider"
)

// Options of a Service. Repository is required; without Providers, Prober or Engine nothing can be tested, and changes come into
// force at the next start: that is enough for commands beside the daemon.
type Options struct {
	Repository Repository
	Providers  Providers
	Prober     Prober
	Engine     Engine

	Us           provider.Line // Addresses and Hosts under which carriers reach us
	Transports   []string      // of our listeners: udp, tcp, tls; empty: all
	AllowPrivate bool          // whether trunks and tests may go to loopback and private networks
	TestLimit    time.Duration // of a test or a verification; 0: 1 m
	Retention    time.Duration // of events and finished operations; 0: 30 days
	Log          *slog.Logger  // nil: nothing is logged
}

// Service does what organizations ask for. Its methods may be called from any goroutine. Run must be running for
// operations to go on and for the time of last use to be noted.
type Service struct {
	o        Options
	used     usedKeys
	events   broadcast
	began    time.Time
	working  chan struct{} // has an element when an operation waits for Run
	mu       sync.Mutex    // guards what follows
	busy     map[int64]struct{}
	cancelOp map[string]context.CancelFunc
}

const (
	testLimit        = time.Minute
	retention        = 30 * 24 * time.Hour
	replayLifetime   = 24 * time.Hour
	housekeeping     = time.Minute
	settleLimit      = 2 * time.Second
	failuresToFailed = 3 // verifications, after which a number that never passed is failed
)

// New returns a Service.
func New(o Options) (*Service, error) {
	if o.Repository == nil {
		return nil, errors.New("account: Repository is required")
	}
	o.TestLimit = cmp.Or(o.TestLimit, testLimit)
	o.Retention = cmp.Or(o.Retention, retention)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o, began: now(), working: make(chan struct{}, 1), busy: map[int64]struct{}{}, cancelOp: map[string]context.CancelFunc{}}, nil
}

// Run works on operations, notes the use of keys and forgets what is old, until ctx ends. It is called once.
func (s *Service) Run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { s.noteUses(ctx) })
	parts.Go(func() { s.forget(ctx) })
	s.work(ctx)
	parts.Wait()
}

// forget deletes what is no longer of use, now and then.
func (s *Service) forget(ctx context.Context) {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		now := time.Now()
		err := s.o.Repository.Update(ctx, func(tx Tx) error {
			return tx.Forget(now.Add(-replayLifetime), now.Add(-s.o.Retention))
		})
		if err != nil && ctx.Err() == nil {
			s.o.Log.Warn("old evidence and events could not be deleted", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// view reads for the caller: any member may.
func (s *Service) view(ctx context.Context, who Caller, doing string, f func(Reader) error) error {
	if err := who.may(Member, doing); err != nil {
		return err
	}
	return s.o.Repository.View(ctx, f)
}

// change is one change by an admin, with its event and audit entry. The engine hears of it after the commit.
func (s *Service) change(ctx context.Context, who Caller, doing string, f func(*changing) error) error {
	if err := who.may(Admin, doing); err != nil {
		return err
	}
	return s.update(ctx, who, f)
}

// update is change without a look at the role.
func (s *Service) update(ctx context.Context, who Caller, f func(*changing) error) error {
	c := &changing{who: who, now: now()}
	if s.o.Engine != nil {
		c.fileSources = fileSources(s.o.Engine.File())
	}
	err := s.o.Repository.Update(ctx, func(tx Tx) error {
		c.Tx, c.told, c.engine = tx, false, false
		return f(c)
	})
	if err != nil {
		return err
	}
	if c.told {
		s.events.wake()
	}
	if c.engine && s.o.Engine != nil {
		s.o.Engine.Changed()
		s.settle(ctx, c)
	}
	return nil
}

// settle waits a little until the change is in force, so that whoever hears that it is made may rely on it. The change stays
// when that takes longer or does not work out: the engine tries again, and says why.
func (s *Service) settle(ctx context.Context, c *changing) {
	if c.hurried {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	if err := s.o.Engine.Apply(ctx); err != nil {
		s.o.Log.Debug("a change is made, and not in force yet", "error", err)
	}
}

// now has the precision that is stored and shown.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// changing is one change under way.
type changing struct {
	Tx
	who    Caller
	now    time.Time
	told   bool // there is an event
	engine bool // the inventory is another

	hurried bool // nobody waits until it is in force

	fileSources []SourceEntry // of what the file manages
}

// happened writes the event and the audit entry of a change of the caller's organization. data must be JSON without secrets;
// detail names fields.
func (c *changing) happened(what, subject, detail string, data any) error {
	return c.happenedTo(c.who.Org, what, subject, detail, data)
}

func (c *changing) happenedTo(org, what, subject, detail string, data any) error {
	body, err := encode(data)
	if err != nil {
		return fmt.Errorf("encode event %s: %w", what, err)
	}
	c.told = true
	if err := c.AddEvent(&Event{Org: org, Type: what, Subject: subject, At: c.now, Data: body}); err != nil {
		return err
	}
	return c.AddAudit(AuditEntry{Org: org, User: c.who.User, Key: c.who.Key, Address: c.who.Address, Request: c.who.Request,
		Action: what, Subject: subject, Detail: detail, At: c.now})
}

// broadcast wakes everybody who waits.
type broadcast struct {
	mu sync.Mutex
	c  chan struct{}
}

func (b *broadcast) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c == nil {
		b.c = make(chan struct{})
	}
	return b.c
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.c != nil {
		close(b.c)
		b.c = nil
	}
}

// newUUID is a random UUID (RFC 9562 §5.4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// missing turns ErrNone into a NotFound.
func missing(err error, what string, id any) error {
	if errors.Is(err, ErrNone) {
		return &NotFound{what, fmt.Sprint(id)}
	}
	return err
}

// unchanged refuses a change of something that is another version by now.
func unchanged(version, wanted int64, what string, id any) error {
	if wanted != 0 && wanted != version {
		return &Changed{what, fmt.Sprint(id)}
	}
	return nil
}

// text checks a string of characters.
func text(p *problems, field, value string, least, most int) {
	n := len([]rune(value))
	allowed := fmt.Sprintf("%d to %d characters", least, most)
	if least == 0 {
		allowed = fmt.Sprintf("up to %d characters", most)
	}
	switch {
	case n < least && n == 0:
		p.add(field, allowed, "is missing")
	case n < least || n > most:
		p.add(field, allowed, "has %d characters", n)
	case slices.ContainsFunc([]rune(value), func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }):
		p.add(field, "printable characters", "holds a control character")
	}
}
