package sip

import "bytes"

// Redact returns a message with its credentials masked: what authenticates in
// Authorization and Proxy-Authorization, folded ones too, and the keys in an
// SDP's a=crypto and k=. It changes b in place, keeping its length.
func Redact(b []byte) []byte {
	credentials := false // the header at hand has some
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if line[0] == ' ' || line[0] == '\t' { // goes on (RFC 3261 §7.3.1)
			value = line
		} else {
			name = bytes.TrimSpace(name)
			credentials = bytes.EqualFold(name, []byte("Authorization")) || bytes.EqualFold(name, []byte("Proxy-Authorization"))
		}
		switch {
		case credentials:
			mask(value, "response=\"")
			mask(value, "cnonce=\"")
		case bytes.EqualFold(name, []byte("a=crypto")):
			mask(value, "inline:")
		case bytes.HasPrefix(line, []byte("k=")): // RFC 4566 §5.12
			mask(line, "clear:")
			mask(line, "base64:")
			mask(line, "uri:")
		}
	}
	return b
}

// mask overwrites what follows each key up to a delimiter.
func mask(value []byte, key string) {
	for rest := value; ; {
		i := bytes.Index(bytes.ToLower(rest), []byte(key))
		if i < 0 {
			return
		}
		rest = rest[i+len(key):]
		for j := 0; j < len(rest) && rest[j] != '"' && rest[j] != '|' && rest[j] != ' ' && rest[j] != '\r' && rest[j] != '\n'; j++ {
			rest[j] = '*'
		}
	}
}
