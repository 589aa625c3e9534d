package call

// ActionKind says what the shell must do. The comment of each names the fields of Action it uses.
type ActionKind uint8

const (
	// RespondCaller: answer the caller's first INVITE with Code (101–699), never two finals. Fork: whose
	// response it shows. Body: BodyAtHand = that SDP through media; BodyLast = the answer this fork gave in
	// a provisional. AtHand: the callee's response is at hand; its Reason, Retry-After, Warning (and the
	// Contact of a relayed 3xx) are carried over as header policy allows. RetryAfter, Reason. All responses
	// carry one and the same To tag, whichever fork they come from. Reliable: with RSeq, repeated until its
	// PRACK. Later: written now, kept, and sent by RespondKept; a final response without Later drops what is kept.
	RespondCaller ActionKind = iota + 1
	// RespondKept: send the caller the oldest response that was kept.
	RespondKept
	// InviteCallee: send the caller's INVITE to target number Attempt, as a new dialog (own Call-ID,
	// From tag). Body: BodyLast = the caller's offer through media; BodyNone = no offer (late offer).
	// The shell keeps what it needs of the caller's INVITE until the call is answered or over.
	InviteCallee
	// CancelCallee: CANCEL the INVITE of Attempt; the layer waits for a provisional (CAN-02). Its final
	// response, 2xx included, is still reported. Reason; AtHand: copy the Reason of the message at hand.
	CancelCallee
	// AckCallee: ACK the 2xx of Attempt and Fork. Again: repeat that ACK as it was sent. Body: BodyAtHand =
	// the answer in the caller's ACK through media (late offer).
	AckCallee
	// Prack: confirm the last reliable provisional response of Fork. Body: BodyAtHand = the answer in the
	// caller's PRACK through media (late offer).
	Prack
	// Bye: send BYE to Side (and Fork, callee side); RequestAnswered or RequestFailed will tell.
	// Reason; AtHand: copy the Reason of the BYE at hand. Cause: for the edge's own Reason text.
	Bye
	// Respond: answer the in-dialog request at hand of Side with Code. RetryAfter. A 200 has no body.
	Respond
	// Relay: send the in-dialog request at hand, as Method, to Side (the other one), Fork. Body: BodyAtHand = its
	// SDP through media (UPDATE, also for an offer in a PRACK); other bodies cross as header policy allows. The
	// shell keeps the pair of transactions, so that the answer finds its way back.
	Relay
	// Play: play the digit that the INFO at hand of Side names to the other side's media, and answer it.
	Play
	// RelayResponse: answer the relayed request Method of Side with Code: the one whose pair is at hand;
	// for UPDATE and PRACK the one that is open. AtHand: the response of the other side is at hand.
	// Body: BodyAtHand = its SDP through media.
	RelayResponse
	// Reinvite: send a re-INVITE to Side. Ref names it from now on, on both sides. BodyAtHand = the offer
	// of the re-INVITE at hand through media; BodyNone = relayed without an offer; BodyLast = the SDP last
	// sent to Side, unchanged (own refresh and its retry after glare; media takes the answer in its 2xx).
	Reinvite
	// Update: send an UPDATE without a description to Side, Fork, to refresh its session. Ref is not 0, so that
	// its answer is told from that of a relayed one.
	Update
	// RespondReinvite: answer the re-INVITE Ref of Side with Code. It may have arrived steps ago. AtHand: the
	// response of the other side is at hand. Body as in RespondCaller.
	RespondReinvite
	// AckReinvite: ACK the 2xx of Side to re-INVITE Ref. Body: BodyAtHand = the answer in the ACK at hand;
	// BodyLast = the SDP last sent to Side. Again: repeat the ACK as it was sent, or, if none was sent for
	// this Ref, a plain one.
	AckReinvite
	// CancelReinvite: CANCEL the re-INVITE Ref we sent to Side. Its final response is still reported.
	CancelReinvite
	// Transfer: call the target that the REFER at hand of Side names. TargetProgress will tell.
	Transfer
	// Notify: tell Side how its transfer goes, with a NOTIFY (RFC 3515 §2.4.4). Code: 100–699; from 200 on it is the last.
	Notify
	// DropTarget: nobody is left to be joined with the target: CANCEL or BYE it.
	DropTarget
	// TakeContacts: put the untried contacts of the 3xx at hand before the targets left, in order. The
	// InviteCallee after it uses the first.
	TakeContacts
	// CloseMedia: the call is over for both parties: end the media bridge, keep its statistics, give back
	// the channel. Once per call, before Finish.
	CloseMedia
	// Ignore: the event has no place in this state; count it.
	Ignore
	// Finish: read Record, write it, forget the call. Once per call, last of all.
	Finish
)

var actionNames = [...]string{"", "respond-caller", "respond-kept", "invite-callee", "cancel-callee", "ack-callee", "prack", "bye", "respond", "relay", "play",
	"relay-response", "reinvite", "update", "respond-reinvite", "ack-reinvite", "cancel-reinvite", "transfer", "notify", "drop-target", "take-contacts", "close-media", "ignore", "finish"}

func (k ActionKind) String() string { return name(actionNames[:], uint8(k)) }

// Action is one thing to do, a plain value. Fields that the kind does not name are zero.
type Action struct {
	Kind       ActionKind
	Side       Side
	Method     Method
	Attempt    uint8
	Fork       uint8
	Ref        uint8
	Body       Body
	Cause      Cause
	AtHand     bool
	Again      bool
	Reliable   bool
	Later      bool
	Code       uint16
	RetryAfter uint16 // seconds; 0 = no Retry-After of ours
	Reason     Reason
}

// Body says which session description the message of an action carries.
type Body uint8

const (
	BodyNone   Body = iota
	BodyAtHand      // that of the message at hand, through media; may fail: see MediaFailed
	BodyLast        // the one the shell kept: see the action
)

var bodyNames = [...]string{"none", "at-hand", "last"}

func (b Body) String() string { return name(bodyNames[:], uint8(b)) }
