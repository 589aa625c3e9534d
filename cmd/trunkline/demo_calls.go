package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/internal/carrier"
	"trunkline/store"
)

// enoughMedia is how many RTP packets of 20 ms each side is to hear.
const enoughMedia = 25

// Tones by which each side can be told.
const (
	carrierTone = 400 // Hz
	appTone     = 620
)

// callIn lets somebody call our number.
func (d *demonstration) callIn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	started := time.Now()
	call, err := d.carrier.Call(ctx, demoFriend, demoNumber)
	if err != nil {
		return fmt.Errorf("call to %s: %w", demoNumber, err)
	}
	d.saw("%s calls %s; the application answered after %d ms", demoFriend, demoNumber, time.Since(started).Milliseconds())
	other := func() carrier.CallInfo { return last(d.app.Calls()) }
	if err := d.mediaBothWays(ctx, call.Info, other); err != nil {
		return err
	}
	return d.hangUp(ctx, "carrier", call, other)
}

// callOut calls somebody outside, once for each of invites: how many INVITEs go to the carrier, which challenges one without a nonce.
func (d *demonstration) callOut(ctx context.Context, invites ...int) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, want := range invites {
		if err := d.callOutOnce(ctx, want); err != nil {
			return err
		}
	}
	return nil
}

func (d *demonstration) callOutOnce(ctx context.Context, want int) error {
	started := time.Now()
	call, err := d.app.Call(ctx, demoNumber, demoFriend)
	if err != nil {
		return fmt.Errorf("call to %s: %w", demoFriend, err)
	}
	other := func() carrier.CallInfo { return last(d.carrier.Calls()) }
	if !other().Authenticated {
		return errors.New("the carrier took the call without credentials")
	}
	d.saw("%s calls %s; the carrier answered after %d ms", demoNumber, demoFriend, time.Since(started).Milliseconds())
	if err := d.mediaBothWays(ctx, call.Info, other); err != nil {
		return err
	}
	if err := d.hangUp(ctx, "application", call, other); err != nil {
		return err
	}
	record, err := d.record(ctx, call.Info().CallID)
	if err != nil {
		return err
	}
	sent, err := d.invitesSent(ctx, record.ID)
	if err != nil {
		return err
	}
	if sent != want {
		return fmt.Errorf("%d INVITEs went to the carrier, not %d", sent, want)
	}
	if record.Attempts != want {
		return fmt.Errorf("the record tells of %d INVITEs, not %d", record.Attempts, want)
	}
	d.shown = record
	if want == 2 {
		d.saw("2 INVITEs went to the carrier: challenged with 407, then with credentials")
	} else {
		d.saw("1 INVITE went to the carrier: the nonce of the first call was used again")
	}
	return nil
}

// mediaBothWays waits until both ends have heard each other's tone.
func (d *demonstration) mediaBothWays(ctx context.Context, one, other func() carrier.CallInfo) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := eventually(ctx, "media both ways", func() bool {
		return one().Media.Received >= enoughMedia && other().Media.Received >= enoughMedia
	})
	a, b := one().Media, other().Media
	if err != nil {
		return fmt.Errorf("%w: one side heard %d packets, the other %d", err, a.Received, b.Received)
	}
	if a.Hertz+b.Hertz != carrierTone+appTone || a.Hertz == b.Hertz {
		return fmt.Errorf("the sides heard tones of %d and %d Hz, not each other's", a.Hertz, b.Hertz)
	}
	if b.Hertz == carrierTone {
		a, b = b, a // a is what the application heard
	}
	d.saw("RTP through the edge: the application heard %d packets of the carrier's %d Hz (%d lost), the carrier %d of the application's %d Hz (%d lost)",
		a.Received, a.Hertz, a.Lost, b.Received, b.Hertz, b.Lost)
	return nil
}

// hangUp ends a call at one side and waits until the other side knows.
func (d *demonstration) hangUp(ctx context.Context, who string, call *carrier.Call, other func() carrier.CallInfo) error {
	if err := call.HangUp(ctx); err != nil {
		return fmt.Errorf("hang up: %w", err)
	}
	if err := eventually(ctx, "the BYE", func() bool { return !other().End.IsZero() }); err != nil {
		return err
	}
	if by := other().EndedBy; by != "them" {
		return fmt.Errorf("the other side should have been told, and says %q ended the call", by)
	}
	d.calls++
	d.saw("the %s hangs up, and the BYE crosses", who)
	return nil
}

// record waits for the record of a call by the caller's Call-ID.
func (d *demonstration) record(ctx context.Context, callID string) (found store.Stored, err error) {
	var failed error
	err = eventually(ctx, "the call record", func() bool {
		records, err := d.daemon.records.ByCallID(ctx, callID, 1)
		if failed = err; err != nil {
			return true
		}
		if len(records) > 0 {
			found = records[0]
		}
		return len(records) > 0
	})
	return found, errors.Join(failed, err)
}

// invitesSent counts the INVITEs that went to the carrier for a call.
func (d *demonstration) invitesSent(ctx context.Context, id string) (n int, err error) {
	messages, err := d.daemon.edge.Messages(ctx, id)
	for _, m := range messages {
		if m.Sent && m.Flow.Remote == d.carrier.Addr() && strings.HasPrefix(string(m.Bytes), "INVITE ") {
			n++
		}
	}
	return n, err
}

func last(calls []carrier.CallInfo) carrier.CallInfo {
	if len(calls) == 0 {
		return carrier.CallInfo{}
	}
	return calls[len(calls)-1]
}
