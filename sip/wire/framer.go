package wire

import "bytes"

// Event says what a Framer found next in its stream.
type Event uint8

// The events.
const (
	None  Event = iota // nothing whole: read more
	Whole              // a message
	Ping               // CRLF CRLF, to be answered with CRLF (RFC 5626 §4.4.1)
	Pong               // CRLF: the answer to our ping, or the first half of the peer's
)

// Framer cuts a TCP or TLS stream into messages and keep-alives (RFC 3261 §18.3, RFC 5626 §3.5.1). It looks only
// at the end of the header and at Content-Length, so a message with any other fault is handed out whole, to be refused
// by Parse, and the connection lives on. The zero value is ready. It holds at most MaxMessage octets and
// what one read added.
type Framer struct {
	buf     []byte
	start   int // of what has not been handed out
	scanned int // octets from start on known to hold no end of header
	total   int // length of the message at start, once its header is there
	half    bool
	err     error
}

// Space returns room to read the stream into, at least n octets; Filled must follow. It makes messages
// handed out before invalid.
func (f *Framer) Space(n int) []byte {
	const keep = 16 << 10 // an idle connection should not hold the buffer of its largest message
	switch {
	case f.start == len(f.buf) && cap(f.buf) > keep:
		f.buf, f.start = nil, 0
	case f.start > 0 && cap(f.buf)-len(f.buf) < n:
		f.buf = f.buf[:copy(f.buf, f.buf[f.start:])]
		f.start = 0
	case f.start == len(f.buf):
		f.buf, f.start = f.buf[:0], 0
	}
	if cap(f.buf)-len(f.buf) < n {
		grown := make([]byte, len(f.buf), max(len(f.buf)+n, 2*len(f.buf)))
		copy(grown, f.buf)
		f.buf = grown
	}
	return f.buf[len(f.buf):cap(f.buf)]
}

// Filled says that n octets of the last Space have been filled.
func (f *Framer) Filled(n int) { f.buf = f.buf[:len(f.buf)+n] }

// Feed copies b behind what is there already.
func (f *Framer) Feed(b []byte) {
	f.Filled(copy(f.Space(len(b)), b))
}

// Next returns what comes next in the stream. Call it until it gives None, then read more. message is set with Whole
// and valid until the next Space or Feed.
//
// After an error the stream is lost and the connection must be closed: every further call returns the same *Error.
// Its cause is CauseContentLength if Content-Length is missing, stands twice or is no number, CauseTooLong if
// the message is, and CauseNotSIP if what comes is no message. Where the header was found, message then holds
// it, for a 400 before closing.
func (f *Framer) Next() (message []byte, e Event, err error) {
	if f.err != nil {
		return nil, None, f.err
	}
	pending := f.buf[f.start:]
	if f.total == 0 {
		if len(pending) == 0 {
			return nil, None, nil
		}
		if pending[0] == '\r' {
			return f.keepAlive(pending)
		}
		f.half = false
		if charClass[pending[0]]&tokenChar == 0 {
			return f.fail(nil, failNotSIP)
		}
		n := bytes.Index(pending[f.scanned:], headerEnd)
		if n < 0 {
			f.scanned = max(0, len(pending)-len(headerEnd)+1)
			if len(pending) > MaxMessage {
				return f.fail(nil, failTooLong)
			}
			return nil, None, nil
		}
		head := pending[:f.scanned+n+len(headerEnd)]
		length, bad := streamLength(head)
		if bad == failNone && len(head)+length > MaxMessage {
			bad = failTooLong
		}
		if bad != failNone {
			return f.fail(head, bad)
		}
		f.total = len(head) + length
	}
	if len(pending) < f.total {
		return nil, None, nil
	}
	message = pending[:f.total:f.total]
	f.start += f.total
	f.total, f.scanned = 0, 0
	return message, Whole, nil
}

var headerEnd = []byte("\r\n\r\n")

// keepAlive takes one CRLF from between messages. The first of two is told at once, since our own ping may be
// waiting for it, and the second makes the pair a ping.
func (f *Framer) keepAlive(pending []byte) ([]byte, Event, error) {
	if len(pending) == 1 {
		return nil, None, nil
	}
	if pending[1] != '\n' {
		return f.fail(nil, failNotSIP)
	}
	f.start += 2
	f.half = !f.half
	if f.half {
		return nil, Pong, nil
	}
	return nil, Ping, nil
}

func (f *Framer) fail(head []byte, cause failure) ([]byte, Event, error) {
	f.err = failures[cause].answer
	return head, None, f.err
}

// streamLength reads the Content-Length of the header section in head, which a stream cannot do without.
func streamLength(head []byte) (length int, bad failure) {
	found := false
	i := bytes.Index(head, crlf) + len(crlf)
	for i < len(head) && head[i] != '\r' {
		end := lineEnd(head, i)
		name, value, colon := cutByte(head[i:end], ':')
		i = end + len(crlf)
		if !colon || LookupHeader(trimRight(name)) != HContentLength {
			continue
		}
		n, ok := decimal(trimFold(value), MaxMessage)
		if !ok || found {
			return 0, failContentLength
		}
		length, found = int(n), true
	}
	if !found {
		return 0, failContentLength
	}
	return length, failNone
}
