package wire

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

type Envelope struct {
	Request                                bool
	Method                                 Method
	Status                                 int
	Branch, SentBy, CallID, FromTag, ToTag []byte
	CSeq                                   uint32
	CSeqMethod                             Method
}

func Scan(b []byte, e *Envelope) bool { return false }

type Via struct {
	Transport, Host  []byte
	Port             int
	Branch, Received []byte
	RPort            bool
	RPortValue       int
	Params           []byte
}

type Address struct{ Display, URI, Tag, Params []byte }

func (a Address) Param(name string) (value []byte, ok bool) { return nil, false }

type URI struct {
	Scheme, User, Password, Host []byte
	Port                         int
	Params, Headers              []byte
}

func (u URI) Param(name string) ([]byte, bool) { return nil, false }

func ParseURI(b []byte) (URI, error)         { return URI{}, nil }
func ParseAddress(b []byte) (Address, error) { return Address{}, nil }
func ParseVia(b []byte) (Via, error)         { return Via{}, nil }

// ParseRoute reads one Route or Record-Route value; without angle brackets all parameters belong to the URI.
func ParseRoute(b []byte) (Address, error) { return Address{}, nil }

// SplitList yields the elements of a comma list; quotes and angle brackets are respected.
func SplitList(value []byte) func(yield func([]byte) bool) { return func(func([]byte) bool) {} }

type Error struct {
	Status int
	Reason string
	Cause  string
}

func (e *Error) Error() string { return "wire: " + e.Cause }

// Causes lists every Error.Cause, for zeroing counters at start.
func Causes() []string { return nil }

func AppendHeader(b []byte, name string, value []byte) []byte            { return b }
func AppendHeaderString(b []byte, name, value string) []byte             { return b }
func AppendRequestLine(b []byte, method string, uri []byte) []byte       { return b }
func AppendStatusLine(b []byte, status int, reason string) []byte        { return b }
func AppendVia(b []byte, transport, sentBy string, branch []byte) []byte { return b }
func AppendResponse(b []byte, req *Message, status int, reason string, toTag []byte, src netip.AddrPort) []byte {
	return b
}
func AppendBody(b []byte, contentType string, body []byte) []byte { return b }

// AppendLines copies every line of this header from m.
func AppendLines(b []byte, m *Message, id ID) []byte { return b }

// AppendNameAddr writes `"display" <uri>`, quoting where needed.
func AppendNameAddr(b, display, uri []byte) []byte { return b }
func ReasonPhrase(status int) string               { return "" }

// SDP returns the application/sdp part of a body.
func SDP(contentType, body []byte) []byte { return nil }

// Event is what a Framer found in a stream.
type Event uint8

const (
	None  Event = iota // more bytes are needed
	Whole              // a whole message
	Ping               // CRLF CRLF: answer with CRLF
	Pong               // CRLF: an answer to our ping, or the first half of a ping
)

// Framer cuts a byte stream into messages. Zero value is ready.
type Framer struct{}

// Space returns room of at least n bytes to read into; follow with Filled.
func (f *Framer) Space(n int) []byte { return make([]byte, n) }
func (f *Framer) Filled(n int)       {}
func (f *Framer) Feed(b []byte)      {}

// Next: on error close the connection; message then holds the head (for a 400), or nil.
func (f *Framer) Next() (message []byte, e Event, err error) { return nil, None, nil }

func (m *Message) SipgoRequest() (*sip.Request, error)   { return nil, nil }
func (m *Message) SipgoResponse() (*sip.Response, error) { return nil, nil }
