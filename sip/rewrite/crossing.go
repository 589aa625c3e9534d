package rewrite

import (
	"bytes"

	"trunkline/sip/wire"
)

// Policy is how messages cross to one side. The zero Policy is that of a side we know nothing of.
type Policy struct {
	Host    string                        // stands for the agent in a Warning and the hosts of those who diverted the call
	Lists   *Lists                        // nil: no wishes
	Trusted bool                          // the side may know who withholds their number (RFC 3325 §2.3)
	Private bool                          // the caller does
	Divert  Divert                        // form of the diversions
	Number  func(dst, user []byte) []byte // appends a number as the side writes it; nil: as it came
}

// AppendCrossing appends to b the header lines of m that the other leg may see, in their order. Lines about routing, dialogs,
// capabilities and credentials are never among them: each leg has its own.
func AppendCrossing(b []byte, m *wire.Message, p *Policy) []byte {
	request := m.IsRequest()
	for i := range m.Headers {
		h := &m.Headers[i]
		usually := crosses(h, m)
		if p.Lists == nil && !usually || p.Lists != nil && (written(h.ID) || !p.Lists.crosses(h, usually)) {
			continue
		}
		switch {
		case h.ID == wire.HWarning:
			b = appendWarning(b, h.Value, p.Host)
		case h.ID == wire.HDiversion, h.ID == wire.HHistoryInfo:
			if request {
				b = p.appendDiverted(b, m, h)
			}
		case h.ID == wire.HReferredBy:
			b = p.appendReferredBy(b, h.Value)
		case h.ID == wire.HAlertInfo && bytes.Contains(h.Value, []byte("://")): // a ring tone on some inside server
		case h.ID == wire.HIdentity && p.Private && !p.Trusted: // it names the number (RFC 8225 §5.2)
		default:
			b = wire.AppendHeader(b, canonical(h), h.Value)
		}
	}
	return b
}

// crosses is the usual header policy. What describes the call, the person or the body goes through; what describes a hop
// does not.
func crosses(h *wire.Header, m *wire.Message) bool {
	switch h.ID {
	case wire.HContentDisposition, wire.HContentEncoding, wire.HContentLanguage, wire.HMIMEVersion,
		wire.HReason, wire.HAlertInfo, wire.HUserToUser, wire.HSessionID, wire.HSubject:
		return true
	case wire.HPrivacy, wire.HDiversion, wire.HHistoryInfo, wire.HIdentity, wire.HDate, wire.HExpires,
		wire.HReferredBy, wire.HGeolocation, wire.HResourcePriority:
		return m.IsRequest()
	case wire.HRetryAfter, wire.HWarning:
		return !m.IsRequest()
	case wire.HCallInfo: // who to complain to about a call that was blocked (RFC 8197 §7, RFC 8688 §3)
		return m.Status == 607 || m.Status == 608
	}
	return aboutPlace(h)
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
