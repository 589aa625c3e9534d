package account

import "time"

// OperationState is how far long work is.
type OperationState string

// The states.
const (
	OperationRunning   OperationState = "running" // also after a restart, which goes on where it ended
	OperationDone      OperationState = "done"
	OperationCancelled OperationState = "cancelled"
)

// Operation is long work with progress.
type Operation struct {
	ID         string // UUID
	Org        string
	User, Key  string // who began it
	Kind       string // verify_numbers
	State      OperationState
	Total      int // items
	Done       int // items that came to an end, the failed ones too
	Failed     int // items that came to a bad one
	CreatedAt  time.Time
	UpdatedAt  time.Time
	FinishedAt *time.Time
}

// ItemState is how far a piece of an operation is.
type ItemState string

// The states.
const (
	ItemWaiting ItemState = "waiting"
	ItemPassed  ItemState = "passed"
	ItemFailed  ItemState = "failed"
)

// OperationItem is one piece of it.
type OperationItem struct {
	Number  int64
	State   ItemState
	Message string // why it failed
}

// VerifyNumbers says which numbers to verify: those named, or all of a connection that are not verified.
type VerifyNumbers struct {
	Numbers    []int64
	Connection int64
}
