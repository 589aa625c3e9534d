package sip

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"trunkline/media"
	"trunkline/sip/call"
	"trunkline/sip/dialog"
	"trunkline/sip/digest"
	"trunkline/sip/registrar"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
	"trunkline/trunks/pace"
)

// session is one call as the shell knows it: the machine that decides, and what
// is needed to do what it decides. It belongs to its shard.
type session struct {
	shard      *shard
	slot       uint32
	generation uint32
	id         [tagSize]byte // the call's id; also our tag towards the caller

	machine call.Call
	due     transaction.Timer // when the machine wants its next Tick
	silence transaction.Timer // when to look whether media flows
	toll    transaction.Timer // when to look whether the minutes of the day are used up
	joining transaction.Timer // when to offer the target of a transfer again
	next    []call.Event      // what came of doing the last actions; stepped after them

	caller, callee leg
	origin         origin               // of a call that we make
	forks          []dialog.Dialog      // dialogs made by the callee's responses, by their number in the machine
	forkAttempts   []uint8              // that each of them belongs to
	fork           uint8                // the callee's dialog the call lives in, once answered
	attempts       []transaction.Client // our INVITEs, by their number in the machine
	invites        int                  // of ours that went out, those after a challenge too
	pending        []pending            // our in-dialog requests without a final response, and re-INVITEs answered last
	serial         uint16               // of the last pending
	current        *pending             // the one whose answer is at hand
	atHand         opened               // the in-dialog request at hand
	parked         []parked             // our requests whose next hop is being looked up, and all behind them

	waiter      *pace.Waiter // while the INVITE waits for its turn
	waitsFor    pace.Limiter // that waiter waits for
	waitingBody call.Body    // what it will carry
	key         pace.Limiter // that admitted the INVITE; nil: none
	admitted    bool         // and is to be told when it was sent
	slowed      bool         // the carrier has refused the call once for its pace, and it was sent again
	ticket      pace.Ticket

	invite    []byte // the caller's INVITE, kept until the call is answered or over
	head      []byte // start of every response to it
	lateOffer bool   // it had no offer
	reliable  bool   // its caller takes reliable provisional responses
	kept      []response

	digits       *digits // to be said to a side by INFO; nil: none were
	transfer     *transfer
	subscription subscription
	refers       int    // REFERs taken
	otherShard   int    // the shard, from 1, of the call that this one is to be joined with; 0: this one
	replaces     []byte // header lines that say so to it
	replacing    uint8  // the attempt that stands for the side of another call it wants to replace
	description  []byte // of the target of a transfer, as it came
	contacts     [][]byte

	tries   []try     // in order; those of the machine and trunks passed over
	routed  uint64    // routes of the number that were taken or passed over, bit by bit
	arrived time.Time // at the trunk at hand
	moved   bool      // to another trunk, and the machine does not know yet that the INVITE went out
	spill   bool      // the trunk is at its limit, and wants such calls to go elsewhere

	tried       uint64              // servers of a trunk or destinations of an agent that were tried, bit by bit
	server      int                 // being tried, of a trunk, from 1; 0: none of its servers
	bound       []registrar.Binding // places where the agent has registered that were not tried yet
	phones      bool                // there were several of them
	destination int                 // being tried, of an agent, from 1
	addresses   uint64              // of it that were tried
	unheard     bool                // nothing came yet for the last INVITE

	route      trunks.Route
	direction  trunks.Direction
	bridge     *media.Bridge
	counts     *callCounts
	gauge      *int64 // the gauge this call is counted in
	source     netip.AddrPort
	called     []byte // the number as dialled
	number     []byte // the caller's number as presented
	stats      media.Stats
	quietSince time.Time // since when no media counts as silence, as far as was looked
	chain      uint64    // trace
	refusal    trunks.Reason
	tel        bool // a tel URI was called
	emergency  bool // held up by no limit
	via        via  // what a Route of the INVITE asks for; zero: nothing
	private    bool // the caller withholds who they are
	stands     bool // number is the agent's own, for it named none that it may use
	onTrunk    bool // a channel of the trunk is held
	onAgent    bool // a channel of the agent is held
	finished   bool
	recorded   bool
	talking    bool // the agent's minutes run
}

// leg is one side of a call.
type leg struct {
	dialog    dialog.Dialog  // caller: the dialog; callee: that of the attempt in progress, before a To tag is known
	flow      transport.Flow // where the side was last heard, or is sent to
	flowOnly  bool           // nothing else leads there: an agent that is known by digest, wherever it is
	trunk     *trunks.Trunk  // nil: the side is an agent
	agent     *trunks.Agent  // nil: the side is a trunk
	server    transaction.Server
	seq       uint32         // CSeq number of the INVITE in server, which its ACK repeats
	acked     bool           // its ACK has come
	open      opened         // its re-INVITE, from arrival until another takes its place
	digest    digest.Attempt // of our INVITE to this side
	auth      []byte         // the credential lines of our last INVITE, which its ACK repeats
	sdp       []byte         // body last sent to this side, less offers it has refused
	before    []byte         // and that before the last offer
	answer    []byte         // body of the ACK we sent last; nil: none
	answerSeq uint32         // CSeq of that ACK
	session   dialog.Session // its timer
	update    bool           // it takes UPDATE
	intervals uint8          // 422 answered with a larger interval
	joint     joint          // another call stands in its place
	inherits  uint64         // the call whose party gets the media of this side
	left      bool           // its peer has hung up, though the call goes on
	noTCP     bool           // a large request was refused over TCP: UDP must do
}

// opened is a request of a side that we have to answer.
type opened struct {
	server  transaction.Server
	joint   uint16 // of another call: its pending request; 0: it came from a peer
	head    []byte // start of every response to it
	method  wire.Method
	ref     uint8
	seq     uint32
	offer   bool // it carried an offer
	acked   bool
	session dialog.Session // the timer that a 2xx to it agrees to
}

// pending is a request of ours inside a dialog.
type pending struct {
	serial uint16
	method call.Method
	name   string // of a method that package call does not tell apart
	side   call.Side
	fork   uint8
	ref    uint8
	offer  bool // a re-INVITE that carried an offer
	fresh  bool // of something new; else it repeats what the side was sent last
	done   bool // a re-INVITE that has its 2xx; kept to ACK copies until another has
	own    bool // not the machine's: nobody hears of its answer
	client transaction.Client
	from   opened    // the request it relays
	sent   time.Time // for the first time
	digest digest.Attempt
	hop    netip.AddrPort // where it went, if that is one of several addresses of a name
	tail   []byte         // further headers and body, kept where a challenge may ask for them again
}

func (c *session) leg(side call.Side) *leg {
	if side == call.Caller {
		return &c.caller
	}
	return &c.callee
}

// dialogOf returns the dialog with a side; fork chooses among the callee's.
func (c *session) dialogOf(side call.Side, fork uint8) *dialog.Dialog {
	if side == call.Caller {
		return &c.caller.dialog
	}
	if int(fork) < len(c.forks) {
		return &c.forks[fork]
	}
	return &c.callee.dialog
}

// livesIn reports whether a dialog is that of the answered call. The callee may have further ones, of forks that ring or have lost.
func (c *session) livesIn(side call.Side, fork uint8) bool {
	chosen, answered := c.machine.Chosen()
	return side == call.Caller || answered && fork == chosen
}

// gone: its dialog is over, though the call may go on without it.
func (l *leg) gone() bool { return l.left || l.joint.up }

func mediaSide(side call.Side) media.Side {
	if side == call.Caller {
		return media.Caller
	}
	return media.Callee
}

// step gives one event to the machine and does what it answers, then the same
// with what came of that.
func (c *session) step(now time.Time, ev call.Event) {
	s := c.shard
	outer := s.current
	s.current = c // stays when a panic passes: see survive
	for {
		for _, a := range c.machine.Step(now, ev) {
			c.perform(now, a)
		}
		if c.finished {
			s.current = outer
			return
		}
		if len(c.next) == 0 {
			break
		}
		ev = c.next[0]
		c.next = append(c.next[:0], c.next[1:]...)
	}
	if c.digits != nil && outer == nil {
		c.sayDigits(now)
	}
	s.wheel.Start(&c.due, c.machine.NextDeadline())
	s.current = outer
}

// then queues an event that followed from doing an action.
func (c *session) then(ev call.Event) { c.next = append(c.next, ev) }

// mediaFailed queues the news that a body could not be negotiated; it goes
// before anything else.
func (c *session) mediaFailed(err error) {
	ev := call.Event{Kind: call.MediaFailed}
	if refused, ok := err.(*media.Error); ok {
		ev.Code = uint16(refused.Status)
	}
	c.next = append([]call.Event{ev}, c.next...)
}

// forkOf returns the number of the dialog that a response belongs to, making it
// if the To tag is new. ok is false when there is no room for another.
func (c *session) forkOf(m *wire.Message, attempt uint8) (fork uint8, ok bool) {
	for i := range c.forks {
		f := &c.forks[i]
		if bytes.Equal(f.RemoteTag, m.To.Tag) && bytes.Equal(f.LocalTag, m.From.Tag) {
			return uint8(i), true
		}
	}
	if len(c.forks) == maxForks {
		return 0, false
	}
	if d := &c.callee.dialog; bytes.Equal(d.LocalTag, m.From.Tag) {
		c.forks = append(c.forks, d.Fork(m))
	} else { // of an attempt before, whose dialog is gone
		c.forks = append(c.forks, dialog.FromOrphan(m, c.shard.contact(c.shard.at)))
	}
	c.forkAttempts = append(c.forkAttempts, attempt)
	return uint8(len(c.forks) - 1), true
}

// maxForks bounds the dialogs one call can have with its callee. Beyond it
// provisionals are dropped and 2xx are ACKed and ended at once.
const maxForks = 32

// sideOf returns the side and fork whose dialog a request belongs to.
func (c *session) sideOf(m *wire.Message) (call.Side, uint8, bool) {
	if c.caller.dialog.Matches(m) {
		return call.Caller, 0, true
	}
	for i := range c.forks {
		if c.forks[i].Matches(m) {
			return call.Callee, uint8(i), true
		}
	}
	return call.Nobody, 0, false
}

// request returns the pending request with this serial number, or nil.
func (c *session) request(serial uint16) *pending {
	for i := range c.pending {
		if c.pending[i].serial == serial {
			return &c.pending[i]
		}
	}
	return nil
}

// add makes room for a new pending request and returns it.
func (c *session) add(p pending) *pending {
	p.serial = c.nextSerial()
	for i := range c.pending {
		old := &c.pending[i]
		if old.done && len(c.pending) > maxPending {
			*old = p
			return old
		}
	}
	c.pending = append(c.pending, p)
	return &c.pending[len(c.pending)-1]
}

const maxPending = 16

// lastSerial is the highest number of a pending request: those above mean something else in a token and in a delivery.
const lastSerial = 0x7fef

// nextSerial returns the number of a new pending request. A call may have more of them in its hours than there are numbers, so
// they begin anew, less those still in use.
func (c *session) nextSerial() uint16 {
	for {
		if c.serial++; c.serial > lastSerial {
			c.serial = 1
		}
		if c.request(c.serial) == nil {
			return c.serial
		}
	}
}

// remove forgets a pending request that has its answer.
func (c *session) remove(serial uint16) {
	for i := range c.pending {
		if c.pending[i].serial == serial {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			return
		}
	}
}

// removeAnswered forgets the re-INVITEs to a side whose 2xx came before that of serial: they have their ACK, or serial's INVITE would have
// been refused (RFC 5407 §3.1).
func (c *session) removeAnswered(side call.Side, serial uint16) {
	c.pending = slices.DeleteFunc(c.pending, func(p pending) bool { return p.done && p.side == side && p.serial != serial })
}

// reinvite returns our re-INVITE to side with that ref, or nil.
func (c *session) reinvite(side call.Side, ref uint8) *pending {
	for i := range c.pending {
		p := &c.pending[i]
		if p.method == call.INVITE && p.side == side && p.ref == ref {
			return p
		}
	}
	return nil
}
