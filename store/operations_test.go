package store

import (
	"fmt"
	"testing"

	"trunkline/trunks/account"
	"trunkline/trunks/provider"
)

// TestBulkVerification: an operation verifies what is not verified, counts what failed and why, and goes on after a restart where it
// ended, with nothing done twice that was done.
func TestBulkVerification(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	var numbers []string
	for i := range 300 {
		numbers = append(numbers, fmt.Sprintf("+1555000%04d", i))
	}
	imported := w.imported(acme, conn.ID, numbers...)
	for i := range 10 {
		w.prober.sayOf(numbers[i], provider.Fail)
	}
	if _, err := w.service.VerifyNumber(t.Context(), acme, imported[299].ID, nil); err != nil {
		t.Fatal(err)
	}
	w.prober.slow = make(chan struct{})
	op, err := w.service.VerifyNumbers(t.Context(), acme, account.VerifyNumbers{Connection: conn.ID})
	if err != nil || op.Total != 299 || op.State != account.OperationRunning {
		t.Fatalf("%+v %v", op, err)
	}
	progress := func() account.Operation {
		t.Helper()
		op, err := w.service.Operation(t.Context(), acme, op.ID)
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	stop := w.run()
	for range 120 {
		w.prober.slow <- struct{}{}
	}
	waitFor(t, "120 are done", func() bool { return progress().Done >= 120 })
	stop() // those under way are given up, and say nothing about their numbers
	done := progress()
	if done.Done != 120 || done.State != account.OperationRunning {
		t.Errorf("interrupted: %+v", done)
	}
	if n := w.count("SELECT count(*) FROM numbers WHERE verification <> 'unverified'"); n != done.Done+1 {
		t.Errorf("%d numbers have a result, %d items are done", n, done.Done)
	}
	w.db.Close()
	w.open()
	w.prober.slow = nil
	stop = w.run()
	defer stop()
	waitFor(t, "the operation ends", func() bool { return progress().State == account.OperationDone })
	op = progress()
	if op.Done != 299 || op.Failed != 10 || op.FinishedAt == nil {
		t.Errorf("%+v", op)
	}
	failed, err := w.service.OperationItems(t.Context(), acme, op.ID, account.ItemFailed, 100)
	if err != nil || len(failed) != 10 || failed[0].Message != "the call did not come back" {
		t.Errorf("failed: %+v %v", failed, err)
	}
	if n := w.count("SELECT count(*) FROM numbers WHERE verification = 'verified' AND status = 'active'"); n != 290 {
		t.Errorf("%d numbers are verified", n)
	}
	if n := w.count("SELECT count(*) FROM events WHERE type = 'number.verified'"); n != 290 {
		t.Errorf("%d events", n)
	}
}

func TestCancelOperation(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	w.imported(acme, conn.ID, "+15550000001", "+15550000002")
	w.prober.slow = make(chan struct{})
	stop := w.run()
	defer stop()
	op, err := w.service.VerifyNumbers(t.Context(), acme, account.VerifyNumbers{})
	if err != nil {
		t.Fatal(err)
	}
	w.prober.slow <- struct{}{}
	if err := w.service.CancelOperation(t.Context(), acme, op.ID); err != nil {
		t.Fatal(err)
	}
	if op, err = w.service.Operation(t.Context(), acme, op.ID); err != nil || op.State != account.OperationCancelled || op.FinishedAt == nil {
		t.Errorf("%+v %v", op, err)
	}
	if err := w.service.CancelOperation(t.Context(), acme, op.ID); err != nil {
		t.Errorf("again: %v", err)
	}
	// A number that was being verified may be verified again at once.
	w.prober.slow = nil
	waitFor(t, "the number is free", func() bool {
		_, err := w.service.VerifyNumber(t.Context(), acme, 1, nil)
		return err == nil
	})
}

func TestOnlySoManyOperations(t *testing.T) {
	w := newTenancy(t)
	acme := w.org("acme")
	conn := w.connection(acme, "main")
	n := w.imported(acme, conn.ID, "+15550000001")[0]
	var err error
	for range 9 {
		_, err = w.service.VerifyNumbers(t.Context(), acme, account.VerifyNumbers{Numbers: []int64{n.ID, n.ID}})
	}
	if !is[*account.Conflict](err) {
		t.Errorf("the ninth: %v", err)
	}
}
