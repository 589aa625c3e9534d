package account

import (
	"context"
	"errors"
	"fmt"
)

const (
	usualLimit   = 100
	largestLimit = 1000
)

// Events returns what happened, oldest first. A reader that knows the last id it saw misses nothing that is still kept.
func (s *Service) Events(ctx context.Context, who Caller, f EventFilter) (all []Event, err error) {
	if f.Limit, err = limit(f.Limit); err != nil {
		return nil, err
	}
	err = s.view(ctx, who, "reading events", func(r Reader) error { all, err = r.Events(who.Org, f); return err })
	return all, err
}

// EventsChanged returns a channel that closes when there are events after those that can be read now. Take it before
// reading. What another process writes, as the command line does, closes nothing.
func (s *Service) EventsChanged() <-chan struct{} { return s.events.next() }

// Audit returns who changed what, newest first.
func (s *Service) Audit(ctx context.Context, who Caller, f AuditFilter) (all []AuditEntry, err error) {
	if err := who.may(Admin, "reading the audit log"); err != nil {
		return nil, err
	}
	if f.Limit, err = limit(f.Limit); err != nil {
		return nil, err
	}
	err = s.o.Repository.View(ctx, func(r Reader) error { all, err = r.Audit(who.Org, f); return err })
	return all, err
}

func limit(n int) (int, error) {
	switch {
	case n == 0:
		return usualLimit, nil
	case n < 0 || n > largestLimit:
		return 0, invalid("limit", fmt.Sprintf("%d is out of range", n), fmt.Sprintf("1 to %d", largestLimit))
	}
	return n, nil
}

// Note records what the engine noticed, as calls that ended, of any organizations, in one transaction. Of the types in kept no more
// events than so many are kept, the newest ones: what calls leave behind would fill the disk. Things of an organization that is
// gone are left out.
func (s *Service) Note(ctx context.Context, events []Event, kept map[string]int64) error {
	return s.update(ctx, Caller{}, func(c *changing) error {
		there := map[string]bool{}
		for _, e := range events {
			known, asked := there[e.Org]
			if !asked {
				_, err := c.Organization(e.Org)
				if known = err == nil; err != nil && !errors.Is(err, ErrNone) {
					return err
				}
				there[e.Org] = known
			}
			if !known {
				continue
			}
			if err := c.AddEvent(&e); err != nil {
				return err
			}
			c.told = true
		}
		for what, n := range kept {
			if err := c.TrimEvents(what, n, 2*len(events)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Begin notes that a request under an Idempotency-Key is under way. It returns the answer of an earlier one, or nil when
// the request is to be done. A key of another request, or of one that is under way, is a Conflict.
func (s *Service) Begin(ctx context.Context, who Caller, key string, digest [32]byte) (answer *Replay, err error) {
	var p problems
	if text(&p, "Idempotency-Key", key, 1, 128); len(p) > 0 {
		return nil, p.err()
	}
	err = s.update(ctx, who, func(c *changing) error {
		answer = nil
		before, err := c.Replay(who.Org, key)
		switch {
		case errors.Is(err, ErrNone):
			return c.AddReplay(Replay{Org: who.Org, Key: key, Digest: digest, CreatedAt: c.now})
		case err != nil:
			return err
		case before.Digest != digest:
			return &Conflict{Field: "Idempotency-Key", Message: "was used for another request", Fix: "use a new key for a new request"}
		case before.Status == 0 && before.CreatedAt.After(s.began):
			return &Conflict{Field: "Idempotency-Key", Message: "the request with this key is under way", Fix: "wait for its answer, then send it again"}
		case before.Status == 0: // the process ended before its answer; what it did is not known, so it is done again
			return nil
		}
		answer = &before
		return nil
	})
	return answer, err
}

// Finish keeps the answer of a request that Begin let through.
func (s *Service) Finish(ctx context.Context, who Caller, key string, status int, body []byte) error {
	return s.update(ctx, who, func(c *changing) error {
		return c.Tx.FinishReplay(Replay{Org: who.Org, Key: key, Status: status, Body: body})
	})
}

// Forget lets a request that came to nothing, as one that was refused with 5xx, be sent again.
func (s *Service) Forget(ctx context.Context, who Caller, key string) error {
	return s.update(ctx, who, func(c *changing) error { return c.RemoveReplay(who.Org, key) })
}
