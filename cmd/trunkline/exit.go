package main

import (
	"context"
	"errors"
	"net/http"

	"trunkline/trunks/account"
)

// Exit statuses. Scripts tell by them whether the tool failed or what it looked at.
const (
	exitOK          = 0
	exitError       = 1   // the command could not do its work
	exitUsage       = 2   // wrong flags or arguments
	exitCheckFailed = 3   // a check ran and found something wrong
	exitAuth        = 4   // the API key is missing, wrong, or may not
	exitNotFound    = 5   // there is no such thing
	exitConflict    = 6   // it does not fit what is there, or that has changed meanwhile
	exitTimeout     = 7   // no answer in time, or too much was asked
	exitInterrupted = 130 // a signal ended it early
)

const exitHelp = `Exit status: 0 done; 1 failed; 2 wrong flags or arguments; 3 a check ran and found something wrong; 4 API key refused;
5 not found; 6 conflict; 7 timeout or throttled; 130 interrupted.`

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
	}
	return exitStatusOfAPI(err)
}

// exitStatusOfAPI tells what the API, or the database behind a command, refused.
func exitStatusOfAPI(err error) int {
	status := 0
	if refused, ok := errors.AsType[*apiError](err); ok {
		status = refused.Status
	}
	_, notFound := errors.AsType[*account.NotFound](err)
	_, conflict := errors.AsType[*account.Conflict](err)
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return exitAuth
	case status == http.StatusNotFound, notFound:
		return exitNotFound
	case status == http.StatusConflict, status == http.StatusPreconditionFailed, conflict:
		return exitConflict
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout, errors.Is(err, context.DeadlineExceeded):
		return exitTimeout
	}
	return exitError
}
