package sip

import "bytes"

// Redact returns a message with its credentials masked: what authenticates in
// Authorization and Proxy-Authorization, and the keys in an SDP's a=crypto. It
// changes b in place, keeping its length.
func Redact(b []byte) []byte {
	for line := range bytes.Lines(b) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		name = bytes.TrimSpace(name)
		switch {
		case bytes.EqualFold(name, []byte("Authorization")), bytes.EqualFold(name, []byte("Proxy-Authorization")):
			mask(value, "response=\"")
			mask(value, "cnonce=\"")
		case bytes.EqualFold(name, []byte("a=crypto")):
			mask(value, "inline:")
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
