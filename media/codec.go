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

// labelOf finds the codec of an encoding name, which compares without case.
func labelOf(name []byte) codecName {
	for c := codecPCMU; c < codecs; c++ {
		if label := codecLabels[c]; len(label) == len(name) && bytes.EqualFold(name, []byte(label)) {
			return c
		}
	}
	return codecOther
}

// isEvent tells whether an RTP packet is a telephone-event. RFC 4733.
func (c codec) isEvent(packet []byte) bool { return c.event != 0 && packet[1]&0x7f == c.event }
