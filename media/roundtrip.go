package media

import (
	"encoding/binary"
	"time"
)

// RTCP packet types. RFC 3550 §12.1.
const (
	senderReport   = 200
	receiverReport = 201
)

// reports reads the reports of a compound RTCP packet that came from a party: when its own sender report passed, and, by the
// reception reports on what it was sent, how long the way to it and back takes. RFC 3550 §6.4.1, §A.8. It changes nothing.
func (p *plug) reports(packet []byte, now time.Duration) {
	for len(packet) >= 8 {
		length := 4 * (int(binary.BigEndian.Uint16(packet[2:])) + 1)
		if packet[0]>>6 != 2 || length > len(packet) {
			return
		}
		one, blocks := packet[:length], int(packet[0]&31)
		packet = packet[length:]
		at := 8 // of the first reception report
		switch {
		case one[1] == senderReport && length >= 28:
			p.meter.report.Store(uint64(binary.BigEndian.Uint32(one[10:]))<<32 | uint64(shortTime(now)))
			at = 28
		case one[1] == receiverReport:
		default:
			continue
		}
		for ; blocks > 0 && at+24 <= length; blocks, at = blocks-1, at+24 {
			p.roundTrip(binary.BigEndian.Uint32(one[at+16:]), binary.BigEndian.Uint32(one[at+20:]), now)
		}
	}
}

// roundTrip notes the time from us to the party and back, if its report is about the last sender report that we passed to it.
func (p *plug) roundTrip(lastReport, delay uint32, now time.Duration) {
	passed := p.other.Load().meter.report.Load()
	if lastReport == 0 || uint32(passed>>32) != lastReport {
		return
	}
	took := int32(shortTime(now) - uint32(passed) - delay)
	if took <= 0 && took >= -clockGrain {
		took = 1
	}
	if took <= 0 || took > maxRoundTrip {
		return // clocks that drift, or a delay that cannot be
	}
	p.meter.roundTrip.Store(int64(took) * int64(time.Second) >> 16)
}

// shortTime is a time in 1/65536 s, as reports count delays. It wraps after 18 hours, which differences survive.
func shortTime(t time.Duration) uint32 {
	return uint32(uint64(t) << 16 / uint64(time.Second) & 0xffffffff)
}

// clockGrain is by how much the delay in a report may be too long, in 1/65536 s: two milliseconds, for phones that count in whole
// ones. baresip 1.0 does (2026-11): without this its round trips on a local network were lost as impossible half of the time.
const clockGrain = 131

// maxRoundTrip is more than any network takes, in 1/65536 s: ten seconds.
const maxRoundTrip = 10 << 16
