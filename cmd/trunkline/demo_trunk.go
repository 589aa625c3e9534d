package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trunkline/sip/probe"
	"trunkline/sip/register"
)

// prove runs the test of the trunk as a user would.
func (d *demonstration) prove(ctx context.Context) error {
	if status := d.testTrunk(ctx, "right", "--register", "--from", demoNumber, "--to", demoFriend); status != exitOK {
		return fmt.Errorf("trunk test ended with status %d, not %d", status, exitOK)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	err := eventually(ctx, "the carrier to note the call that was given up", func() bool { return last(d.carrier.Calls()).Code == 487 })
	if err != nil {
		return err
	}
	if calls := d.carrier.Calls(); len(calls) != 1 || !calls[0].Authenticated {
		return fmt.Errorf("the carrier should have seen one authenticated call, and saw %+v", calls)
	}
	d.saw("the carrier saw one authenticated call, given up with 487, and bills %d s", int(d.carrier.Billed().Seconds()))
	return nil
}

// proveWrong shows what a mistake looks like.
func (d *demonstration) proveWrong(ctx context.Context) error {
	if status := d.testTrunk(ctx, "wrong", "--register"); status != exitCheckFailed {
		return fmt.Errorf("trunk test ended with status %d, not %d", status, exitCheckFailed)
	}
	d.saw("the test failed, as it should, with exit status %d", exitCheckFailed)
	return nil
}

func (d *demonstration) testTrunk(ctx context.Context, password string, more ...string) (status int) {
	args := append([]string{"trunk", "test", "--server", d.carrier.Addr().String(), "--domain", "carrier.example",
		"--auth-user", demoUser, "--auth-password-file", d.passwordFile(password)}, more...)
	fmt.Fprintf(d.out, "   $ trunkline %s\n", strings.Join(args, " "))
	out := &indented{to: d.out}
	return execute(ctx, args, streams{strings.NewReader(""), out, out})
}

// register starts the edge, which registers on its own.
func (d *demonstration) register(ctx context.Context) error {
	if err := d.start(ctx); err != nil {
		return err
	}
	d.saw("the edge listens on %s over UDP and TCP, HTTP on %s", d.edge, d.daemon.http.Addr())
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var s register.Status
	err := eventually(ctx, "the registration", func() bool {
		for _, s = range d.daemon.keeper.Status() {
			return s.State != register.Registering
		}
		return false
	})
	if err != nil {
		return err
	}
	if s.State != register.Registered {
		return fmt.Errorf("registration: %s: %s", s.State, s.Cause)
	}
	contact, ok := d.carrier.Registered(demoUser)
	if !ok {
		return errors.New("the edge takes itself for registered, and the carrier does not")
	}
	d.saw("registered as %s for %s; the carrier will call %s", demoUser, time.Until(s.Expires).Round(time.Second), contact)
	return nil
}

// verify proves that the number is ours: dialled out of the trunk, it comes in again, and it may be shown as caller.
func (d *demonstration) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	billed := d.carrier.Billed()
	report, err := d.daemon.prober.Run(ctx, probe.Request{
		Trunk: d.daemon.edge.Trunks().Trunk("carrier"), Number: demoNumber, To: demoFriend, Checks: []probe.Check{probe.Inbound, probe.Outbound},
		Progress: func(s probe.Step) { d.line("%-12s %-12s %s", s.Name, s.Verdict, s.Message) },
	})
	if err != nil {
		return err
	}
	for _, check := range []probe.Check{probe.Inbound, probe.Outbound} {
		if r := report.Result(check); r.Verdict != probe.Pass {
			return fmt.Errorf("%s: %s: %s", check, r.Verdict, r.Message)
		}
	}
	if more := d.carrier.Billed() - billed; more > 0 {
		return fmt.Errorf("the carrier bills %s for a test", more)
	}
	d.saw("%s was dialled out and came in again on the trunk; it may be shown as caller; the carrier bills nothing", demoNumber)
	return nil
}
