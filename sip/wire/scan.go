package wire

import (
	"bytes"
	"encoding/binary"
)

// Envelope is what identifies a message's transaction and dialog. Its slices point into the scanned bytes.
// A field that could not be found is nil or zero.
type Envelope struct {
	Request        bool
	Method         Method // of the request line; of CSeq in a response
	Status         int    // of a response, as sent; 0 in a request
	Branch, SentBy []byte // of the topmost Via; SentBy is host and port as received
	CallID         []byte
	FromTag, ToTag []byte
	CSeq           uint32
	CSeqMethod     Method
}

// Scan finds the envelope of the message in b and reports whether b looks like SIP at all. It checks little and stops
// when it has found everything, so it may serve for absorbing retransmissions, for admission and for choosing a
// shard, but not for trust; on every message that Parse accepts, the two agree. It neither allocates nor writes.
func Scan(b []byte, e *Envelope) bool {
	*e = Envelope{}
	i := e.scanStartLine(b, skipCRLFs(b))
	if i == 0 {
		return false
	}
	const all = 1<<HVia | 1<<HFrom | 1<<HTo | 1<<HCallID | 1<<HCSeq
	found := 0
	for found != all && i < len(b) && b[i] != '\r' {
		end := lineEnd(b, i)
		id, value := envelopeHeader(b[i:end])
		i = end + 2
		if id == HOther || found&(1<<id) != 0 {
			continue
		}
		found |= 1 << id
		switch id {
		case HVia:
			e.scanVia(value)
		case HFrom:
			e.FromTag = scanTag(value)
		case HTo:
			e.ToTag = scanTag(value)
		case HCallID:
			e.CallID = trimFold(value)
		case HCSeq:
			e.scanCSeq(value)
		}
	}
	return true
}

// envelopeHeader returns the value of a line that is one of the five headers Scan reads, and HOther for any other. Names
// written the usual way are told by one comparison.
func envelopeHeader(line []byte) (id ID, value []byte) {
	const (
		via    = 'v' | 'i'<<8 | 'a'<<16 | ':'<<24
		from   = 'f' | 'r'<<8 | 'o'<<16 | 'm'<<24 | ':'<<32
		to     = 't' | 'o'<<8 | ':'<<16
		cseq   = 'c' | 's'<<8 | 'e'<<16 | 'q'<<24 | ':'<<32
		callID = 'c' | 'a'<<8 | 'l'<<16 | 'l'<<24 | '-'<<32 | 'i'<<40 | 'd'<<48 | ':'<<56
	)
	if len(line) < 8 {
		return otherEnvelopeHeader(line)
	}
	name := binary.LittleEndian.Uint64(line) | lowerCase
	switch byte(name) {
	case 'v':
		if name&0xffffffff == via {
			return HVia, line[4:]
		}
	case 'f':
		if name&0xffffffffff == from {
			return HFrom, line[5:]
		}
	case 't':
		if name&0xffffff == to {
			return HTo, line[3:]
		}
	case 'c':
		if name == callID {
			return HCallID, line[8:]
		}
		if name&0xffffffffff == cseq {
			return HCSeq, line[5:]
		}
	case 'i':
	default:
		return HOther, nil
	}
	return otherEnvelopeHeader(line)
}

// otherEnvelopeHeader reads compact names, and names with blanks before the colon.
func otherEnvelopeHeader(line []byte) (id ID, value []byte) {
	colon := nextColon(line)
	if colon == len(line) {
		return HOther, nil
	}
	if id = LookupHeader(trimRight(line[:colon])); id > HCSeq {
		return HOther, nil
	}
	return id, line[colon+1:]
}

// scanStartLine returns the index behind the start line, or 0.
func (e *Envelope) scanStartLine(b []byte, i int) int {
	end := bytes.IndexByte(b[i:], '\r') + i
	if end < i+12 || end+1 >= len(b) || b[end+1] != '\n' {
		return 0
	}
	line := b[i:end]
	if hasPrefixFold(line, "sip/") {
		status, ok := decimal(line[8:11], 999)
		if !ok || line[7] != ' ' {
			return 0
		}
		e.Status = int(status)
		return end + 2
	}
	space := bytes.IndexByte(line, ' ')
	if space <= 0 || !meantAsSIP(line) {
		return 0
	}
	e.Request = true
	e.Method = ParseMethod(line[:space])
	return end + 2
}

// lineEnd returns the index of the CRLF that ends the header line at i, folded or not, or len(b).
func lineEnd(b []byte, i int) int {
	for {
		n := bytes.IndexByte(b[i:], '\r')
		if n < 0 {
			return len(b)
		}
		i += n
		if i+2 >= len(b) || b[i+1] == '\n' && b[i+2] != ' ' && b[i+2] != '\t' {
			return i
		}
		i++
	}
}

// skipFold is skipBlank that also passes over the line breaks of folding.
func skipFold(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

func trimFold(b []byte) []byte {
	b = b[skipFold(b, 0):]
	n := len(b)
	for n > 0 && b[n-1] <= ' ' {
		n--
	}
	return b[:n]
}

// scanVia looks for the sent-by and the branch of the first value.
func (e *Envelope) scanVia(b []byte) {
	i := skipFold(b, 0)
	if len(b)-i > 8 && string(b[i:i+8]) == "SIP/2.0/" {
		i += 8
	} else {
		i = skipProtocol(b, i)
	}
	for i < len(b) && charClass[b[i]]&tokenChar != 0 {
		i++
	}
	i = skipFold(b, i)
	start := i
	for i < len(b) && b[i] != ';' && b[i] != ',' {
		i++
	}
	e.SentBy = trimFold(b[start:i])
	e.Branch = scanParam(b, i, "branch")
}

// skipProtocol returns the index behind the second slash from i on and the blanks behind it.
func skipProtocol(b []byte, i int) int {
	for range 2 {
		slash := bytes.IndexByte(b[i:], '/')
		if slash < 0 {
			return len(b)
		}
		i = skipFold(b, i+slash+1)
	}
	return i
}

// scanTag looks for the tag behind the URI. It returns nil if there is none.
func scanTag(b []byte) []byte {
	i := skipFold(b, 0)
	if i < len(b) && b[i] == '"' {
		if i = quotedEnd(b, i); i < 0 {
			return nil
		}
		i = skipFold(b, i)
	}
	for i < len(b) && b[i] != '<' && b[i] != ';' {
		i++
	}
	if i < len(b) && b[i] == '<' {
		bracket := bytes.IndexByte(b[i:], '>')
		if bracket < 0 {
			return nil
		}
		i = skipFold(b, i+bracket+1)
	}
	return scanParam(b, i, "tag")
}

// scanParam looks for a parameter in the list that begins with the semicolon at b[i].
func scanParam(b []byte, i int, lower string) []byte {
	for i < len(b) && b[i] == ';' {
		i = skipFold(b, i+1)
		start := i
		for i < len(b) && charClass[b[i]]&tokenChar != 0 {
			i++
		}
		name := b[start:i]
		i = skipFold(b, i)
		if i == len(b) || b[i] != '=' {
			continue
		}
		i = skipFold(b, i+1)
		start = i
		if i < len(b) && b[i] == '"' {
			if i = quotedEnd(b, i); i < 0 {
				return nil
			}
		} else {
			for i < len(b) && charClass[b[i]]&valueChar != 0 {
				i++
			}
		}
		if equalFold(name, lower) {
			return b[start:i]
		}
		i = skipFold(b, i)
	}
	return nil
}

func (e *Envelope) scanCSeq(b []byte) {
	b = trimFold(b)
	number := leadingDecimal(b)
	n, ok := decimal(number, 1<<32-1)
	if !ok || n > 1<<32-1 {
		return
	}
	e.CSeq = uint32(n)
	e.CSeqMethod = ParseMethod(b[skipFold(b, len(number)):])
	if !e.Request {
		e.Method = e.CSeqMethod
	}
}
