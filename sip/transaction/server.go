package transaction

import (
	"errors"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// ErrOver is returned by Server.Respond when the transaction is over or has had
// its final response.
var ErrOver = errors.New("transaction is over")

// Server names a server transaction. It is a value: copy it, compare it, keep it
// for as long as you like; a Server whose transaction is over does nothing. The
// zero Server names none.
type Server struct {
	layer *Layer
	id    uint64
}

// Bind gives a new transaction the local tag that its responses carry, so that
// the 200 to a CANCEL has it too, and the user's own name for the transaction.
// Call it straight after the verdict New. tag is copied; a request that has a To
// tag keeps that one.
func (s Server) Bind(tag []byte, token uint64) {}

// Token returns what Bind was given; 0 when the transaction is over.
func (s Server) Token() uint64 { return 0 }

// Flow returns where responses go.
func (s Server) Flow() transport.Flow { return transport.Flow{} }

// Trying sends the 100 that the layer made when the INVITE came. Without it, the
// 100 goes out after 200 ms if nothing else has (RFC 3261 §17.2.1).
func (s Server) Trying(now time.Time) {}

// Respond sends b, the whole response, and stores it for copies of the request.
// A final response other than 2xx to an INVITE is repeated until its ACK; a 2xx
// is repeated until Acked. It returns ErrOver, or the transport's error, after
// which the transaction goes on as if b had been lost.
//
// Not sent, and nil: 408 to a non-INVITE, and provisionals to a non-INVITE that
// RFC 4320 §4.1 forbids.
func (s Server) Respond(now time.Time, status int, b []byte) error { return ErrOver }

// Acked ends the repetition of a 2xx to an INVITE: its ACK has come.
func (s Server) Acked(now time.Time) {}

// Live reports whether the transaction is more than a memory: unanswered, or its
// final response not yet ACKed.
func (s Server) Live() bool { return false }

// ReceiveRequest takes a parsed request that Absorb did not want. e and m are
// the same request. f is where it came from.
func (l *Layer) ReceiveRequest(now time.Time, e *wire.Envelope, m *wire.Message, f transport.Flow) (Server, Verdict) {
	return Server{}, Full
}
