package account

import "time"

// Replay is an answer that is kept under an Idempotency-Key, so that a request sent again is not done again.
type Replay struct {
	Org       string
	Key       string   // as the client chose it, 1 to 128 characters
	Digest    [32]byte // of method, path and body: another request under the same key is refused
	Status    int      // 0: the request is under way
	Body      []byte   // holds no secret
	CreatedAt time.Time
}
