package transaction

// Stats are the counters of a layer since it was made, and its sizes at the moment.
type Stats struct {
	Clients, Servers             int    // live transactions
	LingerRecords, LingerBytes   int    // finished ones kept for copies
	ClientsBegun, ServersBegun   uint64 // transactions begun
	ClientInvites, ServerInvites uint64 // INVITE transactions among those

	RequestRepeats  [2]uint64 // requests we sent again: non-INVITE, INVITE
	ResponseRepeats [2]uint64 // responses we sent again on a timer: other final, 2xx to INVITE
	RequestCopies   [2]uint64 // copies of requests that came: non-INVITE, INVITE
	ResponseCopies  [2]uint64 // copies of final responses that came: non-INVITE, INVITE
	AckCopies       uint64    // ACKs that changed nothing

	Acks, Cancels    uint64    // ACKs for refusals, and CANCELs, that we sent
	Failures         [5]uint64 // client transactions that failed, by Failure
	AckTimeouts      uint64    // 2xx never ACKed
	SendErrors       uint64    // Send returned an error
	Merged           uint64    // requests answered 482
	UnmatchedCancels uint64    // CANCELs answered 481
	LateAnswers      uint64    // 2xx to an INVITE that had failed or been refused
	Full             uint64    // transactions refused for want of room
	LingerEvicted    uint64    // finished transactions forgotten early for want of room
	Suppressed       uint64    // responses to non-INVITE not sent (RFC 4320)
	Unsendable       uint64    // ACK or CANCEL that could not be made from the INVITE given
}
