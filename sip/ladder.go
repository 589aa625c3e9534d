package sip

import (
	"bytes"
	"net/netip"

	"trunkline/sip/ladder"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Ladder draws the messages of a call or probe as text. The edge stands in the
// middle; name says who is at an address, nil: the address itself.
func Ladder(messages []Traced, name func(netip.AddrPort) string) string {
	drawn := make([]ladder.Message, 0, len(messages))
	for _, m := range messages {
		other := ""
		if name != nil {
			other = name(m.Flow.Remote)
		}
		if other == "" {
			other = m.Flow.Remote.String()
		}
		out := ladder.Message{Time: m.At, From: other, To: "edge", Line: title(m.Bytes), Again: m.Repeated}
		if m.Sent {
			out.From, out.To = out.To, out.From
		}
		drawn = append(drawn, out)
	}
	columns := []string{}
	if len(drawn) > 0 {
		columns = append(columns, firstOther(drawn[0]), "edge")
	}
	return ladder.Text(drawn, ladder.Options{Columns: columns, Width: ladderWidth})
}

// ladderWidth holds "407 Proxy Authentication Required (INVITE)".
const ladderWidth = 48

// title is the first line of a message without the protocol's version; a response is told with the method it answers.
func title(message []byte) string {
	line, _, _ := bytes.Cut(message, crlf)
	if status, ok := bytes.CutPrefix(line, []byte("SIP/2.0 ")); ok {
		var e wire.Envelope
		if wire.Scan(message, &e) && e.CSeqMethod != wire.Unknown {
			return string(status) + " (" + e.CSeqMethod.String() + ")"
		}
		return string(status)
	}
	return string(bytes.TrimSuffix(line, []byte(" SIP/2.0")))
}

func firstOther(m ladder.Message) string {
	if m.From == "edge" {
		return m.To
	}
	return m.From
}

// NameIn returns a function for Ladder that knows the trunks and agents of s.
func NameIn(s *trunks.Snapshot) func(netip.AddrPort) string {
	return func(a netip.AddrPort) string {
		switch p := s.Source("UDP", a); {
		case p.Trunk != nil:
			return p.Trunk.Name
		case p.Agent != nil:
			return p.Agent.Name
		}
		return ""
	}
}
