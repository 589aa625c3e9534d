package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"trunkline/internal/carrier"
)

const (
	demoRate    = 5  // calls per second of the demo's trunk
	demoInBurst = 10 // calls placed at once
)

// burst places calls all at once on a trunk that may have so many a second: they go out in their turn, and all are answered.
func (d *demonstration) burst(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	before := len(d.carrier.Calls())
	started := time.Now()
	failed := make([]error, demoInBurst)
	var calling sync.WaitGroup
	for i := range demoInBurst {
		calling.Go(func() { failed[i] = d.shortCall(ctx) }) // ends with its call
	}
	calling.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	arrived := d.carrier.Calls()[before:]
	if len(arrived) != demoInBurst {
		return fmt.Errorf("%d calls arrived, not %d", len(arrived), demoInBurst)
	}
	for _, call := range arrived {
		d.line("%5d ms  INVITE from %s", call.Start.Sub(started).Milliseconds(), call.From)
	}
	text, err := d.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	peak, delayed := "", ""
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, `trunkline_cps_peak{cps_key="connection:1"} `); ok {
			peak = strings.TrimSpace(value)
		}
		if value, ok := strings.CutPrefix(line, `trunkline_cps_requests_total{cps_key="connection:1",decision="delayed"} `); ok {
			delayed = strings.TrimSpace(value)
		}
	}
	if most, err := strconv.Atoi(peak); err != nil || most > demoRate { // fewer, where the machine is busy elsewhere
		return fmt.Errorf("%q calls in the busiest second, at a limit of %d", peak, demoRate)
	}
	d.saw("%d calls placed at once, all answered; %s went out in the busiest second, %s waited for their turn", demoInBurst, peak, delayed)
	return nil
}

// shortCall calls and hangs up when it is answered.
func (d *demonstration) shortCall(ctx context.Context) error {
	call, err := d.app.Call(ctx, demoNumber, demoFriend)
	if refused, ok := errors.AsType[*carrier.Refused](err); ok {
		return fmt.Errorf("a call of the burst was refused: %w", refused)
	}
	if err != nil {
		return err
	}
	return call.HangUp(ctx)
}
