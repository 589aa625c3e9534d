package transaction

import (
	"encoding/binary"
	"hash/maphash"

	"trunkline/sip/wire"
)

// key names a server transaction: two keyed hashes of what makes it the same
// request (RFC 3261 §17.2.3). The first is its place in the table, the second is
// compared. 128 bits under keys that never leave the process: no peer can make
// two requests meet.
type key struct{ place, check uint64 }

// key hashes branch, sent-by and method, and with them what a copy, an ACK and a
// CANCEL have in common with their request anyway: Call-ID, From tag and CSeq
// number. So a peer that uses one branch for all its requests gets answers to each, and
// a CANCEL with the right branch and wrong tags matches nothing.
func (l *Layer) key(e *wire.Envelope, method wire.Method) key {
	b := append(l.text[:0], byte(method))
	b = appendField(b, e.Branch)
	b = appendField(b, e.SentBy)
	return l.hash(appendCall(b, e))
}

// oldKey is the key of a request without the magic cookie: Request-URI, top Via,
// Call-ID, From tag and CSeq number (RFC 3261 §17.2.3, the rule for RFC 2543).
func (l *Layer) oldKey(e *wire.Envelope, m *wire.Message, method wire.Method) key {
	b := append(l.text[:0], ^byte(method))
	b = appendField(b, m.URI)
	b = appendField(b, m.Get(wire.HVia))
	return l.hash(appendCall(b, e))
}

// mergeKey is the same for all paths that one request may take: RFC 3261 §8.2.2.2.
func (l *Layer) mergeKey(e *wire.Envelope) uint64 {
	l.text = appendCall(append(l.text[:0], byte(e.Method)), e)
	return maphash.Bytes(l.seeds[0], l.text)
}

func appendCall(b []byte, e *wire.Envelope) []byte {
	b = appendField(b, e.CallID)
	b = appendField(b, e.FromTag)
	return binary.BigEndian.AppendUint32(b, e.CSeq)
}

// appendField puts the length before the field, so that no two lists of fields
// look alike.
func appendField(b, field []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(field)))
	return append(b, field...)
}

func (l *Layer) hash(text []byte) key {
	l.text = text
	return key{maphash.Bytes(l.seeds[0], text), maphash.Bytes(l.seeds[1], text)}
}

// keyOf returns the key of a request, old or new.
func (l *Layer) keyOf(e *wire.Envelope, m *wire.Message, method wire.Method) key {
	if hasCookie(e.Branch) {
		return l.key(e, method)
	}
	return l.oldKey(e, m, method)
}

// findServer returns the live transaction with this key and its slot, or the
// record of a finished one and its bytes, or none of both.
func (l *Layer) findServer(k key) (slot uint32, tx *serverTx, r *pastRecord[serverPast], stored []byte) {
	value, ok := l.byKey.get(k.place)
	if !ok {
		return 0, nil, nil, nil
	}
	if value&lingering == 0 {
		if tx = l.servers.at(value); tx.key != k {
			return 0, nil, nil, nil
		}
		return value, tx, nil, nil
	}
	if r, stored = l.serverPast.get(value); r.is.check != k.check {
		return 0, nil, nil, nil
	}
	return 0, nil, r, stored
}
