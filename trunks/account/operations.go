package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	verifyKind        = "verify_numbers"
	operationAtMost   = 100_000 // items
	verifiedTogether  = 64      // numbers of one operation at a time; the pace is that of the trunks' keys
	itemsTogether     = 512     // read at a time
	operationsAtMost  = 8       // unfinished ones of an organization
	troubleBeforeNext = 5 * time.Second
)

// VerifyNumbers begins to verify many numbers. The operation goes on after a restart where it ended.
func (s *Service) VerifyNumbers(ctx context.Context, who Caller, which VerifyNumbers) (Operation, error) {
	if len(which.Numbers) > operationAtMost {
		return Operation{}, invalid("numbers", fmt.Sprintf("has %d numbers", len(which.Numbers)), fmt.Sprintf("up to %d are allowed", operationAtMost))
	}
	var op Operation
	err := s.change(ctx, who, "verifying numbers", func(c *changing) error {
		if err := c.roomForOperation(); err != nil {
			return err
		}
		ids, err := c.toVerify(which)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			return invalid("numbers", "there is nothing to verify", "numbers with a connection that are not verified, or their ids")
		}
		op = Operation{ID: newUUID(), Org: who.Org, User: who.User, Key: who.Key, Kind: verifyKind, State: OperationRunning, Total: len(ids), CreatedAt: c.now, UpdatedAt: c.now}
		if err := c.AddOperation(op, ids); err != nil {
			return err
		}
		return c.happened("operation.created", subject("operation", op.ID), "", op.told())
	})
	if err == nil {
		s.wakeWorker()
	}
	return op, err
}

func (c *changing) roomForOperation() error {
	all, err := c.Operations(c.who.Org)
	if err != nil {
		return err
	}
	running := 0
	for _, op := range all {
		if op.State == OperationRunning {
			running++
		}
	}
	if running >= operationsAtMost {
		return &Conflict{Message: fmt.Sprintf("%d operations are running", running), Fix: "wait for one to end, or cancel it", Count: running}
	}
	return nil
}

// toVerify are the numbers named, or those of a connection that are not verified; without either all of the organization's.
func (c *changing) toVerify(which VerifyNumbers) ([]int64, error) {
	if len(which.Numbers) == 0 {
		if which.Connection != 0 {
			if _, err := c.Connection(c.who.Org, which.Connection); err != nil {
				return nil, missing(err, "connection", which.Connection)
			}
		}
		all, err := c.Numbers(c.who.Org, NumberFilter{Connection: which.Connection})
		var ids []int64
		for _, n := range all {
			if n.SIPCredential != "" && n.Verification != VerifiedOK {
				ids = append(ids, n.ID)
			}
		}
		return ids, err
	}
	var p problems
	var ids []int64
	twice := map[int64]bool{}
	for i, id := range which.Numbers {
		n, err := c.Number(c.who.Org, id)
		switch {
		case errors.Is(err, ErrNone):
			p.add(fmt.Sprintf("numbers[%d]", i), "", "there is no number %d", id)
		case err != nil:
			return nil, err
		case n.SIPCredential == "":
			p.add(fmt.Sprintf("numbers[%d]", i), "import it into a connection", "number %d has no connection", id)
		case !twice[id]:
			twice[id] = true
			ids = append(ids, id)
		}
	}
	return ids, p.err()
}

func (o Operation) told() map[string]any {
	return map[string]any{"id": o.ID, "kind": o.Kind, "state": o.State, "total": o.Total, "done": o.Done, "failed": o.Failed}
}

// Operations lists the organization's, newest first.
func (s *Service) Operations(ctx context.Context, who Caller) (all []Operation, err error) {
	err = s.view(ctx, who, "listing operations", func(r Reader) error { all, err = r.Operations(who.Org); return err })
	return all, err
}

// Operation returns one.
func (s *Service) Operation(ctx context.Context, who Caller, id string) (op Operation, err error) {
	err = s.view(ctx, who, "reading an operation", func(r Reader) error { op, err = r.Operation(who.Org, id); return err })
	return op, missing(err, "operation", id)
}

// OperationItems returns up to limit items of an operation in one state, or in any for the empty one.
func (s *Service) OperationItems(ctx context.Context, who Caller, id string, state ItemState, limit int) (items []OperationItem, err error) {
	err = s.view(ctx, who, "reading an operation", func(r Reader) error {
		if _, err := r.Operation(who.Org, id); err != nil {
			return missing(err, "operation", id)
		}
		items, err = r.OperationItems(id, state, limit)
		return err
	})
	return items, err
}

// CancelOperation ends an operation; what is done stays done. One that has ended stays as it is.
func (s *Service) CancelOperation(ctx context.Context, who Caller, id string) error {
	err := s.change(ctx, who, "cancelling an operation", func(c *changing) error {
		op, err := c.Operation(who.Org, id)
		if err != nil {
			return missing(err, "operation", id)
		}
		if op.State != OperationRunning {
			return nil
		}
		return c.endOperation(&op, OperationCancelled)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	cancel := s.cancelOp[id]
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	return nil
}

func (c *changing) endOperation(op *Operation, state OperationState) error {
	op.State, op.UpdatedAt, op.FinishedAt = state, c.now, &c.now
	if err := c.ChangeOperation(op); err != nil {
		return err
	}
	return c.happened("operation."+string(state), subject("operation", op.ID), "", op.told())
}

func (s *Service) wakeWorker() {
	select {
	case s.working <- struct{}{}:
	default:
	}
}

// work carries unfinished operations on, each in a goroutine of its own, until ctx ends and they have stopped.
func (s *Service) work(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.working:
		case <-retry.C:
		}
		var open []Operation
		err := s.o.Repository.View(ctx, func(r Reader) (err error) { open, err = r.Unfinished(); return err })
		if err != nil {
			if ctx.Err() == nil {
				s.o.Log.Warn("operations cannot be read", "error", err)
			}
			retry.Reset(troubleBeforeNext)
			continue
		}
		for _, op := range open {
			if opCtx, ok := s.take(ctx, op.ID); ok {
				all.Go(func() { // ends with the operation or with ctx
					if err := s.carryOn(opCtx, op); err != nil && ctx.Err() == nil && opCtx.Err() == nil {
						s.o.Log.Warn("operation interrupted, it is taken up again", "operation", op.ID, "error", err)
						time.AfterFunc(troubleBeforeNext, s.wakeWorker)
					}
					s.drop(op.ID)
				})
			}
		}
	}
}

// take makes an operation this goroutine's, once.
func (s *Service) take(ctx context.Context, id string) (context.Context, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancelOp[id] != nil {
		return nil, false
	}
	ctx, s.cancelOp[id] = context.WithCancel(ctx)
	return ctx, true
}

func (s *Service) drop(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancelOp[id]()
	delete(s.cancelOp, id)
}

// carryOn verifies what is waiting, and ends the operation.
func (s *Service) carryOn(ctx context.Context, op Operation) error {
	who := Caller{Org: op.Org, User: op.User, Key: op.Key, Role: Admin} // as when it began
	if s.o.Engine != nil {
		if err := s.o.Engine.Apply(ctx); err != nil {
			return err
		}
	}
	for {
		var items []OperationItem
		err := s.o.Repository.View(ctx, func(r Reader) (err error) {
			items, err = r.OperationItems(op.ID, ItemWaiting, itemsTogether)
			return err
		})
		if err != nil {
			return err
		}
		if len(items) == 0 {
			return s.finish(ctx, who, op.ID)
		}
		if err := s.verifyItems(ctx, who, op.ID, items); err != nil {
			return err
		}
	}
}

func (s *Service) finish(ctx context.Context, who Caller, id string) error {
	return s.update(ctx, who, func(c *changing) error {
		op, err := c.Operation(who.Org, id)
		if err != nil || op.State != OperationRunning {
			return err
		}
		return c.endOperation(&op, OperationDone)
	})
}

// verifyItems verifies some numbers side by side. It returns the first error that is the database's.
func (s *Service) verifyItems(ctx context.Context, who Caller, operation string, items []OperationItem) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, verifiedTogether)
	var all sync.WaitGroup
	for _, item := range items {
		select {
		case <-ctx.Done():
		case slots <- struct{}{}:
			all.Go(func() {
				defer func() { <-slots }()
				if err := s.verifyItem(ctx, who, operation, item); err != nil {
					cancel(err)
				}
			})
		}
	}
	all.Wait()
	return context.Cause(ctx)
}

// verifyItem verifies one number; the item is done in the transaction that keeps the result.
func (s *Service) verifyItem(ctx context.Context, who Caller, operation string, item OperationItem) error {
	done := func(c *changing, passed bool, message string) error {
		op, err := c.Operation(who.Org, operation)
		if err != nil {
			return err
		}
		if op.State != OperationRunning {
			return errCancelled
		}
		item.State, item.Message = ItemPassed, message
		op.Done++
		if !passed {
			item.State = ItemFailed
			op.Failed++
		}
		if err := c.SetOperationItem(operation, item); err != nil {
			return err
		}
		op.UpdatedAt = c.now
		return c.ChangeOperation(&op)
	}
	_, err := s.verify(ctx, who, item.Number, nil, func(c *changing, v Verification) error { return done(c, v.Checks.Passed(), why(v)) })
	if err == nil || errors.Is(err, errCancelled) || ctx.Err() != nil {
		return ctx.Err()
	}
	if unavailable, ok := errors.AsType[*Unavailable](err); ok {
		return unavailable
	}
	if busy, ok := errors.AsType[*Busy](err); ok {
		return wait(ctx, max(busy.RetryAfter, time.Second)) // the item is still waiting, and comes again
	}
	return s.update(ctx, who, func(c *changing) error { return done(c, false, err.Error()) })
}

var errCancelled = errors.New("the operation was cancelled")

// why is the first thing that went wrong, with its fix.
func why(v Verification) string {
	for _, s := range v.Steps {
		if s.Check != "" && !v.Checks.OK(s.Check) && s.Message != "" {
			return sentence("", s.Message, s.Fix)
		}
	}
	return ""
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
