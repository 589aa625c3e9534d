package wire

import (
	"encoding/binary"
	"slices"
)

// Parse indexes the message in b and checks it strictly; what it accepts may be copied to another leg header by
// header. The octets behind Content-Length are left out, so one datagram holds one message (RFC 3261 §18.3).
// b is written to only to turn folding into spaces.
//
// On failure it returns a *Error. If its Status is not 0, Via, From, To, CallID, CSeq and Headers hold
// what could be read, which is enough for AppendResponse: no line with a control character is among them.
// Parse allocates nothing once Headers has grown.
func (m *Message) Parse(b []byte) error {
	m.reset(b)
	i, ok := m.parseStartLine(skipCRLFs(b))
	if !ok {
		return failures[m.failed].drop
	}
	i, ended := m.parseHeaders(i)
	m.checkHeaders()
	if ended {
		m.cutBody(i)
	} else {
		m.fail(failHeaderEnd)
	}
	if m.failed == failNone {
		return nil
	}
	if !m.IsRequest() || m.Method == ACK || m.viaState == viaUnreadable {
		return failures[m.failed].drop
	}
	return failures[m.failed].answer
}

func (m *Message) reset(b []byte) {
	*m = Message{Bytes: b, Headers: m.Headers[:0], MaxForwards: -1, ManyVias: m.ManyVias}
}

// fail keeps the first thing found wrong.
func (m *Message) fail(f failure) {
	if m.failed == failNone {
		m.failed = f
	}
}

func skipCRLFs(b []byte) int {
	i := 0
	for i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
		i += 2
	}
	return i
}

// parseStartLine reads the start line at i and returns the index behind it. With ok false the bytes are no
// SIP message, and there is nothing to answer.
func (m *Message) parseStartLine(i int) (next int, ok bool) {
	b := m.Bytes
	if len(b) > MaxMessage {
		m.fail(failTooLong)
		return i, false
	}
	end := nextControl(b, i)
	if end+1 >= len(b) || b[end] != '\r' || b[end+1] != '\n' {
		m.fail(failNotSIP)
		return i, false
	}
	line := b[i:end:end]
	if isSIPSlash(line) {
		ok = m.parseStatusLine(line)
	} else {
		ok = m.parseRequestLine(line)
	}
	return end + 2, ok
}

// parseStatusLine takes a missing reason phrase, and the missing space before it, which some servers leave out too.
func (m *Message) parseStatusLine(line []byte) bool {
	const version = len("SIP/2.0")
	switch {
	case !hasPrefixFold(line, "sip/2.0"):
		m.fail(failVersion)
	case len(line) < version+4 || line[version] != ' ' || len(line) > version+4 && line[version+4] != ' ':
		m.fail(failStartLine)
	default:
		status, ok := decimal(line[version+1:version+4], 999)
		if ok && status >= 100 && status <= 699 {
			m.Status = int(status)
			m.Reason = trim(line[version+4:])
			return true
		}
		m.fail(failStartLine)
	}
	return false
}

// parseRequestLine wants exactly one space between the parts and none behind them (RFC 3261 §7.1). A line that is
// at least meant as SIP gets its headers read, for the answer.
func (m *Message) parseRequestLine(line []byte) bool {
	method, rest, _ := cutByte(line, ' ')
	uri, version, _ := cutByte(rest, ' ')
	m.MethodName = method
	m.Method = ParseMethod(method)
	if !isVersion(version) {
		if !meantAsSIP(line) {
			m.fail(failNotSIP)
			return false
		}
		m.fail(failStartLine)
		return true
	}
	m.URI = uri
	if !equalFold(version, "sip/2.0") {
		m.fail(failVersion)
	}
	if !isToken(method) {
		m.fail(failStartLine)
	}
	// URI headers are not allowed here (RFC 3261 §19.1.1): a Route in them must not become ours.
	var u URI
	if !u.parse(uri) || u.Headers != nil {
		m.fail(failURI)
	}
	return true
}

// meantAsSIP reports whether the line ends like a request line does, blanks behind it forgiven.
func meantAsSIP(line []byte) bool {
	line = trimRight(line)
	return len(line) > len("SIP/2.0") && isSIPSlash(line[len(line)-len("SIP/2.0"):])
}

// isSIPSlash reports whether b begins with "SIP/" in any case.
func isSIPSlash(b []byte) bool {
	const word = 's' | 'i'<<8 | 'p'<<16 | '/'<<24
	return len(b) >= 4 && binary.LittleEndian.Uint32(b)|lowerCase&(1<<32-1) == word
}

// isVersion reports whether b is SIP/x.y with one or more digits each.
func isVersion(b []byte) bool {
	if !isSIPSlash(b) {
		return false
	}
	major, minor, _ := cutByte(b[4:], '.')
	_, ok := decimal(major, 999)
	_, ok2 := decimal(minor, 999)
	return ok && ok2
}

// parseHeaders indexes the header lines from i on, and returns the index of the body; ended is false
// if the empty line before it is missing.
func (m *Message) parseHeaders(i int) (body int, ended bool) {
	b := m.Bytes
	for {
		if i+1 < len(b) && b[i] == '\r' && b[i+1] == '\n' {
			return i + 2, true
		}
		end, clean := unfold(b, i)
		if end == len(b) {
			return end, false
		}
		if !clean {
			m.fail(failControlCharacter)
		} else if len(m.Headers) == MaxHeaders {
			m.fail(failTooManyHeaders)
		} else {
			m.parseLine(b[i:end:end])
		}
		i = end + 2
	}
}

// unfold finds the CRLF that ends the header line at i, turning the line breaks of folding into spaces
// (RFC 3261 §7.3.1). end is len(b) if there is none; clean is false if a control character is in the line.
func unfold(b []byte, i int) (end int, clean bool) {
	clean = true
	for {
		i = nextControl(b, i)
		if i+1 >= len(b) {
			return len(b), clean
		}
		switch {
		case b[i] == '\t':
			i++
		case b[i] != '\r' || b[i+1] != '\n':
			clean = false
			i++
		case i+2 < len(b) && (b[i+2] == ' ' || b[i+2] == '\t'):
			b[i], b[i+1] = ' ', ' '
			i += 3
		default:
			return i, clean
		}
	}
}

// parseLine splits a header line, puts it into the index, and reads what every message must have or we rely on.
func (m *Message) parseLine(line []byte) {
	colon := nextColon(line)
	name := trimRight(line[:colon])
	id := LookupHeader(name)
	if colon == len(line) || id == HOther && !isToken(name) {
		m.fail(failHeaderLine)
		return
	}
	value := trim(line[colon+1:])
	n := len(m.Headers)
	if n == cap(m.Headers) {
		m.Headers = slices.Grow(m.Headers, 32)
	}
	m.Headers = m.Headers[:n+1]
	h := &m.Headers[n]
	h.ID, h.Name, h.Value = id, name, value
	if id == HOther {
		return
	}
	duty := duties[id]
	first := m.first[id] == 0
	if first {
		m.first[id] = uint8(n + 1)
	} else if duty&single != 0 {
		m.fail(failDuplicate)
		return
	}
	if duty&^single == 0 {
		return
	}
	switch id {
	case HVia:
		if first {
			m.parseTopVia(value)
		} else {
			m.moreVias = true
		}
	case HFrom:
		m.parseParty(&m.From, value)
	case HTo:
		m.parseParty(&m.To, value)
	case HCallID:
		m.CallID = value
	case HCSeq:
		m.parseCSeq(value)
	case HMaxForwards:
		m.parseMaxForwards(value)
	case HContentLength:
		m.parseContentLength(value)
	default:
		// A response is judged by who needs it: a bad Contact must not lose a 200.
		if m.IsRequest() {
			m.checkValue(id, duty, value)
		}
	}
}

// What Parse does with a header, as bits of duties.
const (
	single    = 1 << iota // may stand once: a second one would let two readers of the message differ
	read                  // goes into a field of Message
	addresses             // is a list of addresses in a request
	routes                // is a list of routes in a request
	number                // begins with a number in a request
)

var duties = [numIDs]uint8{
	HVia:               read,
	HFrom:              single | read,
	HTo:                single | read,
	HCallID:            single | read,
	HCSeq:              single | read,
	HMaxForwards:       single | read,
	HContentLength:     single | read,
	HContact:           addresses,
	HReferTo:           single | addresses,
	HRoute:             routes,
	HRecordRoute:       routes,
	HExpires:           single | number,
	HMinExpires:        single | number,
	HSessionExpires:    single | number,
	HMinSE:             single | number,
	HRSeq:              single | number,
	HRAck:              single | number,
	HRetryAfter:        single | number,
	HContentType:       single,
	HReferredBy:        single,
	HReplaces:          single,
	HJoin:              single,
	HEvent:             single,
	HSubscriptionState: single,
	HSIPETag:           single,
	HSIPIfMatch:        single,
	HMaxBreadth:        single,
}

func (m *Message) parseTopVia(value []byte) {
	var end int
	end, m.viaState = m.Via.parse(value, 0)
	if m.viaState != viaGood {
		m.fail(failVia)
	} else if end < len(value) {
		m.moreVias = true
		m.restOfVia = trim(value[end+1:])
	}
}

// parseParty reads From or To.
func (m *Message) parseParty(party *Address, value []byte) {
	var u URI
	if end, ok := party.parse(value, 0, &u); !ok || end != len(value) {
		*party = Address{}
		m.fail(failAddress)
	}
}

func (m *Message) parseCSeq(value []byte) {
	number := leadingDecimal(value)
	n, ok := decimal(number, 1<<31-1)
	i := skipBlank(value, len(number))
	name := value[i:]
	if !ok || n >= 1<<31 || i == len(number) || !isToken(name) {
		m.fail(failCSeq)
		return
	}
	m.CSeq = uint32(n)
	m.CSeqMethod = ParseMethod(name)
	if !m.IsRequest() {
		m.Method, m.MethodName = m.CSeqMethod, name
	} else if string(name) != string(m.MethodName) {
		m.fail(failCSeqMethod)
	}
}

func (m *Message) parseMaxForwards(value []byte) {
	n, ok := decimal(value, 255)
	if ok && n <= 255 {
		m.MaxForwards = int(n)
	} else if m.IsRequest() {
		m.fail(failMaxForwards)
	}
}

func (m *Message) parseContentLength(value []byte) {
	n, ok := decimal(value, MaxMessage)
	if !ok {
		m.fail(failContentLength)
		return
	}
	m.length = int(n)
}

// checkHeaders looks at what can be judged only with all lines read.
func (m *Message) checkHeaders() {
	switch {
	case m.first[HVia] == 0:
		m.fail(failMissingVia)
	case m.first[HFrom] == 0:
		m.fail(failMissingFrom)
	case m.first[HTo] == 0:
		m.fail(failMissingTo)
	case m.first[HCallID] == 0:
		m.fail(failMissingCallID)
	case m.first[HCSeq] == 0:
		m.fail(failMissingCSeq)
	case !isCallID(m.CallID):
		m.fail(failCallID)
	case m.moreVias && !m.IsRequest() && !m.ManyVias:
		m.fail(failExtraVia)
	}
}

// isCallID takes any visible characters: word [ "@" word ] in the RFC, more than that in the field.
func isCallID(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// checkValue checks a header line of a request that is not read into a field, but relied on above.
func (m *Message) checkValue(id ID, duty uint8, value []byte) {
	var (
		a  Address
		u  URI
		ok bool
	)
	switch {
	case duty&number != 0:
		if n, ok := decimal(leadingDecimal(value), 1<<32-1); ok && n > 1<<32-1 {
			m.fail(failNumber)
		}
	case duty&routes != 0:
		for i := 0; i <= len(value); i++ {
			if i, ok = a.parseRoute(value, i, &u); !ok || !u.IsSIP() {
				m.fail(failRoute)
				return
			}
		}
	case id == HContact && m.Method == REGISTER && string(value) == "*":
	default:
		for i := 0; i <= len(value); i++ {
			if i, ok = a.parse(value, i, &u); !ok {
				m.fail(failAddress)
				return
			}
		}
	}
}

// cutBody sets Body from the octets at i on, and Bytes to the end of the message.
func (m *Message) cutBody(i int) {
	length := len(m.Bytes) - i
	if m.first[HContentLength] != 0 {
		if m.length > length {
			m.fail(failTruncated)
		}
		length = min(m.length, length)
	}
	m.Bytes = m.Bytes[: i+length : i+length]
	m.Body = m.Bytes[i:]
}
