package account

import (
	"fmt"
	"strings"
	"time"

	"trunkline/trunks/provider"
)

// NotFound: there is no such thing in the caller's organization.
type NotFound struct{ What, ID string }

func (e *NotFound) Error() string { return fmt.Sprintf("no %s %s", e.What, e.ID) }

// Conflict: the change does not fit what is there.
type Conflict struct {
	Field   string // what is in the way; empty: nothing that was given
	Message string
	Fix     string
	Count   int // of the things in the way; 0: not counted
}

func (e *Conflict) Error() string { return sentence(e.Field, e.Message, e.Fix) }

// Changed: the object has another version than the caller thinks.
type Changed struct{ What, ID string }

func (e *Changed) Error() string {
	return fmt.Sprintf("%s %s has changed in the meantime: read it again", e.What, e.ID)
}

// Invalid lists everything that is wrong with what was given.
type Invalid struct{ Problems []Problem }

// Problem is one thing that is wrong. It never repeats a secret.
type Problem struct {
	Field   string // as "sip_config.domain"; empty: the whole
	Message string
	Fix     string // what is allowed, or what to do
}

func (p Problem) String() string { return sentence(p.Field, p.Message, p.Fix) }

func (e *Invalid) Error() string {
	all := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p.String()
	}
	return strings.Join(all, "; ")
}

// Forbidden: the caller is known but may not.
type Forbidden struct{ Message string }

func (e *Forbidden) Error() string { return e.Message }

// Unauthorized: nobody we know.
type Unauthorized struct{ Message string }

func (e *Unauthorized) Error() string { return e.Message }

// Busy: too much of this is under way; it may be tried again.
type Busy struct {
	Message    string
	RetryAfter time.Duration
}

func (e *Busy) Error() string { return e.Message }

// ProviderFailed: the provider's API did not do what was asked.
type ProviderFailed struct {
	Provider   provider.Kind
	Doing      string // as "list numbers"
	Code       string
	Message    string
	Fix        string
	RetryAfter time.Duration // 0: not told
	Err        error
}

func (e *ProviderFailed) Error() string {
	return sentence(fmt.Sprintf("%s: %s", e.Provider, e.Doing), e.Message, e.Fix)
}

// Unwrap returns the provider's own error.
func (e *ProviderFailed) Unwrap() error { return e.Err }

// Unavailable: the database cannot do it now. Calls go on.
type Unavailable struct {
	Cause   string // from a closed set: locked, disk_full, not_writable, corrupt, failed
	Message string
	Fix     string
	Err     error
}

func (e *Unavailable) Error() string { return sentence("", e.Message, e.Fix) }

// Unwrap returns the database's own error.
func (e *Unavailable) Unwrap() error { return e.Err }

func sentence(field, message, fix string) string {
	if field != "" {
		message = field + ": " + message
	}
	if fix != "" {
		message += "; " + fix
	}
	return message
}
