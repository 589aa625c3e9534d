package main

import (
	"context"
	"fmt"
	"strings"
	"time"

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

// registered waits until the connection is, as the edge and the carrier see it.
func (d *demonstration) registered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var s register.Status
	var contact string
	err := eventually(ctx, "the registration", func() bool {
		bound, known := d.carrier.Registered(demoUser)
		contact = bound
		for _, s = range d.daemon.keeper.Status() {
			if s.State == register.Registered && known {
				return true
			}
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("%w: %s %s", err, s.State, s.Cause)
	}
	d.saw("registered as %s for %s; the carrier will call %s", demoUser, time.Until(s.Expires).Round(time.Second), contact)
	return nil
}
