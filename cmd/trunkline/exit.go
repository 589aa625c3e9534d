package main

import (
	"context"
	"errors"
)

// Exit statuses. Scripts tell by them whether the tool failed or what it looked at.
const (
	exitOK          = 0
	exitError       = 1   // the command could not do its work
	exitUsage       = 2   // wrong flags or arguments
	exitCheckFailed = 3   // a check ran and found something wrong
	exitInterrupted = 130 // a signal ended it early
)

const exitHelp = `Exit status: 0 done; 1 failed; 2 wrong flags or arguments; 3 a check ran and found something wrong; 130 interrupted.`

// usageError is a command line that makes no sense.
type usageError struct {
	command string // as "trunkline serve"
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// checkError is what a check found wrong; the check itself worked.
type checkError struct{ err error }

func (e *checkError) Error() string { return e.err.Error() }
func (e *checkError) Unwrap() error { return e.err }

// errInterrupted ends a command that a second signal stopped.
var errInterrupted = errors.New("interrupted")

func exitStatus(err error) int {
	usage, check := new(usageError), new(checkError)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &check):
		return exitCheckFailed
	case errors.Is(err, errInterrupted), errors.Is(err, context.Canceled):
		return exitInterrupted
	default:
		return exitError
	}
}
