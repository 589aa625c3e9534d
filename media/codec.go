package media

import "bytes"

// codecName is a codec as a metric label: a closed set.
type codecName uint8

const (
	codecOther codecName = iota
	codecPCMU
	codecPCMA
	codecG722
	codecG729
	codecOpus
	codecEvent
	codecs
)

var codecLabels = [codecs]string{"other", "PCMU", "PCMA", "G722", "G729", "opus", "telephone-event"}

// String returns the label.
func (c codecName) String() string { return codecLabels[c] }

// staticCodec tells what an RTP payload type is without an a=rtpmap. All static audio types of SIP use a clock of
// 8000, G.722 by historical mistake. RFC 3551 §6.
func staticCodec(format []byte) codec {
	c := codec{clock: 8000}
	switch string(format) {
	case "0":
		c.name = codecPCMU
	case "8":
		c.name = codecPCMA
	case "9":
		c.name = codecG722
	case "18":
		c.name = codecG729
	case "26", "31", "32", "34":
		c.clock = 90000 // video
	}
	return c
}

// readRTPMap reads "111 opus/48000/2" if it is about the line's first format, or about telephone-event.
func readRTPMap(value []byte, s *section) {
	format, encoding := nextField(value)
	name, parameters, _ := bytes.Cut(bytes.TrimSpace(encoding), []byte("/"))
	clock, _, _ := bytes.Cut(parameters, []byte("/"))
	number, ok := readNumber(clock, 1<<24)
	if !ok || number == 0 {
		return
	}
	if bytes.EqualFold(name, []byte("telephone-event")) {
		if payload, ok := readNumber(format, 127); ok && s.codec.event == 0 {
			s.codec.event = uint8(payload)
		}
		return
	}
	if first, _ := nextField(s.formats); !bytes.Equal(first, format) {
		return
	}
	s.codec.clock = uint32(number)
	for c := codecPCMU; c < codecEvent; c++ {
		if bytes.EqualFold(name, []byte(codecLabels[c])) {
			s.codec.name = c
		}
	}
}

// isEvent tells whether an RTP packet is a telephone-event. RFC 4733.
func (c codec) isEvent(packet []byte) bool { return c.event != 0 && packet[1]&0x7f == c.event }
