package admit

import (
	"bytes"
	"fmt"

	"trunkline/sip/wire"
)

// Rejection is our refusal of a request. It is not an error of the peer's
// answer to us; those have other types.
type Rejection struct {
	Status int    // SIP status for the peer
	Reason string // reason phrase for the peer; says nothing about our inside; empty: the standard one
	Header string // one complete header line for the response with CRLF, or empty
	Cause  string // closed set, the label of the rejection counter

	Anonymous bool // the response does not say what we are
}

func (r *Rejection) Error() string { return fmt.Sprintf("%d %s (%s)", r.Status, r.Reason, r.Cause) }

// What works here; RFC 3261 §20.5 and §20.37 ask that nothing else is listed.
const (
	Allow     = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, PRACK"
	Accept    = "application/sdp"
	Supported = Reliable + ", " + WithoutReliable

	// WithoutReliable is Supported where no reliable provisional response could be taken.
	WithoutReliable = Timer + ", " + Replaces

	// WithoutReferSub is added to it for who may send REFER (RFC 4488).
	WithoutReferSub = ", " + NoReferSub

	// Option tags that a peer may require.
	Reliable   = "100rel"     // RFC 3262
	Timer      = "timer"      // RFC 4028
	Replaces   = "replaces"   // RFC 3891
	NoReferSub = "norefersub" // RFC 4488, of a REFER

	allowLine  = "Allow: " + Allow + "\r\n"
	acceptLine = "Accept: " + Accept + "\r\n"
)

var (
	applicationSDP = []byte("application/sdp")
	multipart      = []byte("multipart/")
)

// Initial checks a request outside a dialog as RFC 3261 §8.2 orders it: method,
// extensions, hops, then content. It returns nil when the request may go on.
func Initial(m *wire.Message) *Rejection {
	switch m.Method {
	case wire.INVITE, wire.OPTIONS:
	case wire.REGISTER, wire.SUBSCRIBE, wire.PUBLISH, wire.NOTIFY, wire.REFER, wire.MESSAGE:
		return &Rejection{Status: 405, Header: allowLine, Cause: "method"}
	case wire.BYE, wire.INFO, wire.UPDATE, wire.PRACK, wire.CANCEL, wire.ACK:
		return &Rejection{Status: 481, Cause: "no_dialog"} // these exist only inside a dialog
	default:
		return &Rejection{Status: 501, Header: allowLine, Cause: "method"}
	}
	if r := scheme(m); r != nil {
		return r
	}
	if r := extensions(m); r != nil {
		return r
	}
	if m.MaxForwards == 0 && m.Method == wire.INVITE {
		return &Rejection{Status: 483, Cause: "max_forwards"}
	}
	if m.Method != wire.INVITE {
		return nil
	}
	if !m.Has(wire.HContact) {
		return &Rejection{Status: 400, Reason: "Missing Contact", Cause: "no_contact"}
	}
	return content(m)
}

// Register says whether we can do what a REGISTER asks for, nil if so.
func Register(m *wire.Message) *Rejection {
	if r := scheme(m); r != nil {
		return r
	}
	return extensions(m)
}

// InDialog checks a request inside a dialog. Method policy is the call's.
func InDialog(m *wire.Message) *Rejection {
	if r := extensions(m); r != nil {
		return r
	}
	if m.Method != wire.INVITE {
		return nil
	}
	if !m.Has(wire.HContact) {
		return &Rejection{Status: 400, Reason: "Missing Contact", Cause: "no_contact"}
	}
	return content(m)
}

// scheme: RFC 3261 §8.2.2.1 asks for 416 on a Request-URI we cannot read.
func scheme(m *wire.Message) *Rejection {
	uri, err := wire.ParseURI(m.URI)
	if err == nil {
		switch string(bytes.ToLower(uri.Scheme)) {
		case "sip", "sips", "tel":
			return nil
		case "urn":
			if IsSOS(m.URI) {
				return nil
			}
		}
	}
	return &Rejection{Status: 416, Cause: "uri_scheme"}
}

// extensions: RFC 3261 §8.2.2.3. Every tag of every Require that is not known is
// listed as Unsupported; Proxy-Require is for proxies, which we are not.
func extensions(m *wire.Message) *Rejection {
	if !m.Has(wire.HRequire) && !m.Has(wire.HProxyRequire) {
		return nil
	}
	line := []byte("Unsupported: ")
	start := len(line)
	for _, id := range [...]wire.ID{wire.HRequire, wire.HProxyRequire} {
		for tag := range m.Values(id) {
			if len(tag) == 0 || id == wire.HRequire && supported(tag, m.Method) {
				continue
			}
			if len(line) > start {
				line = append(line, ", "...)
			}
			line = append(line, tag...)
		}
	}
	if len(line) == start {
		return nil
	}
	return &Rejection{Status: 420, Header: string(append(line, "\r\n"...)), Cause: "extension"}
}

func supported(tag []byte, by wire.Method) bool {
	if by == wire.REFER && bytes.EqualFold(tag, []byte(NoReferSub)) {
		return true
	}
	for _, known := range [...]string{Reliable, Timer, Replaces} {
		if bytes.EqualFold(tag, []byte(known)) {
			return true
		}
	}
	return false
}

// content: RFC 3261 §8.2.3 and §21.4.7. A call needs SDP, alone or in a
// multipart body, and an answer the caller can read.
func content(m *wire.Message) *Rejection {
	if len(m.Body) > 0 {
		kind := m.Get(wire.HContentType)
		if !hasPrefixFold(kind, applicationSDP) && !hasPrefixFold(kind, multipart) {
			return &Rejection{Status: 415, Header: acceptLine, Cause: "content_type"}
		}
		if encoding := m.Get(wire.HContentEncoding); len(encoding) > 0 && !bytes.EqualFold(encoding, []byte("identity")) {
			return &Rejection{Status: 415, Header: "Accept-Encoding: identity\r\n", Cause: "content_type"}
		}
	}
	if !m.Has(wire.HAccept) {
		return nil
	}
	for v := range m.Values(wire.HAccept) {
		if hasPrefixFold(v, applicationSDP) || hasPrefixFold(v, []byte("*/*")) || hasPrefixFold(v, []byte("application/*")) {
			return nil
		}
	}
	return &Rejection{Status: 406, Cause: "accept"}
}

func hasPrefixFold(b, prefix []byte) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], prefix)
}
