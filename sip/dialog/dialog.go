package dialog

import (
	"bytes"
	"errors"

	"trunkline/sip/wire"
)

// Dialog is one early or confirmed dialog as seen from our end.
//
// The byte slices are owned by the dialog: constructors and Refresh copy what
// they keep, because a message's bytes live only until the next one arrives.
type Dialog struct {
	CallID    []byte
	LocalTag  []byte
	RemoteTag []byte // empty until a response with a To tag arrived
	Local     []byte // our From or To value without a tag
	Remote    []byte // the peer's From or To value without a tag
	Contact   []byte // our Contact value, "<sip:…>"

	target []byte // remote target: the URI of the peer's latest Contact
	routes []byte // complete Route header lines, in the order to be sent

	localSeq  uint32 // CSeq number of the last request we made
	inviteSeq uint32 // CSeq number of our last INVITE, which its ACK and CANCEL repeat
	remoteSeq uint32 // CSeq number of the last request accepted from the peer
	heard     bool   // remoteSeq is set

	reliable reliability
}

// ErrStale is returned by Accept for a CSeq number that is not above the last
// one: RFC 3261 §12.2.2 asks for a 500.
var ErrStale = errors.New("CSeq number is not above the last one in this dialog")

// FromInvite returns the dialog that our responses to invite create, in the
// UAS role (RFC 3261 §12.1.1). tag is our To tag; contact our Contact value.
// The route set is the Record-Route of the request, in order.
func FromInvite(invite *wire.Message, tag, contact []byte) Dialog {
	d := Dialog{remoteSeq: invite.CSeq, heard: true, localSeq: firstSeq}
	a := arena(len(invite.CallID) + len(tag) + len(invite.From.Tag) + len(contact) +
		valueSize(invite.From) + valueSize(invite.To) + 2*len(invite.Get(wire.HContact)))
	d.CallID = a.keep(invite.CallID)
	d.LocalTag = a.keep(tag)
	d.RemoteTag = a.keep(invite.From.Tag)
	d.Contact = a.keep(contact)
	d.Local = a.value(invite.To)
	d.Remote = a.value(invite.From)
	d.target = a.keep(contactURI(invite))
	for v := range invite.Values(wire.HRecordRoute) {
		d.routes = appendRoute(d.routes, v)
	}
	return d
}

// NewCaller returns a dialog in the UAC role before anything was sent. from and
// to are header values without tags; target is the Request-URI of the INVITE.
func NewCaller(callID, tag, from, to, target, contact []byte) Dialog {
	d := Dialog{localSeq: firstSeq}
	a := arena(len(callID) + len(tag) + len(from) + len(to) + len(target) + len(contact))
	d.CallID, d.LocalTag = a.keep(callID), a.keep(tag)
	d.Local, d.Remote = a.keep(from), a.keep(to)
	d.target, d.Contact = a.keep(target), a.keep(contact)
	return d
}

// firstSeq is the CSeq number before our first request. Any value below 2^31 is
// allowed (RFC 3261 §8.1.1.5); a small one is easy to read in a trace.
const firstSeq = 0

// Fork returns the dialog that a response to our INVITE creates (RFC 3261
// §12.1.2): the caller's identifiers with the response's To tag, its Contact as
// remote target and its Record-Route reversed as route set.
func (d *Dialog) Fork(response *wire.Message) Dialog {
	f := *d
	f.routes, f.heard, f.remoteSeq, f.reliable = nil, false, 0, reliability{}
	f.Learn(response)
	return f
}

// Learn takes the peer's tag, remote target and route set from a response to
// our INVITE that makes or confirms the dialog. A 2xx recomputes the route set
// of an early dialog (RFC 3261 §13.2.2.4).
func (d *Dialog) Learn(response *wire.Message) {
	if !bytes.Equal(d.RemoteTag, response.To.Tag) {
		d.RemoteTag = bytes.Clone(response.To.Tag)
	}
	d.Refresh(response)
	var lines [maxRoutes][]byte
	n := 0
	for v := range response.Values(wire.HRecordRoute) {
		if n == maxRoutes {
			break
		}
		lines[n] = v
		n++
	}
	if n == 0 {
		if response.Status >= 200 {
			d.routes = nil
		}
		return
	}
	d.routes = d.routes[:0:0]
	for i := n - 1; i >= 0; i-- {
		d.routes = appendRoute(d.routes, lines[i])
	}
}

// maxRoutes bounds a route set; Max-Forwards keeps real ones far below it.
const maxRoutes = 70

// Refresh takes the remote target from a target refresh request or a response
// to one (RFC 3261 §12.2): INVITE and UPDATE with a Contact. Without a Contact
// nothing changes.
func (d *Dialog) Refresh(m *wire.Message) {
	uri := contactURI(m)
	if len(uri) > 0 && !bytes.Equal(uri, d.target) {
		d.target = bytes.Clone(uri)
	}
}

// Target returns the remote target URI.
func (d *Dialog) Target() []byte { return d.target }

// AddRoute preloads the route set with one more value: the outbound proxy of a
// trunk, or what its registrar asks for (RFC 3261 §8.1.2, RFC 3608 §5). The first response that
// makes a dialog replaces them.
func (d *Dialog) AddRoute(value []byte) { d.routes = appendRoute(d.routes, value) }

// NextHop returns the URI that decides where requests of this dialog go: the
// first route, else the remote target (RFC 3261 §12.2.1.1).
func (d *Dialog) NextHop() []byte {
	if uri := d.firstRoute(); uri != nil {
		return uri
	}
	return d.target
}

func (d *Dialog) firstRoute() []byte {
	if len(d.routes) == 0 {
		return nil
	}
	line := d.routes[len(routeName):]
	end := bytes.Index(line, crlf)
	address, err := wire.ParseAddress(line[:end])
	if err != nil {
		return nil
	}
	return address.URI
}

// Accept checks the CSeq of a request from the peer and remembers it. It
// returns ErrStale when the number is not above the last one. ACK and CANCEL
// repeat their INVITE's number and must not be passed here.
func (d *Dialog) Accept(seq uint32) error {
	if d.heard && seq <= d.remoteSeq {
		return ErrStale
	}
	d.remoteSeq, d.heard = seq, true
	return nil
}

// RemoteSeq returns the CSeq number of the last request accepted from the peer.
func (d *Dialog) RemoteSeq() uint32 { return d.remoteSeq }

// InviteSeq returns the CSeq number of our last INVITE in this dialog.
func (d *Dialog) InviteSeq() uint32 { return d.inviteSeq }

// Matches reports whether the tags of a request from the peer are this
// dialog's. The Call-ID is compared too: all three make a dialog (RFC 3261 §12).
func (d *Dialog) Matches(request *wire.Message) bool {
	return bytes.Equal(d.LocalTag, request.To.Tag) &&
		bytes.Equal(d.RemoteTag, request.From.Tag) &&
		bytes.Equal(d.CallID, request.CallID)
}

// Is reports whether these identifiers are the dialog's, tags as seen from our end.
func (d *Dialog) Is(callID, local, remote []byte) bool {
	return bytes.Equal(d.CallID, callID) && bytes.Equal(d.LocalTag, local) && bytes.Equal(d.RemoteTag, remote)
}

func contactURI(m *wire.Message) []byte {
	for v := range m.Values(wire.HContact) {
		a, err := wire.ParseAddress(v)
		if err != nil {
			return nil
		}
		return a.URI
	}
	return nil
}

// FromOrphan returns the dialog of a 2xx whose call is gone, read from the
// response alone, for the ACK and BYE that end it (RFC 3261 §13.2.2.4).
func FromOrphan(response *wire.Message, contact []byte) Dialog {
	a := arena(len(response.CallID) + len(response.From.Tag) + len(contact) +
		valueSize(response.From) + valueSize(response.To))
	d := Dialog{localSeq: response.CSeq, inviteSeq: response.CSeq}
	d.CallID, d.LocalTag, d.Contact = a.keep(response.CallID), a.keep(response.From.Tag), a.keep(contact)
	d.Local, d.Remote = a.value(response.From), a.value(response.To)
	d.Learn(response)
	return d
}
