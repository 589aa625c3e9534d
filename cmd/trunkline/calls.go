package main

import (
	"context"

	"trunkline/sip"
	"trunkline/store"
)

// calls is what HTTP may ask about calls: their records from the store, their messages from the edge.
type calls struct{ d *daemon }

func (c calls) Recent(ctx context.Context, limit int, before int64) ([]store.Stored, error) {
	return c.d.records.Recent(ctx, limit, before)
}

func (c calls) Ladder(ctx context.Context, id string) (string, error) {
	if !c.d.ready.Load() { // the edge may not be there yet
		return "", nil
	}
	messages, err := c.d.edge.Messages(ctx, id)
	if err != nil || len(messages) == 0 {
		return "", err
	}
	return sip.Ladder(messages, sip.NameIn(c.d.edge.Trunks())), nil
}
