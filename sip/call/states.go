package call

// State is where a call stands. One method, enter, changes it.
type State uint8

const (
	// Idle: no INVITE yet. Only Start and Refuse mean anything.
	Idle State = iota
	// Inviting: the callee was invited (RFC 3261 §13.2) and has said nothing but 100.
	// The caller may cancel; in-dialog requests of the caller do not exist yet.
	// Ends by: silence limit, ring limit.
	Inviting
	// Ringing: the callee sent 101–199 and the caller heard it. Several early dialogs may
	// live side by side, told apart by Fork (RFC 3261 §13.2.2.1). A BYE ends the call, a
	// re-INVITE is refused with 500 (caller) or 491 (callee). Ends by: ring limit.
	Ringing
	// Withheld: one fork's 2xx is chosen and ACKed, but the caller must first confirm a
	// reliable provisional response with a description (RFC 3262 §3). To the caller it
	// still rings. Ends by: its PRACK, ring limit.
	Withheld
	// Answering: one fork's 2xx is chosen and relayed, the caller's ACK is awaited
	// (RFC 3261 §13.3.1.4). Re-INVITEs get 491 (RFC 5407 §3.1), BYE to the caller waits
	// for that ACK (RFC 3261 §15). Ends by: 64*T1.
	Answering
	// Connected: both dialogs are confirmed. One re-INVITE at a time crosses (RFC 3261 §14).
	// Ends by: BYE, a lost dialog, the longest allowed duration.
	Connected
	// Ending: the outcome is settled. We wait for answers to BYE and CANCEL, and ACK and BYE
	// every late 2xx (RFC 3261 §9.1, §13.2.2.4). New requests get 481. Ends by: quiet, 64*T1.
	Ending
	// Ended: Finish was returned. Every further event is without effect.
	Ended
)

var stateNames = [...]string{"idle", "inviting", "ringing", "withheld", "answering", "connected", "ending", "ended"}

func (s State) String() string { return name(stateNames[:], uint8(s)) }

// Side names a party of the call.
type Side uint8

const (
	Nobody Side = iota
	Caller      // who sent the INVITE; we are the UAS of its dialog
	Callee      // whom we invited; we are the UAC of its dialog
	Edge        // ourselves
)

var sideNames = [...]string{"nobody", "caller", "callee", "edge"}

func (s Side) String() string { return name(sideNames[:], uint8(s)) }

// Other returns the opposite party of Caller or Callee.
func (s Side) Other() Side {
	if s == Caller {
		return Callee
	}
	return Caller
}

func name(names []string, i uint8) string {
	if int(i) < len(names) {
		return names[i]
	}
	return "unknown"
}
