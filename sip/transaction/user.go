package transaction

import (
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Sender sends bytes; transport.Port is one. It must not block and must not keep
// b. An error means that nothing was sent. Errors that come later are handed to
// [Layer.TransportFailed] with the same ref.
type Sender interface {
	Send(f transport.Flow, b []byte, ref uint64) error
}

// User hears about the client transactions it started. Its methods run on the
// shard's goroutine and may call the layer.
type User interface {
	// Response delivers every provisional, the first final, and each 2xx to an
	// INVITE: copies and other To tags included, up to 64*T1 after the first, and
	// also when it comes after a refusal, a failure or Abandon. A user that has
	// given up must ACK and BYE such a 2xx. m is valid during the call only.
	Response(now time.Time, c Client, m *wire.Message)
	// Failed says that no final response will come. Nothing follows it but a late 2xx.
	Failed(now time.Time, c Client, cause Failure)
}

// ServerUser hears about the server transactions of a layer. Its methods run on
// the shard's goroutine and may call the layer.
type ServerUser interface {
	// AckTimeout: a 2xx to an INVITE was repeated for 64*T1 and no ACK came
	// (RFC 3261 §13.3.1.4: send BYE). s is over.
	AckTimeout(now time.Time, s Server)
	// PrackTimeout: a reliable provisional response was repeated for 64*T1 and
	// Pracked was not called (RFC 3262 §3: answer 5xx). s waits on.
	PrackTimeout(now time.Time, s Server)
	// Failed: a response could not be delivered (TransportError; the transaction
	// goes on), or the final response to an INVITE was not ACKed (Timeout, Timer H)
	// or never given (Timeout, see Options.Unanswered); s is over then.
	Failed(now time.Time, s Server, cause Failure)
}

// Failure is why a transaction ended without what it waited for.
type Failure uint8

const (
	// Timeout: no response in Timer B or F, no ACK in Timer H.
	Timeout Failure = iota + 1
	// TransportError: the transport could not deliver. As good as a 503 (RFC 3261 §8.1.3.1).
	TransportError
	// RingTimeout: provisionals came but nothing for Timer C. The layer has sent CANCEL.
	RingTimeout
	// CancelTimeout: no final response in 64*T1 after our CANCEL (RFC 3261 §9.1).
	CancelTimeout
)

// String returns a label of a closed set.
func (f Failure) String() string {
	switch f {
	case Timeout:
		return "timeout"
	case TransportError:
		return "transport_error"
	case RingTimeout:
		return "ring_timeout"
	case CancelTimeout:
		return "cancel_timeout"
	}
	return "none"
}

// Verdict is what became of a request.
type Verdict uint8

const (
	// Absorbed: a copy, or an ACK or CANCEL that changes nothing. The layer has
	// sent what there was to send.
	Absorbed Verdict = iota
	// New: a transaction has begun. Call Server.Bind, then Respond.
	New
	// AckFor2xx: find the dialog and call Server.Acked on its INVITE. The Server
	// returned is that INVITE when the ACK wrongly reuses its branch, else zero.
	AckFor2xx
	// Cancelled: the caller gives up and its CANCEL has its 200. The Server
	// returned is the INVITE's; answer it with 487.
	Cancelled
	// Unmatched: a CANCEL for nothing we know. It was answered 481.
	Unmatched
	// Merged: a second path brought a request being worked on; it was answered
	// 482 (RFC 3261 §8.2.2.2).
	Merged
	// Full: Options.MaxServers is reached and nothing was kept or answered.
	// Refuse with a stateless 503.
	Full
)

// Answered reports whether the layer has dealt with the request: nothing is left
// to be decided about it.
func (v Verdict) Answered() bool { return v != New && v != Full }

// String returns a label of a closed set.
func (v Verdict) String() string {
	return [...]string{"absorbed", "new", "ack", "cancelled", "unmatched", "merged", "full"}[v]
}
