package wire

import (
	"errors"
	"strings"

	"github.com/emiago/sipgo/sip"
)

// ErrKind is returned when a request is asked for as a response, or the other way round.
var ErrKind = errors.New("wire: the message is of the other kind")

// SipgoRequest returns a copy of the message as sipgo's type, for rules and people who want the whole message as
// objects. Headers are built from our reading of the message: sipgo's parser loses tags behind blanks, Vias with
// blanks in sent-by, the rest of comma lists, quoted parameters, and folds the case of methods.
// A header of a kind sipgo has a type for, but whose value is broken, comes as a generic header.
// It returns ErrKind for a response, and sipgo's error for a Request-URI of a scheme it cannot read, like "soap.beep".
func (m *Message) SipgoRequest() (*sip.Request, error) {
	if !m.IsRequest() {
		return nil, ErrKind
	}
	uri, err := sipgoURI(m.URI)
	if err != nil {
		return nil, err
	}
	req := sip.NewRequest(sip.RequestMethod(m.MethodName), uri)
	for i := range m.Headers {
		appendSipgo(req, &m.Headers[i])
	}
	req.SetBody(append([]byte(nil), m.Body...))
	return req, nil
}

// SipgoResponse is SipgoRequest for a response. It returns ErrKind for a request.
func (m *Message) SipgoResponse() (*sip.Response, error) {
	if m.IsRequest() {
		return nil, ErrKind
	}
	res := sip.NewResponse(m.Status, string(m.Reason))
	for i := range m.Headers {
		appendSipgo(res, &m.Headers[i])
	}
	res.SetBody(append([]byte(nil), m.Body...))
	return res, nil
}

type sipgoMessage interface{ AppendHeader(sip.Header) }

// appendSipgo adds a header line as one header for each value in it.
func appendSipgo(msg sipgoMessage, h *Header) {
	switch h.ID {
	case HContentLength: // SetBody's business
		return
	case HVia, HContact, HRoute, HRecordRoute:
		for value := range SplitList(h.Value) {
			msg.AppendHeader(sipgoHeader(h, value))
		}
	default:
		msg.AppendHeader(sipgoHeader(h, h.Value))
	}
}

// sipgoHeader builds sipgo's header for one value, generic if there is no other or the value is broken.
func sipgoHeader(h *Header, value []byte) sip.Header {
	name := h.ID.String()
	if h.ID == HOther {
		name = string(h.Name)
	}
	generic := sip.NewHeader(name, string(value))
	switch h.ID {
	case HVia:
		v, err := ParseVia(value)
		if err != nil {
			return generic
		}
		protocol, rest, _ := strings.Cut(string(v.head), "/")
		version, _, _ := strings.Cut(rest, "/")
		return &sip.ViaHeader{
			ProtocolName: strings.TrimSpace(protocol), ProtocolVersion: strings.TrimSpace(version),
			Transport: string(v.Transport), Host: strings.Trim(string(v.Host), "[]"), Port: v.Port, Params: sipgoParams(v.Params),
		}
	case HFrom, HTo, HContact, HReferTo, HReferredBy:
		if h.ID == HContact && string(value) == "*" {
			return &sip.ContactHeader{Address: sip.Uri{Host: "*", Wildcard: true}}
		}
		a, err := ParseAddress(value)
		if err != nil {
			return generic
		}
		return sipgoAddress(h.ID, a, generic)
	case HRoute, HRecordRoute:
		a, err := ParseRoute(value)
		if err != nil {
			return generic
		}
		return sipgoAddress(h.ID, a, generic)
	case HCallID:
		id := sip.CallIDHeader(value)
		return &id
	case HCSeq:
		number := leadingDecimal(value)
		n, ok := decimal(number, 1<<32-1)
		if !ok {
			return generic
		}
		return &sip.CSeqHeader{SeqNo: uint32(n), MethodName: sip.RequestMethod(trim(value[len(number):]))}
	case HMaxForwards:
		n, ok := decimal(value, 255)
		if !ok {
			return generic
		}
		hops := sip.MaxForwardsHeader(n)
		return &hops
	case HContentType:
		media := sip.ContentTypeHeader(value)
		return &media
	}
	return generic
}

func sipgoAddress(id ID, a Address, generic sip.Header) sip.Header {
	uri, err := sipgoURI(a.URI)
	if err != nil {
		return generic
	}
	display, params := string(a.Display), sipgoParams(a.Params)
	switch id {
	case HFrom:
		return &sip.FromHeader{DisplayName: display, Address: uri, Params: params}
	case HTo:
		return &sip.ToHeader{DisplayName: display, Address: uri, Params: params}
	case HContact:
		return &sip.ContactHeader{DisplayName: display, Address: uri, Params: params}
	case HReferTo:
		return &sip.ReferToHeader{Address: uri}
	case HReferredBy:
		return &sip.ReferredByHeader{DisplayName: display, Address: uri, Params: params}
	case HRoute:
		return &sip.RouteHeader{Address: uri}
	}
	return &sip.RecordRouteHeader{Address: uri}
}

// sipgoURI leaves only the schemes we do not take apart to sipgo's parser.
func sipgoURI(b []byte) (uri sip.Uri, err error) {
	u, err := ParseURI(b)
	if err != nil {
		return uri, err
	}
	if !u.IsSIP() {
		err = sip.ParseUri(string(b), &uri)
		return uri, err
	}
	uri = sip.Uri{
		Scheme: strings.ToLower(string(u.Scheme)), User: string(u.User), Password: string(u.Password),
		Host: string(u.Host), Port: u.Port,
	}
	if len(u.Params) > 0 {
		uri.UriParams = sipgoPairs(string(u.Params[1:]), ";")
	}
	if len(u.Headers) > 0 {
		uri.Headers = sipgoPairs(string(u.Headers[1:]), "&")
	}
	return uri, nil
}

func sipgoPairs(list, separator string) (pairs sip.HeaderParams) {
	for pair := range strings.SplitSeq(list, separator) {
		if name, value, _ := strings.Cut(pair, "="); name != "" {
			pairs = append(pairs, sip.HeaderKV{K: name, V: value})
		}
	}
	return pairs
}

// sipgoParams gives the names sipgo looks up itself in lower case, since it compares with case.
func sipgoParams(params []byte) (pairs sip.HeaderParams) {
	for i := 0; i < len(params); {
		name, value, next, ok := nextParam(params, i)
		if !ok {
			break
		}
		key := string(name)
		switch lower := strings.ToLower(key); lower {
		case "tag", "branch", "rport", "received", "maddr", "ttl", "expires", "q":
			key = lower
		}
		pairs = append(pairs, sip.HeaderKV{K: key, V: string(value)})
		i = next
	}
	return pairs
}
