package peers

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Line is what lies between phones and the edge, over UDP: it leads called numbers to phones, and does to messages and packets what
// networks do. To the edge it is the phones' address, to phones that have it as their proxy it is the edge's.
type Line struct {
	At     netip.AddrPort                           // where it is
	Edge   netip.AddrPort                           // where the edge takes SIP
	Phones map[string]netip.AddrPort                // by called user; "" is for the others
	Edit   func(toEdge bool, message string) string // changes a message; nil: none is changed
	Lose   int                                      // every so manieth packet of RTP is lost, each way; 0: none
	Number [2]int                                   // a payload type as the phone has it, and as it has it to the edge; 0, 0: the same

	sip   *net.UDPConn
	media *lineMedia // nil: RTP does not pass the line
	run   sync.WaitGroup
}

// lineMedia carries the RTP and RTCP of one call at a time: by its first two sockets to and from the edge, by the others to and
// from the phone.
type lineMedia struct {
	port    int // of the first socket; the others follow
	sockets [4]*net.UDPConn
	to      [4]atomic.Pointer[netip.AddrPort] // where what comes to the opposite socket goes
	packets [2]int                            // of RTP that came from the edge and from the phone
	adopted atomic.Bool                       // the edge has described the number that the phone has to it
}

// Start lets it carry until the test ends.
func (l *Line) Start(t testing.TB) {
	t.Helper()
	t.Cleanup(l.run.Wait) // after the sockets have been closed
	l.sip = l.bind(t, l.At)
	if l.Lose > 0 || l.Number != [2]int{} {
		l.media = &lineMedia{port: phoneMedia()}
		for i := range l.media.sockets {
			l.media.sockets[i] = l.bind(t, netip.AddrPortFrom(l.At.Addr(), uint16(l.media.port+i)))
		}
		for i := range l.media.sockets {
			l.run.Go(func() { l.carryMedia(i) }) // ends when the socket closes
		}
	}
	l.run.Go(l.carryMessages) // ends when the socket closes
}

// bind opens a socket that is closed when the test ends.
func (l *Line) bind(t testing.TB, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

func (l *Line) carryMessages() {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := l.sip.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if n < 32 {
			continue // a keep-alive
		}
		toEdge := from != l.Edge
		message := l.changed(toEdge, string(buffer[:n]))
		to := l.Edge
		if !toEdge {
			to = l.phoneOf(message)
		}
		l.sip.WriteToUDPAddrPort([]byte(message), to) // what is lost is sent again
	}
}

var (
	requestUser = regexp.MustCompile(`^[A-Z]+ sip:([^@;> ]*)@`)
	sentBy      = regexp.MustCompile(`(?im)^Via: SIP/2.0/UDP ([0-9.]+:\d+)`)
	audioPort   = regexp.MustCompile(`(?m)^m=audio (\d+)`)
	connection  = regexp.MustCompile(`(?m)^c=IN IP4 ([0-9.]+)`)
	contact     = regexp.MustCompile(`(?im)^Contact:.*$`)
	bodyLength  = regexp.MustCompile(`(?im)^Content-Length:[^\r\n]*`)
)

// phoneOf is where a message of the edge goes: a request to the phone that is called, a response to the one that asked.
func (l *Line) phoneOf(message string) netip.AddrPort {
	if match := requestUser.FindStringSubmatch(message); match != nil {
		if phone, ok := l.Phones[match[1]]; ok {
			return phone
		}
	} else if match := sentBy.FindStringSubmatch(message); match != nil {
		if asked, err := netip.ParseAddrPort(match[1]); err == nil {
			return asked
		}
	}
	return l.Phones[""]
}

// changed is a message as it leaves the line. Phones send what they have to say in a call to the edge's Contact: it becomes the line's.
func (l *Line) changed(toEdge bool, message string) string {
	if toEdge {
		start, rest, _ := strings.Cut(message, "\r\n")
		message = strings.Replace(start, l.At.String(), l.Edge.String(), 1) + "\r\n" + rest
	} else {
		message = contact.ReplaceAllStringFunc(message, func(line string) string {
			return strings.Replace(line, l.Edge.String(), l.At.String(), 1)
		})
	}
	if l.media != nil {
		message = l.renumbered(toEdge, l.media.redescribed(toEdge, message, l.At.Addr()))
	}
	if l.Edit != nil {
		message = l.Edit(toEdge, message)
	}
	head, body, _ := strings.Cut(message, "\r\n\r\n")
	return bodyLength.ReplaceAllLiteralString(head, fmt.Sprintf("Content-Length: %d", len(body))) + "\r\n\r\n" + body
}

// redescribed puts the line into a description, in the place of who sent it.
func (m *lineMedia) redescribed(toEdge bool, message string, here netip.Addr) string {
	port, host := audioPort.FindStringSubmatch(message), connection.FindStringSubmatch(message)
	if port == nil || host == nil {
		return message
	}
	described, err := netip.ParseAddrPort(host[1] + ":" + port[1])
	if err != nil {
		return message
	}
	shown, facing := m.port+2, 0 // the edge's description, as the phone sees it
	if toEdge {
		shown, facing = m.port, 2
	}
	control := netip.AddrPortFrom(described.Addr(), described.Port()+1)
	m.to[facing].Store(&described)
	m.to[facing+1].Store(&control)
	message = audioPort.ReplaceAllLiteralString(message, fmt.Sprintf("m=audio %d", shown))
	return connection.ReplaceAllLiteralString(message, "c=IN IP4 "+here.String())
}

// carryMedia carries what comes to a socket to the other party, by the socket that faces it.
func (l *Line) carryMedia(i int) {
	m, opposite := l.media, (i+2)%4
	buffer := make([]byte, 2048)
	for {
		n, _, err := m.sockets[i].ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		if i%2 == 0 {
			m.packets[i/2]++
			if l.Lose > 0 && m.packets[i/2]%l.Lose == 0 {
				continue
			}
			l.renumber(buffer[:n], i == 2)
		}
		if to := m.to[opposite].Load(); to != nil {
			m.sockets[opposite].WriteToUDPAddrPort(buffer[:n], *to) // what is lost is lost
		}
	}
}

// renumbered is a description with the payload type that it is about to who reads it.
func (l *Line) renumbered(toEdge bool, message string) string {
	from, to := l.Number[1], l.Number[0]
	if toEdge {
		from, to = to, from
	}
	if from == to || !audioPort.MatchString(message) {
		return message
	}
	old, next := strconv.Itoa(from), strconv.Itoa(to)
	if !toEdge {
		l.media.adopted.Store(strings.Contains(message, "\r\na=rtpmap:"+old+" "))
	}
	lines := strings.Split(message, "\r\n")
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "m=audio "):
			fields := strings.Split(line, " ")
			for j := 3; j < len(fields); j++ {
				if fields[j] == old {
					fields[j] = next
				}
			}
			lines[i] = strings.Join(fields, " ")
		case strings.HasPrefix(line, "a=rtpmap:"+old+" "), strings.HasPrefix(line, "a=fmtp:"+old+" "):
			lines[i] = strings.Replace(line, ":"+old+" ", ":"+next+" ", 1)
		}
	}
	return strings.Join(lines, "\r\n")
}

// renumber changes the payload type of a packet. To the edge the phone sends the number that the edge has described. RFC 3264 §5.1.
func (l *Line) renumber(packet []byte, toEdge bool) {
	from, to := l.Number[1], l.Number[0]
	if toEdge {
		from, to = to, from
	}
	if from == to || len(packet) < 12 || toEdge && !l.media.adopted.Load() {
		return
	}
	if int(packet[1]&0x7f) == from {
		packet[1] = packet[1]&0x80 | byte(to)
	}
}
