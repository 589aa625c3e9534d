package media

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"
)

// digit is a telephone-event as a receiver understands it: one for each timestamp, as long as its longest packet says. RFC 4733 §2.5.
type digit struct {
	event    byte
	duration uint16
	ended    bool
}

// MED-05, RFC 4733 §2.5.1.4: digits arrive once each and at their length, though every twentieth packet is lost, since the relay
// neither repeats nor holds back, and ends come three times.
func TestDigitsUnderLoss_MED05(t *testing.T) {
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
		const digits = "0123456789*#"
		random := rand.New(rand.NewPCG(4733, 5))
		sequence, sent, lost := uint16(0), 0, 0
		say := func(payload []byte, timestamp uint32, marker bool) {
			sequence++
			packet, err := (&rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 101, Marker: marker, SequenceNumber: sequence, Timestamp: timestamp, SSRC: 7}, Payload: payload}).Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if random.IntN(20) == 0 {
				lost++
				return
			}
			if _, err := c.caller.rtp.WriteToUDPAddrPort(packet, c.forCaller); err != nil {
				t.Fatal(err)
			}
			sent++
		}
		for i := range digits {
			start := uint32(8000 * (i + 1))
			for step := 1; step <= 8; step++ { // 160 ms, and the end three times
				ends := 1
				if step == 8 {
					ends = 3
				}
				for range ends {
					payload := []byte{byte(i), 10, 0, 0}
					if step == 8 {
						payload[1] |= 0x80
					}
					binary.BigEndian.PutUint16(payload[2:], uint16(160*step))
					say(payload, start, step == 1)
				}
			}
		}
		if lost == 0 {
			t.Fatal("nothing was lost")
		}
		heard := map[uint32]digit{}
		buffer := make([]byte, 200)
		for range sent {
			c.callee.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, _, err := c.callee.rtp.ReadFromUDPAddrPort(buffer)
			if err != nil {
				t.Fatalf("%d sent, and then: %v", sent, err)
			}
			var packet rtp.Packet
			if err := packet.Unmarshal(buffer[:n]); err != nil || packet.PayloadType != 101 || len(packet.Payload) != 4 {
				t.Fatalf("%x: %v", buffer[:n], err)
			}
			d := heard[packet.Timestamp]
			d.event = packet.Payload[0]
			d.duration = max(d.duration, binary.BigEndian.Uint16(packet.Payload[2:]))
			d.ended = d.ended || packet.Payload[1]&0x80 != 0
			heard[packet.Timestamp] = d
		}
		for i := range digits {
			if got := heard[uint32(8000*(i+1))]; got != (digit{byte(i), 160 * 8, true}) {
				t.Errorf("digit %c came as %+v", digits[i], got)
			}
		}
		if len(heard) != len(digits) {
			t.Errorf("%d digits came of %d", len(heard), len(digits))
		}
		eventually(t, "they are counted", func() bool {
			f := c.bridge.Stats().Streams[0].From[Caller]
			return f.Events == uint64(sent) && f.Relayed == uint64(sent)
		})
	})
}

// MED-09, RFC 3551: whatever the codec and the packet time, the bytes of a packet pass untouched, those of its header too.
func TestPayloadsPassUntouched_MED09(t *testing.T) {
	codecs := []struct {
		name   string
		number byte
		bytes  []int // of 10 to 60 ms
	}{
		{"PCMU/8000", 0, []int{80, 160, 240, 480}}, {"PCMA/8000", 8, []int{80, 160, 240, 480}}, {"G729/8000", 18, []int{10, 20, 30, 60, 22}},
		{"G722/8000", 9, []int{80, 160}}, {"opus/48000/2", 111, []int{3, 40, 120, 1275}}, {"AMR/8000", 97, []int{14, 32}}, {"CN/8000", 13, []int{1}},
	}
	eachEngine(t, func(t *testing.T, o Options) {
		r := newRelay(t, o)
		for _, codec := range codecs {
			c := answeredCall(t, r, loopback, newPhone(t, "127.0.0.1"), newPhone(t, "127.0.0.1"))
			described := fmt.Appendf(nil, "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio %d RTP/AVP %d\r\na=rtpmap:%[2]d %[3]s\r\n",
				c.caller.address().Port(), codec.number, codec.name)
			c.offer(t, described)
			c.answer(t, bytes.Replace(described, fmt.Append(nil, c.caller.address().Port()), fmt.Append(nil, c.callee.address().Port()), 1))
			for i, size := range codec.bytes {
				header := rtp.Header{Version: 2, PayloadType: codec.number, SequenceNumber: uint16(i), Timestamp: uint32(i * 160), SSRC: 7, CSRC: []uint32{1, 2}}
				if err := header.SetExtension(1, []byte{byte(i)}); err != nil {
					t.Fatal(err)
				}
				payload := make([]byte, size)
				for k := range payload {
					payload[k] = byte(rand.Uint32())
				}
				packet, err := (&rtp.Packet{Header: header, Payload: payload}).Marshal()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.caller.rtp.WriteToUDPAddrPort(packet, c.forCaller); err != nil {
					t.Fatal(err)
				}
				buffer := make([]byte, 2000)
				c.callee.rtp.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, _, err := c.callee.rtp.ReadFromUDPAddrPort(buffer)
				if err != nil || !bytes.Equal(buffer[:n], packet) {
					t.Errorf("%s of %d bytes: %v\n%x, want\n%x", codec.name, size, err, buffer[:n], packet)
				}
			}
			c.bridge.Close()
		}
	})
}
