package media

import "bytes"

// maxFormats bounds the formats of one m= line that are told apart; those beyond it are not offered on when a line has to be
// rewritten. Phones list ten or so, browsers thirty.
const maxFormats = 48

// format is one format of an RTP line: a payload type and what it stands for. name points into the description.
type format struct {
	number uint8  // payload type by the party that describes it
	shown  uint8  // payload type the other party is shown for it
	name   []byte // encoding name, empty if unknown
	clock  uint32 // timestamp units per second; 0 = unknown
	label  codecName
	codec  uint64 // sum of name, clock and channels: equal for what is the same codec
	keep   bool   // filter's own
	ours   bool   // we describe it, whatever the party says of its number
}

// isEvent tells of telephone-event (RFC 4733), isNoise of comfort noise (RFC 3389): companions of a codec with their clock.
func (f *format) isEvent() bool { return f.label == codecEvent }
func (f *format) isNoise() bool { return len(f.name) == 2 && bytes.EqualFold(f.name, []byte("CN")) }

// staticFormats are the payload types that need no a=rtpmap, G.722 with a clock of 8000 by historical mistake. RFC 3551 §6.
var staticFormats = [35]struct {
	name  []byte
	clock uint32
}{
	0: {[]byte("PCMU"), 8000}, 3: {[]byte("GSM"), 8000}, 4: {[]byte("G723"), 8000}, 5: {[]byte("DVI4"), 8000}, 7: {[]byte("LPC"), 8000},
	8: {[]byte("PCMA"), 8000}, 9: {[]byte("G722"), 8000}, 12: {[]byte("QCELP"), 8000}, 13: {[]byte("CN"), 8000}, 15: {[]byte("G728"), 8000},
	18: {[]byte("G729"), 8000}, 26: {[]byte("JPEG"), 90000}, 31: {[]byte("H261"), 90000}, 32: {[]byte("MPV"), 90000}, 34: {[]byte("H263"), 90000},
}

// readFormats appends the formats of an RTP line to list, in their order. whole is false if it left some out: what is no payload
// type, what comes twice, what finds no room.
func (s *section) readFormats(list []format) (formats []format, whole bool) {
	whole = true
	for rest := s.formats; len(rest) > 0; {
		var word []byte
		word, rest = nextField(rest)
		number, ok := readNumber(word, 127)
		if !ok || find(list, uint8(number)) >= 0 || len(list) == cap(list) {
			whole = whole && len(word) == 0
			continue
		}
		f := format{number: uint8(number), shown: uint8(number)}
		if number < len(staticFormats) {
			f.name, f.clock = staticFormats[number].name, staticFormats[number].clock
		}
		f.label, f.codec = labelOf(f.name), f.sum(nil)
		list = append(list, f)
	}
	for rest := s.lines; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		if value, ok := bytes.CutPrefix(line, []byte("a=rtpmap:")); ok {
			readRTPMap(value, list)
		}
	}
	return list, whole
}

// readRTPMap reads "111 opus/48000/2" into the format it is about. RFC 8866 §6.6.
func readRTPMap(value []byte, list []format) {
	word, encoding := nextField(value)
	number, ok := readNumber(word, 127)
	at := find(list, uint8(number))
	if !ok || at < 0 {
		return
	}
	name, parameters, _ := bytes.Cut(bytes.TrimSpace(encoding), []byte("/"))
	rate, channels, _ := bytes.Cut(parameters, []byte("/"))
	clock, ok := readNumber(rate, 1<<24)
	if !ok || clock == 0 {
		return
	}
	f := &list[at]
	f.name, f.clock = name, uint32(clock)
	f.label, f.codec = labelOf(name), f.sum(channels)
}

// find returns where the payload type stands in the list, or -1.
func find(list []format, number uint8) int {
	for i := range list {
		if list[i].number == number {
			return i
		}
	}
	return -1
}

// sum makes one number of what a codec is. Formats without a name differ by payload type. FNV-1a.
func (f *format) sum(channels []byte) uint64 {
	if len(f.name) == 0 {
		return uint64(f.number)
	}
	const prime = 1099511628211
	sum := uint64(14695981039346656037)
	for _, c := range f.name {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		sum = (sum ^ uint64(c)) * prime
	}
	sum = (sum ^ uint64(f.clock)) * prime
	if len(channels) > 0 && string(channels) != "1" {
		for _, c := range channels {
			sum = (sum ^ uint64(c)) * prime
		}
	}
	return sum | 1<<63
}

// codecOf is what the meter must know of a line: its first codec, and which payload type has the events.
func codecOf(list []format) (c codec) {
	named := false
	for i := range list {
		f := &list[i]
		switch {
		case f.isEvent():
			if c.event == 0 {
				c.event = f.number
			}
		case !named && !f.isNoise():
			named = true
			c.name, c.clock = f.label, f.clock
		}
	}
	if c.clock == 0 {
		c.clock = 8000
	}
	return c
}

// sealed tells of SRTP that is not ours to open, so that nothing of a packet may change.
func (s *section) sealed() bool { return s.kind == kindDTLS || isSAVP(s.proto) && !s.guard.ends }

// written tells whether the line says just this list already.
func (s *section) written(list []format) bool {
	rest := s.formats
	for i := range list {
		var word []byte
		word, rest = nextField(rest)
		if number, ok := readNumber(word, 127); !ok || uint8(number) != list[i].number || list[i].shown != list[i].number {
			return false
		}
	}
	return len(rest) == 0
}
