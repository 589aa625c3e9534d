package wire

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

	first     [numIDs]uint8 // position in Headers plus one; 0: the header is not there
	failed    failure
	viaState  viaState
	moreVias  bool
	restOfVia []byte // what follows the first comma of the topmost Via line
	length    int    // Content-Length, at most MaxMessage+1
}
