package sip

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"

	"trunkline/sip/admit"
	"trunkline/sip/call"
	"trunkline/sip/transaction"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// refuse turns our refusal of the request at hand into its response. It is the
// one place that does, beside replyStateless for requests without a transaction.
func (s *shard) refuse(now time.Time, server transaction.Server, r *admit.Rejection) {
	s.count.reject(r.Cause)
	var tag [tagSize]byte
	local := appendTag(tag[:0], s.random, s.index, maxSlots-1)
	server.Bind(local, 0)
	f := server.Flow()
	s.respond(now, server, r.Status, s.rejection(r, local, f.Remote))
}

// replyStateless answers the request at hand without keeping anything.
func (s *shard) replyStateless(now time.Time, f transport.Flow, r *admit.Rejection) {
	var tag [tagSize]byte
	local := appendTag(tag[:0], s.random, s.index, maxSlots-1)
	if s.Send(s.replyFlow(f), s.rejection(r, local, f.Remote), 0) != nil {
		s.count.drop(dropUnsent)
	}
}

// replyFlow is where a response to the request at hand goes (RFC 3261 §18.2.2,
// RFC 3581 §4): to the source address, and to its port if rport asked so.
func (s *shard) replyFlow(f transport.Flow) transport.Flow {
	if f.Proto.Reliable() || s.in.Via.RPort {
		return f
	}
	port := uint16(s.in.Via.Port)
	if port == 0 {
		port = defaultPort(f.Proto)
	}
	f.Remote = netip.AddrPortFrom(f.Remote.Addr(), port)
	return f
}

func (s *shard) rejection(r *admit.Rejection, tag []byte, source netip.AddrPort) []byte {
	reason := r.Reason
	if reason == "" {
		reason = wire.ReasonPhrase(r.Status)
	}
	b := wire.AppendResponse(s.out[:0], &s.in, r.Status, reason, tag, source)
	b = append(b, r.Header...)
	if !r.Anonymous {
		b = s.appendServer(b)
	}
	s.out = wire.AppendBody(b, "", nil)
	return s.out
}

// respond hands a response to the transaction layer. What cannot be sent now is
// sent again when the request is repeated.
func (s *shard) respond(now time.Time, server transaction.Server, status int, b []byte) {
	if err := server.Respond(now, status, b); err != nil {
		s.count.drop(dropUnsent)
	}
}

// appendHead appends what all responses to m have in common after the status
// line: Via, From, To with our tag, Call-ID, CSeq and Record-Route.
func (s *shard) appendHead(b []byte, m *wire.Message, tag []byte, f transport.Flow) []byte {
	s.line = wire.AppendResponse(s.line[:0], m, 180, "", tag, f.Remote)
	end := bytes.Index(s.line, crlf)
	b = append(b, s.line[end+len(crlf):]...)
	return wire.AppendLines(b, m, wire.HRecordRoute)
}

var crlf = []byte("\r\n")

// appendReply appends a status line and a head made by appendHead.
func (s *shard) appendReply(b []byte, status int, head []byte) []byte {
	b = wire.AppendStatusLine(b, status, wire.ReasonPhrase(status))
	b = append(b, head...)
	return s.appendServer(b)
}

func (s *shard) appendServer(b []byte) []byte {
	if name := s.edge.options.UserAgent; name != "" {
		b = wire.AppendHeaderString(b, "Server", name)
	}
	return b
}

func (s *shard) appendUserAgent(b []byte) []byte {
	if name := s.edge.options.UserAgent; name != "" {
		b = wire.AppendHeaderString(b, "User-Agent", name)
	}
	return b
}

// appendReason appends Reason lines (RFC 3326) for the cause numbers given.
func appendReason(b []byte, r call.Reason) []byte {
	if r.SIP != 0 {
		b = append(b, "Reason: SIP;cause="...)
		b = strconv.AppendUint(b, uint64(r.SIP), 10)
		b = append(b, crlf...)
	}
	if r.Q850 != 0 {
		b = append(b, "Reason: Q.850;cause="...)
		b = strconv.AppendUint(b, uint64(r.Q850), 10)
		b = append(b, crlf...)
	}
	return b
}

// reasonOf reads the cause numbers of the Reason headers.
func reasonOf(m *wire.Message) (r call.Reason) {
	for v := range m.Values(wire.HReason) {
		protocol, params, _ := bytes.Cut(v, []byte(";"))
		_, number, ok := bytes.Cut(bytes.ToLower(params), []byte("cause="))
		if !ok {
			continue
		}
		if end := bytes.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
			number = number[:end]
		}
		n, err := strconv.ParseUint(string(number), 10, 16)
		switch {
		case err != nil:
		case bytes.EqualFold(bytes.TrimSpace(protocol), []byte("SIP")):
			r.SIP = uint16(n)
		case bytes.EqualFold(bytes.TrimSpace(protocol), []byte("Q.850")) && n < 128:
			r.Q850 = uint8(n)
		}
	}
	return r
}

// retryAfterOf returns the Retry-After of a response, 0 for none.
func retryAfterOf(m *wire.Message) time.Duration {
	v := m.Get(wire.HRetryAfter)
	if len(v) == 0 {
		return 0
	}
	if end := bytes.IndexFunc(v, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		v = v[:end]
	}
	n, err := strconv.ParseUint(string(v), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// answerOptions: an OPTIONS outside a dialog is a keep-alive of a trunk or agent
// (RFC 3261 §11.2).
func (s *shard) answerOptions(now time.Time, server transaction.Server) {
	var tag [tagSize]byte
	local := appendTag(tag[:0], s.random, s.index, maxSlots-1)
	server.Bind(local, 0)
	f := server.Flow()
	status := 200
	if s.edge.draining.Load() {
		status = 503
	}
	b := wire.AppendResponse(s.out[:0], &s.in, status, wire.ReasonPhrase(status), local, f.Remote)
	b = wire.AppendHeader(b, "Contact", s.contact(f))
	b = wire.AppendHeaderString(b, "Allow", admit.Allow)
	b = wire.AppendHeaderString(b, "Accept", admit.Accept)
	b = wire.AppendHeaderString(b, "Supported", admit.Supported)
	b = s.appendServer(b)
	s.out = wire.AppendBody(b, "", nil)
	s.respond(now, server, status, s.out)
}
