package sip

import (
	"bytes"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Expected is a call that a test of ours dialled and waits to see come in. The
// first INVITE for Called by Caller is taken out of the way of calls: it is
// answered 486, so that nothing rings and nothing is charged.
type Expected struct {
	Called, Caller string // E.164 with plus

	// Took is told of that INVITE, Passed of one for Called by somebody else, which
	// goes on as any call does. Both run on the shard the INVITE came to and must not
	// block.
	Took   func(now time.Time, a Arrival)
	Passed func(now time.Time, a Arrival)

	taken atomic.Bool
}

// Arrival is an INVITE that came in while it was expected.
type Arrival struct {
	Flow     transport.Flow
	Trunk    *trunks.Trunk // whose source it is; nil: no trunk's
	Called   string        // user part as it was written
	Caller   string        // as well
	Invite   []byte        // the message; a copy
	Response []byte        // ours; nil when it was not taken
}

// expectations are the calls that tests wait for. The count is what calls pay
// while there are none: one load.
type expectations struct {
	count    atomic.Int64 // of those waiting, and of those over whose copies may still come
	byCalled sync.Map     // E.164 → *Expected
}

// expectedLinger is how long copies of an INVITE we took, or its ACK, may come
// (RFC 3261 Timer H).
const expectedLinger = 32 * time.Second

// Expect waits for a call until the function returned is called. It returns false
// when a call to that number is expected already.
func (e *Edge) Expect(x *Expected) (end func(), ok bool) {
	if _, there := e.expected.byCalled.LoadOrStore(x.Called, x); there {
		return nil, false
	}
	e.expected.count.Add(1)
	var once sync.Once
	return func() {
		once.Do(func() {
			e.expected.byCalled.CompareAndDelete(x.Called, x)
			if x.taken.Load() {
				time.AfterFunc(expectedLinger, func() { e.expected.count.Add(-1) })
			} else {
				e.expected.count.Add(-1)
			}
		})
	}, true
}

// expects reports whether some test waits for a call, or did so a moment ago.
func (e *Edge) expects() bool { return e.expected.count.Load() != 0 }

// takeExpected takes the INVITE at hand out of the way of calls if a test dialled
// it: the number called, its caller and the time must fit. from may be nobody:
// finding out where a carrier calls from is what such a test is for.
func (s *shard) takeExpected(now time.Time, p transport.Packet, from trunks.Principal) bool {
	if s.in.Method != wire.INVITE || from.Agent != nil || len(s.in.To.Tag) > 0 {
		return false
	}
	called, caller := admit.Numbers(&s.in, true)
	x, written := s.expectedFor(from, called)
	if x == nil {
		return false
	}
	a := Arrival{Flow: p.Flow, Trunk: from.Trunk, Called: string(written), Caller: string(caller), Invite: bytes.Clone(p.Bytes)}
	if !sameNumber(a.Caller, x.Caller) {
		if x.Passed != nil && !x.taken.Load() {
			x.Passed(now, a)
		}
		return false
	}
	server, verdict := s.layer.ReceiveRequest(now, &s.env, &s.in, p.Flow)
	if verdict.Answered() {
		return true
	}
	var tag [tagSize]byte
	local := appendTag(tag[:0], s.random, s.index, maxSlots-1)
	server.Bind(local, 0)
	s.respond(now, server, 486, s.rejection(&admit.Rejection{Status: 486}, local, p.Flow.Remote))
	if x.taken.CompareAndSwap(false, true) { // the carrier may try again by another way
		a.Response = bytes.Clone(s.out)
		x.Took(now, a)
	}
	return true
}

// expectedFor finds the expectation for a called number in the carrier's writing,
// and returns the user part that names it: that of the Request-URI, or of To where
// the Request-URI has our user.
func (s *shard) expectedFor(from trunks.Principal, called []byte) (*Expected, []byte) {
	for _, user := range [...][]byte{called, admit.User(s.in.To.URI)} {
		plan := trunks.Plan{}
		if from.Trunk != nil {
			plan = from.Trunk.Plan
		}
		s.number = plan.Normalize(user, s.number[:0])
		if x, ok := s.edge.expected.byCalled.Load(string(s.number)); ok {
			return x.(*Expected), user
		}
		if from.Trunk == nil && s.edge.expected.count.Load() <= maxGuessed {
			if x := s.edge.guessExpected(string(user)); x != nil {
				return x, user
			}
		}
	}
	return nil, nil
}

// maxGuessed is how many expectations a number from an unlisted source is compared
// with: how that carrier writes numbers is not known.
const maxGuessed = 64

func (e *Edge) guessExpected(user string) (found *Expected) {
	e.expected.byCalled.Range(func(called, x any) bool {
		if sameNumber(user, called.(string)) {
			found = x.(*Expected)
		}
		return found == nil
	})
	return found
}

// sameNumber compares numbers however they are written: one may lack the plus, the
// country code or the national prefix. Fewer than seven digits are not a number.
func sameNumber(a, b string) bool {
	a, b = digitsOf(a), digitsOf(b)
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= 7 && strings.HasSuffix(b, strings.TrimLeft(a, "0")) && len(strings.TrimLeft(a, "0")) >= 7
}

func digitsOf(user string) string {
	user, _, _ = strings.Cut(user, ";")
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, user)
}
