package dialog

import (
	"bytes"
	"strconv"

	"trunkline/sip/wire"
)

var crlf = []byte("\r\n")

const routeName = "Route: "

// AppendRequest appends the start of a new request in this dialog up to and
// with CSeq and Contact; the caller adds further headers and the body. transport
// and sentBy go into the Via with the given branch (RFC 3261 §12.2.1.1).
//
// The CSeq number rises by one, except for ACK, which repeats the number of the
// INVITE it confirms, whatever was sent since (RFC 3261 §13.2.2.4).
func (d *Dialog) AppendRequest(b []byte, method wire.Method, transport, sentBy string, branch []byte) []byte {
	seq := d.inviteSeq
	if method != wire.ACK {
		d.localSeq++
		seq = d.localSeq
		if method == wire.INVITE {
			d.inviteSeq = seq
		}
	}
	return d.append(b, method.String(), method, seq, transport, sentBy, branch, maxForwards)
}

// AppendAck writes the ACK for a 2xx to our INVITE of that CSeq, the last or one before (RFC 3261 §13.2.2.4).
func (d *Dialog) AppendAck(b []byte, seq uint32, transport, sentBy string, branch []byte) []byte {
	return d.append(b, wire.ACK.String(), wire.ACK, seq, transport, sentBy, branch, maxForwards)
}

// AppendNamed is AppendRequest for a relayed request: the method may be one we
// do not know, and forwards is the Max-Forwards to show.
func (d *Dialog) AppendNamed(b []byte, name string, method wire.Method, transport, sentBy string, branch []byte, forwards int) []byte {
	d.localSeq++
	if method == wire.INVITE {
		d.inviteSeq = d.localSeq
	}
	return d.append(b, name, method, d.localSeq, transport, sentBy, branch, forwards)
}

// maxForwards of requests that start here (RFC 3261 §8.1.1.6).
const maxForwards = 70

func (d *Dialog) append(b []byte, name string, method wire.Method, seq uint32, transport, sentBy string, branch []byte, forwards int) []byte {
	uri, routes, strict := d.target, d.routes, d.strictHop()
	if strict != nil { // RFC 3261 §12.2.1.1: a first hop without lr
		uri = strict
		routes = routes[bytes.Index(routes, crlf)+len(crlf):]
	}
	b = wire.AppendRequestLine(b, name, uri)
	b = wire.AppendVia(b, transport, sentBy, branch)
	b = append(b, routes...)
	if strict != nil {
		b = append(b, routeName+"<"...)
		b = append(b, d.target...)
		b = append(b, ">\r\n"...)
	}
	b = append(b, "Max-Forwards: "...)
	b = strconv.AppendInt(b, int64(forwards), 10)
	b = appendTagged(b, "\r\nFrom: ", d.Local, d.LocalTag)
	b = appendTagged(b, "\r\nTo: ", d.Remote, d.RemoteTag)
	b = append(b, "\r\nCall-ID: "...)
	b = append(b, d.CallID...)
	b = append(b, "\r\nCSeq: "...)
	b = strconv.AppendUint(b, uint64(seq), 10)
	b = append(b, ' ')
	b = append(b, name...)
	b = append(b, crlf...)
	if refreshesTarget(method) {
		b = wire.AppendHeader(b, "Contact", d.Contact)
	}
	return b
}

// strictHop returns the first route's URI when that hop is a strict router,
// else nil.
func (d *Dialog) strictHop() []byte {
	uri := d.firstRoute()
	if uri == nil {
		return nil
	}
	parsed, err := wire.ParseURI(uri)
	if err != nil {
		return nil
	}
	if _, loose := parsed.Param("lr"); loose {
		return nil
	}
	return uri
}

// refreshesTarget: the methods whose requests carry our Contact.
func refreshesTarget(m wire.Method) bool {
	switch m {
	case wire.INVITE, wire.UPDATE, wire.SUBSCRIBE, wire.NOTIFY, wire.REFER:
		return true
	}
	return false
}

func appendTagged(b []byte, name string, value, tag []byte) []byte {
	b = append(b, name...)
	b = append(b, value...)
	if len(tag) > 0 {
		b = append(b, ";tag="...)
		b = append(b, tag...)
	}
	return b
}

func appendRoute(b, value []byte) []byte {
	if bytes.IndexByte(value, '<') < 0 { // an addr-spec: its parameters belong to the URI
		b = append(b, routeName+"<"...)
		b = append(b, value...)
		return append(b, ">\r\n"...)
	}
	b = append(b, routeName...)
	b = append(b, value...)
	return append(b, crlf...)
}
