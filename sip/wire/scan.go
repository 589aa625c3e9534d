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
	const letters = 1<<('v'-'a') | 1<<('f'-'a') | 1<<('t'-'a') | 1<<('i'-'a') | 1<<('c'-'a')
	const all = 1<<HVia | 1<<HFrom | 1<<HTo | 1<<HCallID | 1<<HCSeq
	found := 0
	for found != all && i < len(b) && b[i] != '\r' {
		end := i + bytes.IndexByte(b[i:], '\r')
		if end < i || end+2 >= len(b) || b[end+1] != '\n' || b[end+2] <= ' ' && b[end+2] != '\r' {
			end = lineEnd(b, i) // folded, or the last
		}
		line := b[i:end]
		i = end + 2
		if letters>>((line[0]|0x20)-'a')&1 == 0 {
			continue
		}
		id, value := envelopeHeader(line)
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

// KindOf returns the method and status of a message of our own making, for counting it: of a request, with status 0, the method
// of its first line, of a response that of the CSeq line, which it expects the way AppendResponse writes it. ok is false for
// anything else.
func KindOf(b []byte) (method Method, status int, ok bool) {
	if !isSIPSlash(b) {
		name, _, found := cutByte(b, ' ')
		return ParseMethod(name), 0, found
	}
	at := bytes.Index(b, cseqLine)
	if at < 12 {
		return Unknown, 0, false
	}
	code, digits := decimal(b[8:11], 999)
	value, _, ended := cutByte(b[at+len(cseqLine):], '\r')
	name := value[skipBlank(value, len(leadingDecimal(value))):]
	return ParseMethod(name), int(code), digits && ended && code >= 100
}

var cseqLine = []byte("\r\nCSeq: ")

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
	usual := false // the long name, but no colon right behind it
	switch byte(name) {
	case 'v':
		if name&0xffffffff == via {
			return HVia, line[4:]
		}
		usual = name&0xffffff == via&0xffffff
	case 'f':
		if name&0xffffffffff == from {
			return HFrom, line[5:]
		}
		usual = name&0xffffffff == from&0xffffffff
	case 't':
		if name&0xffffff == to {
			return HTo, line[3:]
		}
		usual = name&0xffff == to&0xffff
	case 'c':
		if name == callID {
			return HCallID, line[8:]
		}
		if name&0xffffffffff == cseq {
			return HCSeq, line[5:]
		}
		usual = name&0xffffffff == cseq&0xffffffff || name&(1<<56-1) == callID&(1<<56-1)
	case 'i':
	default:
		return HOther, nil
	}
	if usual || line[1] == ':' || line[1] <= ' ' {
		return otherEnvelopeHeader(line)
	}
	return HOther, nil
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
	if isSIPSlash(line) {
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
	e.Branch = scanBranch(b, i)
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
	return scanTagParam(b, i)
}

// scanBranch and scanTagParam look for a parameter in the list that begins with the semicolon at b[i].
func scanBranch(b []byte, i int) []byte {
	const word = 'b' | 'r'<<8 | 'a'<<16 | 'n'<<24 | 'c'<<32 | 'h'<<40 | '='<<48
	return scanParam(b, i, "branch", word, 1<<56-1)
}

func scanTagParam(b []byte, i int) []byte {
	const word = 't' | 'a'<<8 | 'g'<<16 | '='<<24
	return scanParam(b, i, "tag", word, 1<<32-1)
}

// scanParam tells the name as it is usually written, with its '=', by comparing one word under a mask.
func scanParam(b []byte, i int, lower string, word, mask uint64) []byte {
	for i < len(b) && b[i] == ';' {
		i = skipFold(b, i+1)
		start := i
		wanted := i+8 <= len(b) && (binary.LittleEndian.Uint64(b[i:])|lowerCase)&mask == word
		if wanted {
			i += len(lower)
		} else {
			for i < len(b) && charClass[b[i]]&tokenChar != 0 {
				i++
			}
			wanted = equalFold(b[start:i], lower)
			i = skipFold(b, i)
			if i == len(b) || b[i] != '=' {
				continue
			}
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
		if wanted {
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
