package dialog

import (
	"strconv"

	"trunkline/sip/wire"
)

// reliability is what a dialog knows of reliable provisional responses (RFC 3262): as who asked, the last one that came;
// as who was asked, the last one made and the one that waits for its PRACK.
type reliability struct {
	seq, inviteSeq uint32 // RSeq and CSeq number of the last that came in order; 0: none yet
	made, unacked  uint32 // RSeq of ours
}

// AcceptReliable checks the RSeq of a reliable provisional response from the peer and remembers it. It reports false for
// a copy and for one that came before its turn, which must be dropped (RFC 3262 §4). The first of an INVITE may have any
// number.
func (d *Dialog) AcceptReliable(rseq, inviteSeq uint32) bool {
	r := &d.reliable
	if rseq == 0 || r.seq != 0 && r.inviteSeq == inviteSeq && rseq != r.seq+1 {
		return false
	}
	r.seq, r.inviteSeq = rseq, inviteSeq
	return true
}

// AppendRAck appends the RAck line of a PRACK for the last response AcceptReliable took.
func (d *Dialog) AppendRAck(b []byte) []byte {
	b = append(b, "RAck: "...)
	b = strconv.AppendUint(b, uint64(d.reliable.seq), 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(d.reliable.inviteSeq), 10)
	return append(b, " INVITE\r\n"...)
}

// NextRSeq returns the RSeq of a new reliable provisional response of ours: first for the first one, from then on one
// more each time. first is 1 to 2^31-1.
func (d *Dialog) NextRSeq(first uint32) uint32 {
	r := &d.reliable
	if r.made == 0 {
		r.made = first
	} else {
		r.made++
	}
	return r.made
}

// AwaitPrack notes that the response with this RSeq went out.
func (d *Dialog) AwaitPrack(rseq uint32) { d.reliable.unacked = rseq }

// Acknowledge reports whether a PRACK is for the response that waits for one, of our INVITE transaction with that CSeq
// number, and if so ends its wait (RFC 3262 §3).
func (d *Dialog) Acknowledge(prack *wire.Message, inviteSeq uint32) bool {
	rseq, seq, ok := prack.RAck()
	if !ok || d.reliable.unacked == 0 || rseq != d.reliable.unacked || seq != inviteSeq {
		return false
	}
	d.reliable.unacked = 0
	return true
}
