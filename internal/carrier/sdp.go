package carrier

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// describe is a session description for one audio stream, G.711 both ways and telephone-event.
func describe(user string, at netip.AddrPort, version int, codecs ...int) []byte {
	family := "IP4"
	if at.Addr().Is6() {
		family = "IP6"
	}
	if len(codecs) == 0 {
		codecs = []int{0, 8}
	}
	var formats, maps strings.Builder
	for _, c := range codecs {
		fmt.Fprintf(&formats, " %d", c)
		fmt.Fprintf(&maps, "a=rtpmap:%d %s/8000\r\n", c, map[int]string{0: "PCMU", 8: "PCMA"}[c])
	}
	return fmt.Appendf(nil, "v=0\r\no=%s %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\nm=audio %d RTP/AVP%s 101\r\n%sa=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
		user, at.Port(), version, family, at.Addr(), family, at.Addr(), at.Port(), formats.String(), maps.String())
}

// audio is what a description says about its first audio stream.
type audio struct {
	at     netip.AddrPort // where to send; port 0: refused
	codec  int            // first of 0 (PCMU) and 8 (PCMA)
	sends  bool           // the other side sends
	wants  bool           // the other side wants to receive
	usable bool
}

// readAudio reads the first m=audio line and what belongs to it.
func readAudio(sdp []byte) audio {
	a := audio{codec: -1, sends: true, wants: true}
	var session, media string
	port, found := 0, false
	for line := range strings.SplitSeq(strings.ReplaceAll(string(sdp), "\r", ""), "\n") {
		switch {
		case strings.HasPrefix(line, "m="):
			if found {
				return a.finish(session, media, port)
			}
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[0] != "m=audio" {
				continue
			}
			found = true
			port, _ = strconv.Atoi(fields[1])
			for _, f := range fields[3:] {
				if (f == "0" || f == "8") && a.codec < 0 {
					a.codec, _ = strconv.Atoi(f)
				}
			}
		case strings.HasPrefix(line, "c=IN IP"):
			if fields := strings.Fields(line); len(fields) == 3 && found {
				media = fields[2]
			} else if len(fields) == 3 && media == "" {
				session = fields[2]
			}
		case line == "a=sendonly":
			a.wants = false
		case line == "a=recvonly":
			a.sends = false
		case line == "a=inactive":
			a.wants, a.sends = false, false
		}
	}
	if !found {
		return a
	}
	return a.finish(session, media, port)
}

func (a audio) finish(session, media string, port int) audio {
	if media == "" {
		media = session
	}
	addr, err := netip.ParseAddr(media)
	if err != nil || port < 0 || port > 65535 || a.codec < 0 {
		return a
	}
	a.at = netip.AddrPortFrom(addr, uint16(port))
	a.usable = port != 0
	if addr.IsUnspecified() { // the old way to hold
		a.wants = false
	}
	return a
}
