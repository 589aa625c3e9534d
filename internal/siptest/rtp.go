package siptest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// phone is the media of an endpoint: what its last description says, what the edge's last one to it says, and what it has heard.
// The network's mutex guards it.
type phone struct {
	own, edge mediaPlace
	sequence  uint16
	lossy     bool // not all that it sent has arrived, so that numbers may be missing at the other end
	heard     []heardKey
	numbers   map[uint32]uint16 // the last sequence number of each source
	faults    []string
}

// mediaPlace is where a description wants RTP.
type mediaPlace struct {
	at    netip.AddrPort
	event int // payload type of telephone-event; 0: none
}

// heardKey is a telephone-event (RFC 4733) in progress, or over.
type heardKey struct {
	source, timestamp uint32
	event             byte
	units             uint16
	ended             bool
}

// keys are the faces of the events.
const keys = "0123456789*#ABCD!"

var (
	connectionLine = regexp.MustCompile(`(?m)^c=IN IP[46] (\S+)`)
	audioLine      = regexp.MustCompile(`(?m)^m=audio (\d+) `)
	eventLine      = regexp.MustCompile(`(?m)^a=rtpmap:(\d+) telephone-event/`)
)

// read notes the audio that a message describes, if it describes any.
func (m *mediaPlace) read(message []byte) {
	_, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	connection, audio := connectionLine.FindSubmatch(body), audioLine.FindSubmatch(body)
	if connection == nil || audio == nil {
		return
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(string(connection[1])))
	port, _ := strconv.ParseUint(string(audio[1]), 10, 16)
	if err != nil {
		return
	}
	m.at, m.event = netip.AddrPortFrom(addr, uint16(port)), 0
	if event := eventLine.FindSubmatch(body); event != nil {
		m.event, _ = strconv.Atoi(string(event[1]))
	}
}

// FromRelay carries an RTP packet of the edge to whoever has described that address. It may be given to the edge's media relay.
func (n *Network) FromRelay(_, to netip.AddrPort, packet []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.endpoints {
		if e.phone.own.at == to {
			e.phone.hear(packet)
			return
		}
	}
	n.faults = append(n.faults, fmt.Sprintf("the edge sent RTP to %s, where nobody is", to))
}

// hear takes a packet.
func (p *phone) hear(packet []byte) {
	if len(packet) < 12 {
		p.faults = append(p.faults, fmt.Sprintf("%x is no RTP", packet))
		return
	}
	source, number := binary.BigEndian.Uint32(packet[8:]), binary.BigEndian.Uint16(packet[2:])
	if last, known := p.numbers[source]; known && number != last+1 {
		p.faults = append(p.faults, fmt.Sprintf("RTP packet %d came after %d", number, last))
	}
	if p.numbers == nil {
		p.numbers = map[uint32]uint16{}
	}
	p.numbers[source] = number
	kind := int(packet[1] & 0x7f)
	if kind < 96 {
		return
	}
	if kind != p.own.event || len(packet) != 16 {
		p.faults = append(p.faults, fmt.Sprintf("RTP packet of type %d, which was not described", kind))
		return
	}
	timestamp := binary.BigEndian.Uint32(packet[4:])
	at := slices.IndexFunc(p.heard, func(k heardKey) bool { return k.source == source && k.timestamp == timestamp })
	if (packet[1]&0x80 != 0) != (at < 0) {
		p.faults = append(p.faults, "the marker bit does not say where a telephone-event begins")
	}
	if at < 0 {
		at = len(p.heard)
		p.heard = append(p.heard, heardKey{source: source, timestamp: timestamp, event: packet[12]})
	}
	k := &p.heard[at]
	k.units = max(k.units, binary.BigEndian.Uint16(packet[14:]))
	k.ended = k.ended || packet[13]&0x80 != 0
}

// talk sends silence as audio for a while, a packet each 20 ms.
func (s *script) talk(p *party, d time.Duration) error {
	for ; d > 0; d -= packetTime {
		if err := s.sendRTP(p, 0, uint32(p.nextRTP())*160, false, make([]byte, 160)); err != nil {
			return err
		}
		time.Sleep(packetTime)
	}
	return nil
}

const packetTime = 20 * time.Millisecond

// press sends telephone-events, one for each key, with 60 ms of audio after each. With noends their end packets are lost.
func (s *script) press(p *party, text string, d time.Duration, noends bool) error {
	s.net.mu.Lock()
	kind := p.endpoint.phone.edge.event
	p.endpoint.phone.lossy = p.endpoint.phone.lossy || noends
	s.net.mu.Unlock()
	if kind == 0 {
		return fmt.Errorf("the edge has described no telephone-event to %s", p.name)
	}
	for _, key := range text {
		event := strings.IndexRune(keys, key)
		if event < 0 {
			return fmt.Errorf("%q is no key", key)
		}
		start := uint32(0)
		for at := packetTime; at <= d; at += packetTime {
			payload := []byte{byte(event), 10, 0, 0}
			binary.BigEndian.PutUint16(payload[2:], uint16(at/time.Millisecond*8))
			copies := 1
			if at+packetTime > d {
				payload[1] |= 0x80
				copies = 3
			}
			for range copies {
				number := p.nextRTP()
				if start == 0 {
					start = uint32(number) * 160
				}
				if copies == 3 && noends {
					continue
				}
				if err := s.sendRTP(p, byte(kind), start, at == packetTime, payload); err != nil {
					return err
				}
			}
			time.Sleep(packetTime)
		}
		if err := s.talk(p, 3*packetTime); err != nil {
			return err
		}
	}
	return nil
}

// nextRTP counts the party's packets.
func (p *party) nextRTP() uint16 {
	p.endpoint.phone.sequence++
	return p.endpoint.phone.sequence
}

// sendRTP sends the packet that was counted last.
func (s *script) sendRTP(p *party, kind byte, timestamp uint32, marker bool, payload []byte) error {
	s.net.mu.Lock()
	phone := &p.endpoint.phone
	from, to := phone.own.at, phone.edge.at
	s.net.mu.Unlock()
	if s.net.ToRelay == nil || !from.IsValid() || !to.IsValid() || to.Port() == 0 {
		return fmt.Errorf("there is no audio between %s and the edge", p.name)
	}
	packet := make([]byte, 12, 256)
	packet[0], packet[1] = 0x80, kind
	if marker {
		packet[1] |= 0x80
	}
	binary.BigEndian.PutUint16(packet[2:], phone.sequence)
	binary.BigEndian.PutUint32(packet[4:], timestamp)
	copy(packet[8:], p.name+"    ")
	s.net.ToRelay(to, from, append(packet, payload...))
	return nil
}

// hears checks which keys a party has heard since it was asked last; none: "nothing".
func (s *script) hears(p *party, text string) error {
	if text == "nothing" {
		text = ""
	}
	heard := func() (found string, faults []string) {
		s.net.mu.Lock()
		defer s.net.mu.Unlock()
		for _, k := range p.endpoint.phone.heard {
			if !k.ended || int(k.event) >= len(keys) {
				return found + "…", nil
			}
			found += keys[k.event : k.event+1]
		}
		return found, p.endpoint.phone.faults
	}
	deadline := time.Now().Add(hearing)
	for found, _ := heard(); time.Now().Before(deadline) && (found != text || text == ""); found, _ = heard() {
		time.Sleep(packetTime)
	}
	time.Sleep(3 * packetTime) // the end comes three times
	found, faults := heard()
	if found != text {
		return fmt.Errorf("%s has heard %q", p.name, found)
	}
	for _, q := range s.parties {
		if q.endpoint.phone.lossy {
			faults = nil
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s: %s", p.name, strings.Join(faults, "; "))
	}
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	p.endpoint.phone.heard = nil
	return nil
}

// hearing is how long keys are waited for.
const hearing = 2 * time.Second

// media obeys a directive that is about RTP.
func (s *script) media(args []string) error {
	p := s.parties[args[1]]
	if p == nil {
		return fmt.Errorf("no party %q", args[1])
	}
	s.net.remark(strings.Join(args, " "))
	what := strings.TrimPrefix(args[2], `"`)
	switch args[0] {
	case "hear":
		return s.hears(p, what)
	case "talk":
		d, err := time.ParseDuration(what)
		if err != nil {
			return err
		}
		return s.talk(p, d)
	}
	d, noends := 100*time.Millisecond, false
	for _, word := range args[3:] {
		if word == "noends" {
			noends = true
			continue
		}
		var err error
		if d, err = time.ParseDuration(word); err != nil {
			return err
		}
	}
	return s.press(p, what, d, noends)
}
