package wire

// RAck returns what a PRACK confirms: the RSeq and the CSeq number of an INVITE (RFC 3262 §7.2). ok is false without the
// header, for another method, and for numbers beyond 32 bits.
func (m *Message) RAck() (rseq, cseq uint32, ok bool) {
	value := m.Get(HRAck)
	first := leadingDecimal(value)
	a, okA := decimal(first, 1<<32-1)
	value = value[len(first):]
	rest := trim(value)
	second := leadingDecimal(rest)
	b, okB := decimal(second, 1<<32-1)
	method := rest[len(second):]
	if !okA || !okB || a > 1<<32-1 || b > 1<<32-1 || len(rest) == len(value) || len(trim(method)) == len(method) || string(trim(method)) != "INVITE" {
		return 0, 0, false
	}
	return uint32(a), uint32(b), true
}

// Reliable returns the RSeq of a provisional response that wants a PRACK; ok is false for any other message
// (RFC 3262 §4: Require: 100rel and an RSeq from 1 to 2^32-1).
func (m *Message) Reliable() (rseq uint32, ok bool) {
	if m.Status <= 100 || m.Status >= 200 || !m.HasToken(HRequire, "100rel") {
		return 0, false
	}
	n, ok := m.Number(HRSeq)
	return uint32(n), ok && n > 0 && n < 1<<32
}
