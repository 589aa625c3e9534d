// Package call is the B2BUA call machine: events in, actions out. It owns the decisions about one call
// between a caller and a callee: who is invited, what crosses, who hears which response, which dialog gets
// an ACK or a BYE, when waiting ends, and what the one record of the call says.
//
// It is called by package sip, which owns everything with bytes: transactions (retransmissions, Timers A to
// M, CANCEL held back until a provisional), dialogs (tags, CSeq, routes), digest, media, message building.
// The machine never does I/O, reads no clock, writes no log and knows no message. "The message at hand" is
// the one that the event of this Step tells about; the shell does the actions of a Step, in order, before it
// lets go of that message.
//
//	           Start                    18x                     2xx              ACK
//	Idle ─────────────────► Inviting ─────────► Ringing ─────────────► Answering ────► Connected ─┐
//	 │     invite-callee     │  ▲  │  respond 18x │  │    respond 200       │     re-INVITE, ▲     │
//	 │                       │  └──┴──────────────┘  │    ack-callee        │     UPDATE,    │     │
//	 │ Refuse                │  next target: silence,│                      │     INFO …     └─────┤
//	 │                       │  timeout, 5xx, 3xx    │                      │                      │
//	 │  respond 4xx–6xx      │ CANCEL, 3xx–6xx, BYE, timeout, hang-up       │ BYE, no ACK, hang-up │
//	 ▼                       ▼                       ▼                      ▼                      │
//	Ended ◄───────────────── Ending ◄──────────────────────────────────────────────────────────────┘
//	          quiet,         487, ACK and BYE for late 2xx, answers to BYE are awaited
//	          or 64*T1
//
// Each wait has a deadline (NextDeadline, then a Tick), so a call ends even if nobody reports anything. Each
// way out passes through CloseMedia and Finish, once each; Record is complete then.
//
// # Decisions
//
// One To tag. All forks of the callee are shown to the caller in one dialog, on 180, 183, 200 and 487 alike.
// The media relay shows the same address whichever fork sends, so that early media of several forks and the
// final answer need no second dialog at the caller (RFC 7092 §3.1 leaves that to the B2BUA).
//
// The ACK to the callee leaves with the 2xx to the caller, not with the caller's ACK: a slow caller costs no
// repeated 2xx on the trunk. Only if the 2xx brought the offer does it wait for the answer in the caller's
// ACK. Until that ACK comes, re-INVITEs of either side get 491 (RFC 5407 §3.1) and a BYE to the caller is
// held back (RFC 3261 §15); if it never comes, both get BYE.
//
// Reliable provisional responses (RFC 3262) are each leg's own. The callee's get their PRACK at once, except one whose
// offer waits for the answer in the caller's PRACK. The caller gets reliable ones if it requires them, or if it can and
// the callee's was: never more than one without its PRACK. What comes meanwhile is kept, the 2xx too when a description
// was not confirmed yet (Withheld). An offer that comes early crosses as an UPDATE, once both sides have confirmed the
// answer before it.
//
// One re-INVITE or UPDATE with SDP at a time crosses. Nothing is queued: a second of the same side gets 500
// with Retry-After, one of the other side 491, and who asked backs off by itself (RFC 3261 §14.1). Our own
// re-INVITEs back off and are repeated here.
//
// Session timers (RFC 4028) run per side from SessionAgreed, which follows each 2xx to an INVITE or UPDATE. A side we
// refresh gets an UPDATE, or a re-INVITE with the session as it is; one that does not refresh in time ends the call.
//
// A transfer (RFC 3515) does not touch the call until its target has answered: the shell makes that answer a re-INVITE of
// the side that asked, which crosses as any other, and tells Joined when it has. What the target says before becomes
// NOTIFYs. The side that asked may hang up meanwhile; the other one is told nothing of it. If the target fails the call
// comes back, or ends when nobody is left.
//
// 481, 408 and silence to a re-INVITE or UPDATE, and 481 to anything else, end the call (RFC 3261 §12.2.1.2).
// Every other refusal leaves the session as it was; codes that would end the dialog of the side that asked
// become 500 (RFC 5057 §5.1).
//
// A call that was answered after more than one early dialog was heard stays for 64*T1 after the 2xx, for the
// 2xx of the others. Any other call is forgotten as soon as it is quiet.
//
// # What the shell owes
//
//   - One goroutine steps a call; actions are done at once and in order; a Tick at NextDeadline.
//   - Numbers: To-tags of the callee become Fork 0, 1, 2 … over all attempts of the call; a response
//     without To tag takes the number of its attempt's first. Attempt and Ref are echoed as given.
//   - At most one action of a Step carries a body that media must negotiate. If that fails, it is skipped,
//     the others are done, and MediaFailed is stepped next. After a non-2xx to a re-INVITE or UPDATE the
//     media bridge goes back to what was agreed before.
//   - RSeq and RAck: copies and early ones of the callee are dropped, a PRACK that matches nothing gets 481; the
//     machine hears of the others.
//   - InviteCallee may come after the caller's INVITE left the hand: its URI, headers and offer are kept until
//     the call is answered or over.
//   - After Finish, a 2xx of the callee that still comes is ACKed and, if its dialog had no BYE, BYEd without
//     a call; requests in its dialogs get 481.
//   - Requests left without an answer at Finish (only after a deadline) are left to the transaction layer.
package call
