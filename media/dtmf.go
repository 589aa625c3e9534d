package media

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// DTMF says how a party speaks of digits. Where one party's is DTMFInfo and the other's is not, the edge stands between: the
// first is shown no telephone-event, and the second is offered or answered it in the first one's name. What the second plays is
// told by [Bridge.Digits], what the first one's signalling says is played by [Bridge.Play]. RFC 4733, RFC 6086.
type DTMF uint8

// The ways.
const (
	DTMFPass DTMF = iota // telephone-event crosses as the parties agree
	DTMFInfo             // by SIP INFO alone
)

// Digit is one key that was pressed.
type Digit struct {
	Event    uint8         // RFC 4733 §3.2: 0–9, 10 = *, 11 = #, 12–15 = A–D, 16 = flash
	Duration time.Duration // how long it was heard, or is to be
}

// Flash is the event of a short break of the line.
const Flash = 16

// The lengths that digits have here: shorter ones are not recognized, longer ones are held keys.
const (
	ShortestDigit = 40 * time.Millisecond
	LongestDigit  = 5 * time.Second
)

// Clamped is the digit at a length that makes sense.
func (d Digit) Clamped() Digit {
	d.Duration = min(max(d.Duration, ShortestDigit), LongestDigit)
	return d
}

// eventFormat is a telephone-event format of a party that speaks it, or of one that has it by us.
type eventFormat struct {
	number uint8 // payload type by the party that describes it
	shown  uint8 // by which the other one knows it
	clock  uint32
	flash  bool // event 16 is among those it takes
}

// shownEvents is telephone-event in a line one of whose parties speaks by INFO.
type shownEvents struct {
	formats []eventFormat
	lines   []byte // that describe the formats we have added
}

// list returns the formats; nil has none.
func (e *shownEvents) list() []eventFormat {
	if e == nil {
		return nil
	}
	return e.formats
}

// offeredClocks bounds the telephone-event formats that are offered in a party's name: one for each clock of its codecs.
const offeredClocks = 3

// spelling is what becomes of telephone-event where a party speaks by INFO.
type spelling struct {
	drop  bool          // the describing party's own formats are not believed
	hide  bool          // the other party is not shown any
	add   bool          // the other party is shown some in the describing one's name
	among []eventFormat // of which; nil: one for each clock
}

// payloadTypes says of each payload type of a party whether it means telephone-event, by its clock, or something else.
type payloadTypes [128]uint32

const (
	unused    = 0
	otherwise = 1 // no clock is that slow
)

func (p *payloadTypes) note(list []format) {
	for i := range list {
		f := &list[i]
		p[f.number] = otherwise
		if f.isEvent() {
			p[f.number] = f.clock
		}
	}
}

// free returns the number that means telephone-event of that clock, or one that means nothing, the usual one at best; false if
// there is none.
func (p *payloadTypes) free(clock uint32) (number uint8, ok bool) {
	for n := uint8(firstDynamic); n < 128; n++ {
		if p[n] == clock {
			return n, true
		}
	}
	if p[usualEvent] == unused {
		return usualEvent, true
	}
	for n := uint8(firstDynamic); n < 128; n++ {
		if p[n] == unused {
			return n, true
		}
	}
	return 0, false
}

// spell says what becomes of telephone-event in a line of from. offered are those that the line answers; nil, it is an offer.
func (b *Bridge) spell(s *section, from Side, offered []eventFormat, answers bool) (how spelling) {
	by, to := b.parties[from].terms.DTMF, b.parties[from.Other()].terms.DTMF
	if string(s.media) != "audio" || s.kind != kindRTP || s.sealed() && by != to {
		return how // nobody but the parties can change those packets
	}
	how.drop, how.hide = by == DTMFInfo, to == DTMFInfo
	how.add = how.drop && !how.hide && (!answers || len(offered) > 0)
	how.among = offered
	return how
}

// converts tells whether the edge stands between a party that speaks by INFO and one that does not.
func (b *Bridge) converts() bool { return b.parties[Caller].terms.DTMF != b.parties[Callee].terms.DTMF }

// withoutEvents takes telephone-event out of a list, in its place.
func withoutEvents(list []format) []format {
	return slices.DeleteFunc(list, func(f format) bool { return f.isEvent() })
}

// respell takes the telephone-event out of a list that its party is not believed to speak, and adds what goes in its name. It is
// empty if there is no codec.
func (how spelling) respell(list []format) []format {
	var used payloadTypes
	used.note(list)
	if list = withoutEvents(list); how.add && len(list) > 0 {
		list = how.addEvents(list, &used)
	}
	return list
}

// addEvents appends telephone-event in the name of a party that has none: for an offer one for each clock of its codecs, for an
// answer those offered that go with its codecs, or all if none does.
func (how spelling) addEvents(list []format, used *payloadTypes) []format {
	codecs := len(list)
	goes := func(clock uint32) bool {
		return slices.ContainsFunc(list[:codecs], func(f format) bool { return !f.companion() && f.clock == clock })
	}
	if how.among == nil {
		for i := 0; i < codecs && len(list) < codecs+offeredClocks; i++ {
			if f := &list[i]; !f.companion() && f.clock != 0 && !hasEvents(list[codecs:], f.clock) {
				list = used.appendEvent(list, f.clock)
			}
		}
		return list
	}
	fits := slices.ContainsFunc(how.among, func(e eventFormat) bool { return goes(e.clock) })
	for _, e := range how.among {
		if (goes(e.clock) || !fits) && !hasEvents(list[codecs:], e.clock) {
			list = used.appendEvent(list, e.clock)
		}
	}
	return list
}

func hasEvents(list []format, clock uint32) bool {
	return slices.ContainsFunc(list, func(f format) bool { return f.clock == clock })
}

// usualEvent is the payload type that nearly everybody has for telephone-event.
const usualEvent = 101

var telephoneEvent = []byte(codecLabels[codecEvent])

// appendEvent appends a telephone-event format under the party's own number for it or a free one, if there is one and room for it.
func (p *payloadTypes) appendEvent(list []format, clock uint32) []format {
	if len(list) >= maxFormats {
		return list
	}
	number, ok := p.free(clock)
	if !ok {
		return list
	}
	p[number] = otherwise
	f := format{number: number, shown: number, name: telephoneEvent, clock: clock, label: codecEvent, ours: true}
	f.codec = f.sum(nil)
	return append(list, f)
}

// noteEvents keeps the telephone-event formats of a line whose numbers are booked, and writes what describes those added in the
// party's name.
func (s *section) noteEvents(list []format, how spelling) {
	for i := range list {
		f := &list[i]
		if !f.isEvent() {
			continue
		}
		if s.events == nil {
			s.events = new(shownEvents)
		}
		flash := s.takesFlash(f.number)
		if how.add {
			flash = how.among == nil || slices.ContainsFunc(how.among, func(e eventFormat) bool { return e.clock == f.clock && e.flash })
			s.events.lines = appendEventLines(s.events.lines, f, flash)
		}
		s.events.formats = append(s.events.formats, eventFormat{number: f.number, shown: f.shown, clock: f.clock, flash: flash})
	}
}

// appendEventLines describes a telephone-event format. RFC 4733 §2.5.1.1, §7.1.1.
func appendEventLines(dst []byte, f *format, flash bool) []byte {
	dst = append(dst, "a=rtpmap:"...)
	dst = strconv.AppendUint(dst, uint64(f.shown), 10)
	dst = append(dst, " telephone-event/"...)
	dst = strconv.AppendUint(dst, uint64(f.clock), 10)
	dst = append(dst, "\r\na=fmtp:"...)
	dst = strconv.AppendUint(dst, uint64(f.shown), 10)
	if flash {
		return append(dst, " 0-16\r\n"...)
	}
	return append(dst, " 0-15\r\n"...)
}

// takesFlash tells whether the events that a line lists for a payload type have 16 among them. RFC 4733 §2.4.1: "0-15,66,70".
func (s *section) takesFlash(number uint8) bool {
	for rest := s.lines; len(rest) > 0; {
		var line []byte
		line, rest = nextLine(rest)
		value, ok := bytes.CutPrefix(line, []byte("a=fmtp:"))
		if !ok {
			continue
		}
		word, events := nextField(value)
		if n, ok := readNumber(word, 127); !ok || uint8(n) != number {
			continue
		}
		for part := range bytes.SplitSeq(bytes.TrimPrefix(bytes.TrimSpace(events), []byte("events=")), []byte(",")) {
			first, last, ranged := bytes.Cut(bytes.TrimSpace(part), []byte("-"))
			low, ok := readNumber(first, 255)
			high := low
			if ranged {
				var whole bool
				high, whole = readNumber(last, 255)
				ok = ok && whole
			}
			if ok && low <= Flash && Flash <= high {
				return true
			}
		}
	}
	return false
}
