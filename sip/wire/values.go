package wire

import "iter"

// IsRequest reports whether the message is a request.
func (m *Message) IsRequest() bool { return m.Status == 0 }

// Has reports whether the message has a line of this header.
func (m *Message) Has(id ID) bool { return m.first[id] != 0 }

// Get returns the value of the first line of this header; nil if there is none, empty if the line is.
func (m *Message) Get(id ID) []byte {
	if k := m.first[id]; k != 0 {
		return m.Headers[k-1].Value
	}
	return nil
}

// GetName returns the value of the first line with this name, for headers that have no ID of their own.
// The name is compared without case. It is nil if there is none.
func (m *Message) GetName(name string) []byte {
	for i := range m.Headers {
		if equalFoldAny(m.Headers[i].Name, name) {
			return m.Headers[i].Value
		}
	}
	return nil
}

// Number returns the number the header's value begins with: seconds in Expires, Session-Expires or Retry-After, the
// sequence number in RSeq and RAck. Numbers of 2^32 and more are given as 2^32. ok is false without a number.
func (m *Message) Number(id ID) (n uint64, ok bool) {
	return decimal(leadingDecimal(m.Get(id)), 1<<32-1)
}

// All yields the value of each line of this header, in order.
func (m *Message) All(id ID) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { m.all(id, yield) }
}

func (m *Message) all(id ID, yield func([]byte) bool) {
	if m.first[id] == 0 {
		return
	}
	for i := int(m.first[id]) - 1; i < len(m.Headers); i++ {
		if m.Headers[i].ID == id && !yield(m.Headers[i].Value) {
			return
		}
	}
}

// Values yields each value of this header, of all its lines, with comma lists split as SplitList does.
// It is for headers that are lists: a Date or a challenge has commas of its own.
func (m *Message) Values(id ID) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { m.values(id, yield) }
}

func (m *Message) values(id ID, yield func([]byte) bool) {
	if m.first[id] == 0 {
		return
	}
	for i := int(m.first[id]) - 1; i < len(m.Headers); i++ {
		if m.Headers[i].ID == id && !splitList(m.Headers[i].Value, yield) {
			return
		}
	}
}

// HasToken reports whether one of the header's values is this token, compared without case, as for option tags
// and event packages. A value's parameters are left out of the comparison.
func (m *Message) HasToken(id ID, token string) bool {
	for value := range m.Values(id) {
		value, _, _ = cutByte(value, ';')
		if equalFoldAny(trimRight(value), token) {
			return true
		}
	}
	return false
}

// SplitList yields the elements of a comma list, trimmed. Commas within quotes or angle brackets separate nothing;
// empty elements are left out.
func SplitList(value []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { splitList(value, yield) }
}

func splitList(value []byte, yield func([]byte) bool) bool {
	start, bracket := 0, false
	for i := 0; i <= len(value); i++ {
		if i < len(value) {
			switch value[i] {
			case '"':
				if end := quotedEnd(value, i); end > 0 {
					i = end - 1
				} else {
					i = len(value) - 1
				}
				continue
			case '<':
				bracket = true
				continue
			case '>':
				bracket = false
				continue
			case ',':
				if bracket {
					continue
				}
			default:
				continue
			}
		}
		if one := trim(value[start:i:i]); len(one) > 0 && !yield(one) {
			return false
		}
		start = i + 1
	}
	return true
}
