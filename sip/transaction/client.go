package transaction

import (
	"errors"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Errors of Layer.Request.
var (
	ErrBranch = errors.New("branch is not one this layer minted, or is in use")
	ErrFull   = errors.New("too many client transactions")
	ErrMethod = errors.New("ACK and CANCEL have no transaction of their own")
)

// Client names a client transaction. It is a value: copy it, compare it, keep it
// for as long as you like; a Client whose transaction is over does nothing. The
// zero Client names none.
type Client struct {
	Token uint64 // as given in Request
	layer *Layer
	nonce uint64
}

// Request is what a client transaction is started with.
type Request struct {
	Branch []byte // from Layer.MintBranch; the one in Bytes' top Via
	Method wire.Method
	Flow   transport.Flow
	Bytes  []byte // the whole message; copied
	User   User
	Token  uint64  // the user's own name for it: Client.Token in every callback
	Timers *Timers // nil: the layer's
}

// Request sends r and starts its transaction. When the transport refuses at
// once it returns that error, and no transaction and no callback remain.
func (l *Layer) Request(now time.Time, r Request) (Client, error) { return Client{}, ErrFull }

// Cancel gives the INVITE up (RFC 3261 §9.1): CANCEL goes out at once if a
// provisional response has come, else when the first one comes; never after a
// final one. headers are whole lines for the CANCEL ("Reason: …\r\n") or nil,
// and are copied. The 487, or a 2xx that crossed the CANCEL, still comes to the
// user; without any final response in 64*T1 after the CANCEL, Failed with
// CancelTimeout does.
func (c Client) Cancel(now time.Time, headers []byte) {}

// Abandon ends the callbacks, but for a late 2xx to an INVITE, which its user
// must still ACK and BYE. The transaction itself goes on: refusals are ACKed,
// a CANCEL asked for is sent.
func (c Client) Abandon() {}

// Live reports whether the transaction still waits for its final response.
func (c Client) Live() bool { return false }
