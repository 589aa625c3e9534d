package config

import (
	"fmt"
	"strings"
)

// UnmarshalText reads a header name (RFC 3261 §25.1: token), which may end in '*'.
func (h *HeaderName) UnmarshalText(text []byte) error {
	name := strings.TrimSuffix(string(text), "*")
	if len(text) == 0 || len(text) > 64 {
		return fmt.Errorf("%s is not a header name", quoteShort(string(text)))
	}
	for _, c := range []byte(name) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("-.!%_+`'~", c) < 0 {
			return fmt.Errorf("%s is not a header name", quoteShort(string(text)))
		}
	}
	if written[strings.ToLower(string(text))] {
		return fmt.Errorf("%s is written by the edge itself", text)
	}
	*h = HeaderName(text)
	return nil
}

// MarshalText is the name as it is written.
func (h HeaderName) MarshalText() ([]byte, error) { return []byte(h), nil }

// written are the headers that each leg has its own of, in lower case.
var written = func() map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(`via v from f to t call-id i cseq contact m max-forwards content-length l content-type c record-route
		route path service-route require proxy-require supported k unsupported allow accept accept-encoding accept-language allow-events u
		min-expires authorization proxy-authorization www-authenticate proxy-authenticate authentication-info p-asserted-identity
		p-preferred-identity remote-party-id user-agent server session-expires x min-se rseq rack replaces join target-dialog refer-to r
		referred-by b refer-sub event o subscription-state sip-etag sip-if-match`) {
		names[name] = true
	}
	return names
}()
