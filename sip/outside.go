package sip

import (
	"context"
	"errors"
	"time"

	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Outside is a request that belongs to no call, as a REGISTER or OPTIONS of ours.
type Outside struct {
	Method wire.Method
	Flow   transport.Flow
	Timers *transaction.Timers // nil: the usual ones
	// Tells: what becomes of it tells how the server at Flow.Remote is, for
	// whatever else goes there: silence and errors of the transport have it rest.
	Tells bool
	// Write appends the whole request with the given Via branch. It runs on the
	// shard that sends it.
	Write func(b, branch []byte, sentBy string) []byte
	// Response gets every response, Failed the news that none will come any more.
	// Both run on the shard and must not block; the message is valid meanwhile.
	Response func(now time.Time, m *wire.Message)
	Failed   func(now time.Time, cause error)
}

// ErrFailed wraps why no final response came, and ErrSilent as well where nothing
// came back in time, rather than that the request could not be delivered.
var (
	ErrFailed = errors.New("no final response")
	ErrSilent = errors.New("silence")
)

// Sent names a request outside any call while it is under way.
type Sent struct {
	shard  *shard
	client transaction.Client
	token  uint64
}

// Cancel gives an INVITE up; its final response is still reported. It may be
// called from anywhere and does nothing once the final response has come.
func (s *Sent) Cancel() {
	s.shard.post(func(now time.Time) { s.client.Cancel(now, nil) })
}

// Send starts a request outside any call, on the shard that key falls to. It
// returns when the shard has taken it over; what becomes of it is told to
// o.Response or o.Failed. A 2xx to an INVITE is told and then ended at once by
// ACK and BYE. It must not be called on a shard.
func (e *Edge) Send(ctx context.Context, key uint64, o Outside) (*Sent, error) {
	s := e.shards[key%uint64(len(e.shards))]
	sent := &Sent{shard: s}
	err := s.do(ctx, func(now time.Time) {
		if err := s.sendOutside(now, o, sent); err != nil {
			o.Failed(now, err)
		}
	})
	return sent, err
}

// Ping sends a keep-alive over UDP, on the shard that key falls to: nobody answers
// it, but an address translation on the way stays open (RFC 5626 §3.5). What
// becomes of it is not told.
func (e *Edge) Ping(key uint64, f transport.Flow) {
	s := e.shards[key%uint64(len(e.shards))]
	s.post(func(time.Time) {
		if s.port.Send(f, []byte(transport.Ping), 0) != nil {
			s.count.drop(dropUnsent)
		}
	})
}

// sendOutside sends o. On error nothing was sent, and o is told nothing.
func (s *shard) sendOutside(now time.Time, o Outside, sent *Sent) error {
	s.generation++
	sent.token = uint64(maxSlots-1)<<40 | uint64(s.generation&0xffffff)<<16 | purposeOutside
	s.branch = s.layer.MintBranch(s.branch[:0])
	s.out = o.Write(s.out[:0], s.branch, s.sentBy(o.Flow))
	s.outside[sent.token] = &o
	var err error
	sent.client, err = s.layer.Request(now, transaction.Request{
		Branch: s.branch, Method: o.Method, Flow: o.Flow, Bytes: s.out,
		User: clientUser{s}, Token: sent.token, Timers: o.Timers,
	})
	if err != nil {
		delete(s.outside, sent.token)
		if o.Tells {
			s.edge.rests.Failed(now, o.Flow.Remote, 0)
		}
	}
	return err
}

// failure is a transaction's Failure as an error, with what the transport says of it.
type failure struct {
	cause     transaction.Failure
	transport error // nil: it says nothing
}

func (f failure) Error() string {
	if f.transport != nil {
		return f.transport.Error()
	}
	return f.cause.String()
}

func (f failure) Unwrap() []error {
	all := []error{ErrFailed}
	if f.cause != transaction.TransportError {
		all = append(all, ErrSilent)
	}
	if f.transport != nil {
		all = append(all, f.transport)
	}
	return all
}

func (s *shard) outsideResponse(now time.Time, client transaction.Client, m *wire.Message) {
	o := s.outside[client.Token]
	if o == nil {
		s.endOrphan(now, m)
		return
	}
	if m.Status >= 200 {
		delete(s.outside, client.Token)
		if o.Tells {
			s.heardFrom(now, o.Flow.Remote, m)
		}
	}
	o.Response(now, m)
	s.endOrphan(now, m)
}

func (s *shard) outsideFailed(now time.Time, client transaction.Client, f transaction.Failure) {
	if o := s.outside[client.Token]; o != nil {
		delete(s.outside, client.Token)
		if o.Tells {
			s.edge.rests.Failed(now, o.Flow.Remote, 0)
		}
		why := failure{cause: f}
		if f == transaction.TransportError {
			why.transport = s.broken
		}
		o.Failed(now, why)
	}
}
