package media

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestLossEstimate(t *testing.T) {
	type packet struct {
		number uint16
		ssrc   uint32
	}
	tests := []struct {
		name     string
		packets  []packet
		expected uint32
	}{
		{"none", nil, 0},
		{"in order", []packet{{10, 1}, {11, 1}, {12, 1}}, 3},
		{"one lost", []packet{{10, 1}, {12, 1}}, 3},
		{"out of order is no loss", []packet{{10, 1}, {12, 1}, {11, 1}}, 3},
		{"twice the same", []packet{{10, 1}, {10, 1}}, 1},
		{"the number wraps", []packet{{65534, 1}, {65535, 1}, {1, 1}}, 4},
		{"late packets after the wrap", []packet{{65535, 1}, {0, 1}, {65534, 1}, {1, 1}}, 3},
		{"a leap forward is a restart", []packet{{10, 1}, {11, 1}, {30000, 1}, {30001, 1}}, 4},
		{"a leap back is a restart", []packet{{30000, 1}, {30001, 1}, {10, 1}, {11, 1}}, 4},
		{"a new SSRC is a restart", []packet{{10, 1}, {11, 1}, {500, 2}, {502, 2}}, 5},
		{"SSRCs in turn", []packet{{10, 1}, {500, 2}, {11, 1}, {501, 2}}, 4},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var s sequence
			for i, p := range test.packets {
				s.packet(p.number, uint32(i)*160, p.ssrc, time.Duration(i)*20*time.Millisecond, 8000, false)
			}
			if got := s.expected(); got != test.expected {
				t.Errorf("expected is %d, want %d", got, test.expected)
			}
		})
	}
}

func TestJitter(t *testing.T) {
	var even, uneven, leap sequence
	for i := range 200 {
		at := time.Duration(i) * 20 * time.Millisecond
		even.packet(uint16(i), uint32(i)*160, 1, at, 8000, false)
		uneven.packet(uint16(i), uint32(i)*160, 1, at+time.Duration(i%2)*10*time.Millisecond, 8000, false)
		stamp := uint32(i) * 160
		if i >= 100 {
			stamp += 1 << 30 // RFC 3550 has no word for it; it is a leap, not a delay
		}
		leap.packet(uint16(i), stamp, 1, at, 8000, false)
	}
	if even.jitter>>4 != 0 {
		t.Errorf("even stream has jitter %d", even.jitter>>4)
	}
	if got := uneven.jitter >> 4; got < 76 || got > 80 { // 10 ms are 80 units
		t.Errorf("uneven stream has jitter %d, want about 80", got)
	}
	if leap.jitter>>4 != 0 {
		t.Errorf("a leap of the timestamp made jitter %d", leap.jitter>>4)
	}
}

func TestClassify(t *testing.T) {
	rtpHead := func(second byte) []byte { return append([]byte{0x80, second}, make([]byte, 10)...) }
	tests := []struct {
		name    string
		packet  []byte
		kind    kind
		control bool
		want    packetClass
	}{
		{"empty", nil, kindRTP, false, rubbish},
		{"RTP", rtpHead(0), kindRTP, false, rtpPacket},
		{"RTP with marker", rtpHead(0x80), kindRTP, false, rtpPacket},
		{"RTP on the RTCP port", rtpHead(0), kindRTP, true, rubbish},
		{"RTP cut short", rtpHead(0)[:11], kindRTP, false, rubbish},
		{"version 1", append([]byte{0x40, 0}, make([]byte, 10)...), kindRTP, false, rubbish},
		{"STUN", append([]byte{0, 1}, make([]byte, 18)...), kindRTP, false, rubbish},
		{"DTLS on plain RTP", append([]byte{22, 254}, make([]byte, 18)...), kindRTP, false, rubbish},
		{"DTLS", append([]byte{22, 254}, make([]byte, 18)...), kindDTLS, false, opaquePacket},
		{"SRTP beside DTLS", rtpHead(0), kindDTLS, false, rtpPacket},
		{"RTCP", []byte{0x80, 200, 0, 1, 0, 0, 0, 0}, kindRTP, true, rtcpPacket},
		{"muxed RTCP", []byte{0x80, 201, 0, 1, 0, 0, 0, 0}, kindRTP, false, rtcpPacket},
		{"RTCP cut short", []byte{0x80, 200, 0, 1}, kindRTP, true, rubbish},
		{"T.38", []byte{0, 1, 2}, kindOpaque, false, opaquePacket},
	}
	for _, test := range tests {
		if got := classify(test.packet, test.kind, test.control); got != test.want {
			t.Errorf("%s: class %d, want %d", test.name, got, test.want)
		}
	}
}

// A digit of ten packets is not jitter, nor is the speech after it.
func TestDigitsAreNoJitter(t *testing.T) {
	var m meter
	packet := make([]byte, 16)
	packet[0] = 0x80
	for i := range 40 {
		digit := i >= 20 && i < 30
		stamp := uint32(i) * 160
		if digit {
			stamp = 20 * 160
		}
		binary.BigEndian.PutUint16(packet[2:], uint16(i))
		binary.BigEndian.PutUint32(packet[4:], stamp)
		m.rtp(packet, 8000, digit, time.Duration(i+1)*20*time.Millisecond)
	}
	var f Flow
	if m.flow(&f, 8000, time.Now()); f.Jitter != 0 || f.Lost != 0 || f.Packets != 40 {
		t.Errorf("jitter %s, %d of %d lost", f.Jitter, f.Lost, f.Packets)
	}
}
