package store

import (
	"fmt"
	"testing"

	"trunkline/trunks"
	"trunkline/trunks/account"
)

// BenchmarkInventory is what one coming into force costs with 200 connections of 50 active numbers each: reading, opening the
// secrets, joining and building.
func BenchmarkInventory(b *testing.B) {
	w := newTenancy(b)
	acme, err := w.service.Authenticate(b.Context(), firstKey(w), "")
	if err != nil {
		b.Fatal(err)
	}
	for i := range 200 {
		conn := w.connection(acme, fmt.Sprint("connection ", i))
		var numbers []string
		for j := range 50 {
			numbers = append(numbers, fmt.Sprintf("+1555%07d", i*50+j))
		}
		w.at.numbers = nil
		w.imported(acme, conn.ID, numbers...)
	}
	if _, err := w.db.writer.Exec("UPDATE numbers SET status = 'active', verification = 'verified'"); err != nil {
		b.Fatal(err)
	}
	snapshot := new(trunks.Snapshot)
	b.ReportAllocs()
	for b.Loop() {
		err := w.db.View(b.Context(), func(r account.Reader) error {
			v, err := r.Inventory()
			if err != nil {
				return err
			}
			joined, err := v.Join(w.engine.File())
			if err != nil {
				return err
			}
			snapshot, err = snapshot.Rebuild(joined, nil)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if len(snapshot.Numbers) != 10_000 {
		b.Fatalf("%d numbers", len(snapshot.Numbers))
	}
}

func firstKey(w *tenancy) account.Secret {
	_, raw, err := w.service.Bootstrap(w.t.Context(), account.Bootstrap{Organization: "acme", User: "owner"})
	if err != nil {
		w.t.Fatal(err)
	}
	return raw
}
