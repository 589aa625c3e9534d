package rewrite

import (
	"bytes"

	"trunkline/sip/wire"
)

// AppendCrossing appends to b the header lines of m that the other leg may see,
// in their order. Lines about routing, dialogs, capabilities and credentials are
// never among them: each leg has its own. host replaces the agent in a Warning
// and the hosts of those who diverted the call.
func AppendCrossing(b []byte, m *wire.Message, host string) []byte {
	for i := range m.Headers {
		h := &m.Headers[i]
		switch {
		case !crosses(h.ID, m.IsRequest()):
		case h.ID == wire.HWarning:
			b = appendWarning(b, h.Value, host)
		case h.ID == wire.HDiversion, h.ID == wire.HHistoryInfo:
			b = appendDiverted(b, h.ID.String(), h.Value, host)
		case h.ID == wire.HAlertInfo && bytes.Contains(h.Value, []byte("://")): // a ring tone on some inside server
		default:
			b = wire.AppendHeader(b, canonical(h), h.Value)
		}
	}
	return b
}

// crosses is the header policy. What describes the call, the person or the body
// goes through; what describes a hop does not.
func crosses(id wire.ID, request bool) bool {
	switch id {
	case wire.HContentDisposition, wire.HContentEncoding, wire.HContentLanguage, wire.HMIMEVersion,
		wire.HReason, wire.HAlertInfo, wire.HUserToUser, wire.HSessionID, wire.HSubject:
		return true
	case wire.HPrivacy, wire.HDiversion, wire.HHistoryInfo, wire.HIdentity, wire.HDate, wire.HExpires:
		return request
	case wire.HRetryAfter, wire.HWarning:
		return !request
	}
	return false
}

// canonical returns the full name of a header, whatever short form or case it
// arrived in.
func canonical(h *wire.Header) string {
	if name := h.ID.String(); name != "" {
		return name
	}
	return string(h.Name)
}

// appendWarning replaces the warn-agent, which names an inside host (RFC 3261
// §20.43: warn-code SP warn-agent SP warn-text).
func appendWarning(b, value []byte, host string) []byte {
	code, rest, ok := bytes.Cut(value, []byte(" "))
	if !ok {
		return b
	}
	_, text, ok := bytes.Cut(rest, []byte(" "))
	if !ok {
		return b
	}
	b = append(b, "Warning: "...)
	b = append(b, code...)
	b = append(b, ' ')
	b = append(b, host...)
	b = append(b, ' ')
	b = append(b, text...)
	return append(b, "\r\n"...)
}
