package media

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
)

// disguise is what one party is shown in place of the other: our address, our ports, our origin.
type disguise struct {
	address netip.Addr
	lines   [maxStreams]shownLine
	count   int // m= lines to write: those of the offer, when this is an answer (RFC 3264 §6)
}

// shownLine is what becomes of one m= line.
type shownLine struct {
	rtp, rtcp uint16       // our ports; rtp 0 = the line is refused, rtcp 0 = RTCP comes on the RTP port
	mux       bool         // a=rtcp-mux may stand
	proto     string       // to show; empty = it stands
	crypto    []byte       // a=crypto lines of ours to add
	events    *shownEvents // formats we have added
	rekeyed   bool         // those of the party go
	formats   []format     // to show in place of those it lists; nil = they stand
	disabled  bool         // the party itself said port 0: its attributes stay
	head      string       // "audio 0 RTP/AVP 0": what to write if the answer left the line out or made another medium of it
}

// origin is what makes our o= lines: constant per leg except the version. RFC 3264 §5 and §8.
type origin struct {
	id, version uint64 // version 0 = nothing sent yet
	sum         uint64 // of the last description sent, without its version
}

// rewrite appends to dst what the other party gets to see of sdp, which d describes: every address and port is ours,
// what would lead around the relay or tell about the network behind it is left out, all else passes as it came.
func rewrite(dst, sdp []byte, d *description, w *disguise, o *origin, seed maphash.Seed) []byte {
	dst = append(dst, "v=0\r\no=- "...)
	dst = strconv.AppendUint(dst, o.id, 10)
	dst = append(dst, ' ')
	versionAt := len(dst)
	dst = strconv.AppendUint(dst, o.version, 10)
	versionEnd := len(dst)
	dst = append(dst, ' ')
	dst = appendAddress(dst, w.address, false)
	dst = append(dst, "\r\ns=-\r\n"...)

	timed := false
	index := -1 // of the m= line we are in
	for rest := sdp; len(rest) > 0; {
		var line []byte
		if line, rest = nextLine(rest); len(line) == 0 {
			continue
		}
		switch line[0] {
		case 'c':
			held := d.connection.IsUnspecified()
			if index >= 0 {
				held = d.sections[index].connection.IsUnspecified()
			}
			dst = appendConnection(dst, w.address, held)
			continue
		case 't':
			timed = true
		case 'a', 'k', 'z', 'm':
			if !timed && index < 0 && !d.timed {
				dst = append(dst, "t=0 0\r\n"...) // RFC 8866 §5.9: it must be there
				timed = true
			}
		}
		switch {
		case line[0] == 'm':
			dst = appendOurs(dst, w, index)
			if index++; index == w.count {
				return seal(dst, versionAt, versionEnd, o, seed) // more lines than were offered
			}
			dst = appendMedia(dst, &d.sections[index], &w.lines[index])
		case index < 0 && isPersonal(line[0]):
		case line[0] == 'a' && !keepAttribute(line[2:], d, index, w):
		case index >= 0 && w.lines[index].rekeyed && isKey(line):
		case line[0] == 'a' && index >= 0 && w.lines[index].formats != nil && aboutFormat(line[2:]):
			dst = appendFormatLine(dst, line[2:], w.lines[index].formats)
		case line[0] == 'a' && index >= 0 && isRTCP(line[2:]):
			dst = appendRTCP(dst, line[2:], w, index)
		case index >= 0 && w.lines[index].rtp == 0 && !w.lines[index].disabled:
			// we refuse this line: only its head and its c= are left
		default:
			dst = append(append(dst, line...), "\r\n"...)
		}
	}
	if !timed {
		dst = append(dst, "t=0 0\r\n"...)
	}
	dst = appendOurs(dst, w, index)
	for index++; index < w.count; index++ { // fewer lines than were offered
		dst = append(append(append(dst, "m="...), w.lines[index].head...), "\r\n"...)
		if !d.connection.IsValid() {
			dst = appendConnection(dst, w.address, false)
		}
	}
	return seal(dst, versionAt, versionEnd, o, seed)
}

// seal counts the version up if the description differs from the last one of this leg, and writes it. RFC 3264 §8.
func seal(dst []byte, at, end int, o *origin, seed maphash.Seed) []byte {
	sum := maphash.Bytes(seed, dst[end:])
	if o.version != 0 && sum == o.sum {
		return dst
	}
	o.sum = sum
	o.version++
	var digits [20]byte
	return slices.Replace(dst, at, end, strconv.AppendUint(digits[:0], o.version, 10)...)
}

// isPersonal tells of the session lines that describe people and pages behind the edge: v=, o= and s= are ours,
// i=, u=, e= and p= are nobody's business. RFC 5853 §3.1.
func isPersonal(letter byte) bool {
	switch letter {
	case 'v', 'o', 's', 'i', 'u', 'e', 'p':
		return true
	}
	return false
}

// keepAttribute tells whether an a= line (without "a=") may pass: unknown ones do, unless they repeat an address of
// the party. ICE goes, since its candidates lead around the relay and ice-ufrag without candidates confuses; BUNDLE
// goes, since each line has its own ports here.
func keepAttribute(value []byte, d *description, index int, w *disguise) bool {
	name, argument, _ := bytes.Cut(value, []byte(":"))
	switch string(name) {
	case "rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive":
		return true
	case "candidate", "remote-candidates", "end-of-candidates", "bundle-only", "source-filter", "alt", "altc", "ccap":
		return false
	case "group":
		return !bytes.HasPrefix(argument, []byte("BUNDLE"))
	case "rtcp-mux", "rtcp-mux-only":
		return index >= 0 && w.lines[index].mux
	case "rtcp":
		return index >= 0 && w.lines[index].rtp != 0
	}
	if bytes.HasPrefix(name, []byte("ice-")) || len(d.origin) >= 4 && bytes.Contains(argument, d.origin) {
		return false
	}
	if mentions(argument, d.connection) {
		return false
	}
	return index < 0 || !mentions(argument, d.sections[index].connection)
}

// mentions tells whether the text contains the address as it is usually written.
func mentions(text []byte, address netip.Addr) bool {
	if !address.IsValid() || address.IsUnspecified() || len(text) < 2 {
		return false
	}
	var buffer [48]byte
	return bytes.Contains(text, address.AppendTo(buffer[:0]))
}

// aboutFormat tells of attributes that begin with a payload type. RFC 8866 §6.6 and §6.15, RFC 4585 §4.2.
func aboutFormat(value []byte) bool {
	name, _, _ := bytes.Cut(value, []byte(":"))
	return string(name) == "rtpmap" || string(name) == "fmtp" || string(name) == "rtcp-fb"
}

// appendFormatLine writes an attribute of a format under the number it is shown by, and nothing for one that is not shown. "*"
// speaks of all.
func appendFormatLine(dst, value []byte, shown []format) []byte {
	name, rest, _ := bytes.Cut(value, []byte(":"))
	word, parameters := nextField(rest)
	number, ok := readNumber(word, 127)
	if !ok {
		return append(append(append(dst, "a="...), value...), "\r\n"...)
	}
	at := find(shown, uint8(number))
	if at < 0 || shown[at].ours {
		return dst
	}
	dst = append(append(append(dst, "a="...), name...), ':')
	dst = strconv.AppendUint(dst, uint64(shown[at].shown), 10)
	dst = append(dst, ' ')
	if apt, ok := bytes.CutPrefix(parameters, []byte("apt=")); ok { // the format that a retransmission belongs to, RFC 4588 §8.6
		if original, ok := readNumber(apt, 127); ok {
			if at := find(shown, uint8(original)); at >= 0 {
				dst = append(dst, "apt="...)
				return append(strconv.AppendUint(dst, uint64(shown[at].shown), 10), "\r\n"...)
			}
		}
	}
	return append(append(dst, parameters...), "\r\n"...)
}

// appendOurs ends the lines of a medium with our formats and keys.
func appendOurs(dst []byte, w *disguise, index int) []byte {
	if index < 0 || w.lines[index].rtp == 0 {
		return dst
	}
	if events := w.lines[index].events; events != nil {
		dst = append(dst, events.lines...)
	}
	return append(dst, w.lines[index].crypto...)
}

// isKey tells of lines that carry keys.
func isKey(line []byte) bool { return line[0] == 'k' || bytes.HasPrefix(line, []byte("a=crypto:")) }

func isRTCP(value []byte) bool { return bytes.HasPrefix(value, []byte("rtcp:")) }

// appendRTCP writes a=rtcp in the form it came in, with our values. RFC 3605 §2.1.
func appendRTCP(dst, value []byte, w *disguise, index int) []byte {
	port := w.lines[index].rtcp
	if port == 0 {
		port = w.lines[index].rtp
	}
	dst = append(dst, "a=rtcp:"...)
	dst = strconv.AppendUint(dst, uint64(port), 10)
	if bytes.IndexByte(value, ' ') >= 0 {
		dst = append(dst, ' ')
		dst = appendAddress(dst, w.address, false)
	}
	return append(dst, "\r\n"...)
}

func appendMedia(dst []byte, s *section, line *shownLine) []byte {
	dst = append(dst, "m="...)
	if line.rtp == 0 && line.head != "" && !bytes.HasPrefix([]byte(line.head), s.media) {
		return append(append(dst, line.head...), "\r\n"...)
	}
	dst = append(dst, s.media...)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, uint64(line.rtp), 10)
	dst = append(dst, ' ')
	if line.proto != "" {
		dst = append(dst, line.proto...)
	} else {
		dst = append(dst, s.proto...)
	}
	dst = append(dst, ' ')
	if len(s.formats) == 0 {
		dst = append(dst, '0')
	}
	if line.formats != nil {
		for i, f := range line.formats {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = strconv.AppendUint(dst, uint64(f.shown), 10)
		}
		return append(dst, "\r\n"...)
	}
	return append(append(dst, s.formats...), "\r\n"...)
}

func appendConnection(dst []byte, address netip.Addr, held bool) []byte {
	dst = append(dst, "c="...)
	return append(appendAddress(dst, address, held), "\r\n"...)
}

// appendAddress writes "IN IP4 192.0.2.1", or the unspecified address of the family if held.
func appendAddress(dst []byte, address netip.Addr, held bool) []byte {
	if address.Is4() {
		dst = append(dst, "IN IP4 "...)
		if held {
			return append(dst, "0.0.0.0"...)
		}
	} else {
		dst = append(dst, "IN IP6 "...)
		if held {
			return append(dst, "::"...)
		}
	}
	return address.AppendTo(dst)
}
