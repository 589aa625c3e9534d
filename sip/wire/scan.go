package wire

import "bytes"

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
		line := b[i:end]
		i = end + 2
		// The five names begin with one of four letters: most other lines are passed over here.
		var id ID
		switch line[0] | 0x20 {
		case 'v', 'f', 't', 'i', 'c':
			colon := bytes.IndexByte(line, ':')
			if colon < 0 {
				continue
			}
			id = LookupHeader(trimRight(line[:colon]))
			line = line[colon+1:]
		}
		if id == HOther || id > HCSeq || found&(1<<id) != 0 {
			continue
		}
		found |= 1 << id
		switch id {
		case HVia:
			e.scanVia(line)
		case HFrom:
			e.FromTag = scanTag(line)
		case HTo:
			e.ToTag = scanTag(line)
		case HCallID:
			e.CallID = trimFold(line)
		case HCSeq:
			e.scanCSeq(line)
		}
	}
	return true
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
	for range 2 {
		slash := bytes.IndexByte(b[i:], '/')
		if slash < 0 {
			return
		}
		i = skipFold(b, i+slash+1)
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

// scanTag looks for the tag behind the URI. It returns nil if there is none.
func scanTag(b []byte) []byte {
	i := skipFold(b, 0)
	if i < len(b) && b[i] == '"' {
		if i = quotedEnd(b, i); i < 0 {
			return nil
		}
	}
	if n := bytes.IndexByte(b[i:], '<'); n >= 0 {
		if bracket := bytes.IndexByte(b[i+n:], '>'); bracket >= 0 && bytes.IndexByte(b[i:i+n], ';') < 0 {
			i += n + bracket
		}
	}
	n := bytes.IndexByte(b[i:], ';')
	if n < 0 {
		return nil
	}
	return scanParam(b, i+n, "tag")
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
