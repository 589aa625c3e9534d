package wire

import "bytes"

// SDP returns the application/sdp part of a body: the body itself, or a part of it if it is multipart (RFC 5621), as
// when ISUP or PIDF-LO travels beside. In multipart/alternative the last one counts, elsewhere the first (RFC 2046
// §5.1). It returns nil if there is none, or if it is not sent as plain octets.
// The result points into body and ends with a line break if its last line has one.
func SDP(contentType, body []byte) []byte {
	return findSDP(contentType, body, 3)
}

// SDP returns the SDP in the message's body, or nil.
func (m *Message) SDP() []byte { return SDP(m.Get(HContentType), m.Body) }

// findSDP descends into at most depth levels of multipart.
func findSDP(contentType, body []byte, depth int) (sdp []byte) {
	media, params := mediaType(contentType)
	if equalFold(media, "application/sdp") {
		return body
	}
	if depth == 0 || !hasPrefixFold(media, "multipart/") {
		return nil
	}
	boundary, _ := findParam(params, "boundary")
	if len(boundary) == 0 || len(boundary) > 70 { // RFC 2046 §5.1.1
		return nil
	}
	last := equalFold(media, "multipart/alternative")
	_, rest, more := nextDelimiter(body, boundary)
	for more {
		var part []byte
		part, rest, more = nextDelimiter(rest, boundary)
		if found := partSDP(part, depth-1); found != nil {
			sdp = found
			if !last {
				return sdp
			}
		}
	}
	return sdp
}

// mediaType splits "type/subtype;params". params begins with its semicolon.
func mediaType(contentType []byte) (media, params []byte) {
	semicolon := bytes.IndexByte(contentType, ';')
	if semicolon < 0 {
		return trim(contentType), nil
	}
	return trim(contentType[:semicolon]), contentType[semicolon:]
}

// nextDelimiter cuts b at the next line that is "--" and the boundary. more is false at the last one, and where
// none is left; before is then all of b.
func nextDelimiter(b, boundary []byte) (before, after []byte, more bool) {
	for i := 0; i < len(b); {
		n := bytes.Index(b[i:], boundary)
		if n < 0 {
			break
		}
		start := i + n - 2
		i += n + len(boundary)
		if start < 0 || b[start] != '-' || b[start+1] != '-' || start > 0 && b[start-1] != '\n' {
			continue
		}
		if bytes.HasPrefix(b[i:], []byte("--")) {
			return b[:start], nil, false
		}
		end := skipBlank(b, i)
		if end < len(b) && b[end] == '\r' {
			end++
		}
		if end < len(b) && b[end] == '\n' {
			return b[:start], b[end+1:], true
		}
	}
	return b, nil, false
}

// partSDP returns the SDP in one body part, whose line break before the next delimiter is still there.
func partSDP(part []byte, depth int) []byte {
	contentType, part, plain := openPart(part)
	if !plain {
		return nil
	}
	sdp := findSDP(contentType, part, depth)
	// The line break before a delimiter belongs to the delimiter, but SDP wants one behind its last line.
	if n := len(sdp); n >= 4 && string(sdp[n-4:]) == "\r\n\r\n" {
		sdp = sdp[:n-2]
	}
	return sdp
}

// openPart returns the Content-Type of a body part and what follows its header. plain is false when the content is encoded, or the
// header has no end.
func openPart(part []byte) (contentType, content []byte, plain bool) {
	plain = true
	for len(part) > 0 {
		line, rest, _ := cutByte(part, '\n')
		// A header that is folded goes on in lines that begin with a blank.
		for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') && len(trimFold(line)) > 0 {
			next := bytes.IndexByte(rest, '\n')
			if next < 0 {
				return nil, nil, false
			}
			line = part[:len(line)+1+next]
			rest = rest[next+1:]
		}
		part = rest
		line = trimFold(line)
		if len(line) == 0 {
			break
		}
		name, value, _ := cutByte(line, ':')
		name, value = trimRight(name), trimFold(value)
		switch {
		case LookupHeader(name) == HContentType:
			contentType = value
		case equalFold(name, "content-transfer-encoding"):
			if !equalFold(value, "binary") && !equalFold(value, "8bit") && !equalFold(value, "7bit") {
				plain = false
			}
		}
	}
	return contentType, part, plain
}

// AppendWithSDP appends a multipart body to dst with sdp in place of its session description, together with the parts whose
// media type keep wants, each as it came; the others are left out (RFC 2046 §5.1). The boundary stays, so contentType holds for
// the result. ok is false, and nothing appended, when body is not multipart, holds no session description of its own level, or
// no part that keep wants.
func AppendWithSDP(dst, contentType, body, sdp []byte, keep func(media []byte) bool) (_ []byte, ok bool) {
	start := len(dst)
	media, params := mediaType(contentType)
	boundary, _ := findParam(params, "boundary")
	if !hasPrefixFold(media, "multipart/") || len(boundary) == 0 || len(boundary) > 70 || bytes.Contains(sdp, boundary) {
		return dst, false
	}
	described, kept := false, false
	_, rest, more := nextDelimiter(body, boundary)
	for more {
		var part []byte
		part, rest, more = nextDelimiter(rest, boundary)
		kind, content, plain := openPart(part)
		kind, _ = mediaType(kind)
		switch {
		case equalFold(kind, "application/sdp") && plain && len(content) > 0 && !described:
			described = true
			dst = appendDelimiter(dst, boundary)
			dst = append(dst, part[:len(part)-len(content)]...)
			dst = append(dst, sdp...)
			dst = append(dst, "\r\n"...)
		case keep(kind):
			kept = true
			dst = append(appendDelimiter(dst, boundary), part...)
			if !bytes.HasSuffix(part, []byte("\n")) {
				dst = append(dst, "\r\n"...)
			}
		}
	}
	if !described || !kept {
		return dst[:start], false
	}
	return append(append(append(dst, "--"...), boundary...), "--\r\n"...), true
}

func appendDelimiter(dst, boundary []byte) []byte {
	return append(append(append(dst, "--"...), boundary...), "\r\n"...)
}
