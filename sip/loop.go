package sip

import (
	"bytes"
	"net/netip"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// A shard owns its calls alone, so the two calls of an attended transfer may belong to different ones. Then the shard of
// the first calls that of the second with SIP, an INVITE that replaces the side, over a flow that is no socket: what is sent
// on it is received by the other shard, in order, and nothing else is.

// loopConn is the connection number of that flow; sockets count from 1.
const loopConn = 1 << 63

// loopHost is nobody's address (RFC 6666). The port is the number of the shard at the other end, from 1.
var loopHost = netip.MustParseAddr("100::1")

func isLoop(f transport.Flow) bool { return f.Conn == loopConn }

// loopTo is the flow to another shard; socket is that whose address our messages show.
func loopTo(shard int, socket uint16) transport.Flow {
	return transport.Flow{Proto: transport.TCP, Socket: socket, Conn: loopConn, Remote: netip.AddrPortFrom(loopHost, uint16(shard+1))}
}

// sendToShard hands a message to the shard at the other end of a loop.
func (s *shard) sendToShard(f transport.Flow, b []byte) {
	s.moveTo(int(f.Remote.Port())-1, transport.Packet{Flow: loopTo(s.index, f.Socket), Bytes: b}, trunks.Principal{})
}

// moveTo gives a packet to another shard to receive. from is who sent it, as far as it is known.
func (s *shard) moveTo(shard int, p transport.Packet, from trunks.Principal) {
	other, proven := s.edge.shards[shard], s.proven
	if isLoop(p.Flow) {
		proven = nil
	}
	p.Bytes = bytes.Clone(p.Bytes)
	other.post(func(now time.Time) {
		if !wire.Scan(p.Bytes, &other.env) {
			return
		}
		other.at, other.proven = p.Flow, proven
		if other.env.Request {
			other.handle(now, p, from)
		} else {
			other.receiveResponse(now, p)
		}
		other.makeDeliveries(now)
	})
}

// elsewhere returns the shard that has what the request at hand, outside any dialog, is about, when it is not this one: an
// INVITE belongs to the call whose side it is to replace, and its CANCEL and copies go after it.
func (s *shard) elsewhere(f transport.Flow) (shard int, ok bool) {
	if isLoop(f) || len(s.edge.shards) == 1 {
		return 0, false
	}
	if shard, ok = s.moved[string(s.in.CallID)]; ok {
		return shard, true
	}
	if s.in.Method != wire.INVITE || !s.in.Has(wire.HReplaces) {
		return 0, false
	}
	r, _ := s.in.Replaces()
	for _, tag := range [...][]byte{r.ToTag, r.FromTag} {
		if shard, _, ok = readTag(tag); ok && shard < len(s.edge.shards) {
			break
		}
	}
	if !ok || shard == s.index || shard >= len(s.edge.shards) {
		return 0, false
	}
	if s.moved == nil || len(s.moved) == maxMoved {
		s.moved = map[string]int{}
	}
	s.moved[string(s.in.CallID)] = shard
	return shard, true
}

// maxMoved bounds the calls remembered to have gone to another shard, for the sake of their CANCEL.
const maxMoved = 256
