//go:build interop

package peers

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// spoilable is an INVITE in which each element that may be spoilt stands in braces, as it is when all is well.
const spoilable = "{INVITE} {sip}:{+15550001234}@{127.0.0.1}:{5060};{user}={phone} {SIP}/{2.0}\r\n" +
	"{Via}{:} {SIP}/{2.0}/{$transport} {$from}:{$port};{branch}={$branch};{rport};{ttl}={16};{maddr}={127.0.0.2}\r\n" +
	"{Max-Forwards}: {70}\r\n" +
	"{From}: {\"A. Caller\"} <{sip}:{+14155550100}@{$from}:{5060};{user}={phone}>;{tag}={t$id}\r\n" +
	"{To}: {Callee} <{sip}:{+15550001234}@{127.0.0.1};{user}={phone}>\r\n" +
	"{Call-ID}: {$id}@{$from}\r\n" +
	"{CSeq}: {1} {INVITE}\r\n" +
	"{Contact}: {Caller} <{sip}:{caller}@{$from}:{$port};{transport}={$transport}>;{q}={0.7};{expires}={3600}\r\n" +
	"{Record-Route}: <{sip}:{$from}:{$port};{lr}>\r\n" +
	"{Allow}: {INVITE}, {ACK}\r\n" +
	"{Supported}: {timer}\r\n" +
	"{Session-Expires}: {1800};{refresher}={uac}\r\n" +
	"{Min-SE}: {90}\r\n" +
	"{P-Asserted-Identity}: <{sip}:{+14155550100}@{$from}>\r\n" +
	"{Privacy}: {none}\r\n" +
	"{Diversion}: <{sip}:{+14155550101}@{$from}>;{reason}={no-answer};{counter}={1}\r\n" +
	"{History-Info}: <{sip}:{+14155550101}@{$from}>;{index}={1.1}\r\n" +
	"{Identity}: {eyJ.eyJ.sig};{info}=<{https://cert.example}>;{alg}={ES256}\r\n" +
	"{Date}: {Sat, 21 Nov 2026 10:00:00 GMT}\r\n" +
	"{Expires}: {120}\r\n" +
	"{User-Agent}: {A phone}\r\n" +
	"{Content-Type}: {application}/{sdp}\r\n" +
	"{Content-Length}: {$length}{\r\n}\r\n" +
	"{v}={0}\r\n" +
	"{o}={-} {1} {1} {IN} {IP4} {$from}\r\n" +
	"{s}={-}\r\n" +
	"{c}={IN} {IP4} {$from}\r\n" +
	"{b}={AS}:{64}\r\n" +
	"{t}={0} {0}\r\n" +
	"{m}={audio} {40000} {RTP/AVP} {0} {101}\r\n" +
	"{a}={rtpmap}:{101} {telephone-event}/{8000}/{1}\r\n" +
	"{a}={fmtp}:{101} {0-16}\r\n" +
	"{a}={crypto}:{1} {AES_CM_128_HMAC_SHA1_80} {inline}:{d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj}|{2^20}|{1:4}\r\n" +
	"{a}={ptime}:{20}\r\n" +
	"{a}={sendrecv}\r\n"

// anomalies stand in place of an element, as those of the PROTOS suite for SIP do (University of Oulu, c07-sip): nothing,
// delimiters one by one and in great numbers, overlong words, formats, octets no text has, numbers at and beyond their limits,
// addresses that are none, lines where none may end.
func anomalies() []string {
	all := []string{"", " ", "\t", "\x00", "\x7f", "\xff", "\r", "\n", "\r\n", "\r\n ", "\r\n\r\n", "\xc0\xaf", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\x1b[2J",
		"%", "%s", "%n", "%s%n%s%n%s%n", "%00", "%0d%0a", "%zz", "\\", "\\\"", "\"", "\"\"\"", "'", "`", "<", ">", "<>", "><", "<<>>", "[", "]", "[]", "[:::]", "(", ")", ";", ";;", ";=", ",", ",,", ":", "::", "/", "//", "@", "@@", "=", "==", "?", "&", "#", "*", "+", "-", ".", "..", "{}", "|",
		"-1", "0", "00000000000000000001", "255", "256", "65535", "65536", "2147483647", "2147483648", "-2147483649", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616", strings.Repeat("9", 400), "0x41", "1e9", "1.5",
		"256.256.256.256", "127.0.0.1.", "127.0.0.1.1", "1.2.3", "[::1", "[::ffff:127.0.0.1%lo]", "[fe80::1%25lo]", "localhost", "sip:", "sip:sip:sip:a", "sips:x@y", "tel:+1", "SIP/2.0", "z9hG4bK", "\r\nX: y", "\r\nContent-Length: 0\r\n\r\n", "a\r\nm=audio 1 RTP/AVP 0"}
	for _, word := range []string{"a", " ", "\x00", "<", "[", ":", "/", "@", ";a=b", ",<sip:a>", "\r\n ", "%s", "\xff", "9"} {
		for _, times := range []int{17, 257, 4097, 20000} {
			all = append(all, strings.Repeat(word, times/len(word)+1))
		}
	}
	return all
}

// spoilt is one case: the message with the element of that number spoilt, the others whole.
func spoilt(element int, anomaly string, values *strings.Replacer) []byte {
	fill := func(text string, at int, wrong string) string {
		var b strings.Builder
		for n := 0; ; n++ {
			before, rest, found := strings.Cut(text, "{")
			b.WriteString(values.Replace(before))
			if !found {
				return b.String()
			}
			word, after, _ := strings.Cut(rest, "}")
			if n == at {
				b.WriteString(wrong)
			} else {
				b.WriteString(values.Replace(word))
			}
			text = after
		}
	}
	whole := fill(spoilable, element, anomaly)
	_, body, _ := strings.Cut(fill(spoilable, -1, ""), "\r\n\r\n")
	if _, own, found := strings.Cut(whole, "\r\n\r\n"); found && strings.HasSuffix(whole, "\r\n") {
		body = own
	}
	return []byte(strings.Replace(whole, "$length", fmt.Sprint(len(body)), 1))
}

var spoilableElements = strings.Count(spoilable, "{")

// TestAnomalies_PAR14: an INVITE of the carrier with one element spoilt, for each of some 190 elements and 150 anomalies, over UDP, and
// every seventh over TCP. Whatever the edge sends on, and whatever it answers, is well-formed; a good call is answered all along; nothing
// crashes, and nothing is left behind.
func TestAnomalies_PAR14(t *testing.T) {
	t.Parallel()
	o := settled(true)
	o.more += "\nlog: {level: error}"
	o.media += ", address: 127.0.0.8" // it opens every port, beside tests that want some
	s := newStage(t, o)
	app := startRefuser(t, s.app)
	caller := newSpoiler(t, s, "udp")
	stream := newSpoiler(t, s, "tcp")
	caller.good(t)
	stream.good(t)
	before := s.footprint()
	cases := 0
	for element := range spoilableElements {
		for n, anomaly := range anomalies() {
			caller.send(t, element, anomaly)
			if (element+n)%7 == 0 {
				stream.send(t, element, anomaly)
			}
			if cases++; cases%100 == 0 {
				caller.good(t)
			}
		}
		stream.good(t)
	}
	caller.good(t)
	stream.good(t)
	t.Logf("%d cases over UDP, %d elements; the application had %d requests; answers: %v over UDP, %v over TCP", cases, spoilableElements, app.count(), caller.answers(), stream.answers())
	if cases < 4527 {
		t.Errorf("only %d cases", cases)
	}
	if app.count() < cases/20 || len(caller.answers()) < 3 {
		t.Error("hardly anything has passed or was refused: this shows nothing")
	}
	Eventually(t, 60*time.Second, "no call is left", func() bool { return s.Metrics().Sum("trunkline_calls") == 0 })
	if n := s.Metrics().Sum("trunkline_sip_panics_total"); n != 0 {
		t.Errorf("%g panics", n)
	}
	s.returnsTo(t, before, 16<<20)
}

// refuser is an application that refuses every call with 486, and checks that each message it hears is well-formed.
type refuser struct {
	mu       sync.Mutex
	requests int
}

func (r *refuser) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

func startRefuser(t *testing.T, at netip.AddrPort) *refuser {
	t.Helper()
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	socket.SetReadBuffer(4 << 20)
	r := &refuser{}
	var reading sync.WaitGroup
	reading.Go(func() {
		b := make([]byte, 1<<16)
		var answer bytes.Buffer
		for {
			n, from, err := socket.ReadFromUDPAddrPort(b)
			if err != nil {
				return // closed
			}
			m, err := readStrictly(b[:n])
			if err == nil {
				err = m.complete()
			}
			if err != nil {
				t.Errorf("the edge sent what is no good: %v\n%q", err, b[:min(n, 2000)])
				continue
			}
			if strings.HasPrefix(m.start, "ACK ") {
				continue
			}
			r.mu.Lock()
			r.requests++
			r.mu.Unlock()
			status := "200 OK"
			if strings.HasPrefix(m.start, "INVITE ") {
				status = "486 Busy Here"
			}
			fmt.Fprintf(&answer, "SIP/2.0 %s\r\n", status)
			for _, name := range []string{"Via", "From", "To", "Call-ID", "CSeq"} {
				value := m.headers[name][0]
				if name == "To" && !strings.Contains(value, ";tag=") {
					value += ";tag=busy"
				}
				fmt.Fprintf(&answer, "%s: %s\r\n", name, value)
			}
			answer.WriteString("Content-Length: 0\r\n\r\n")
			socket.WriteToUDPAddrPort(answer.Bytes(), from)
			answer.Reset()
		}
	})
	t.Cleanup(func() { socket.Close(); reading.Wait() })
	return r
}

// spoiler sends spoilt INVITEs, acknowledges what they are refused with, and checks each answer.
type spoiler struct {
	stage     *stage
	transport string
	sent      int
	local     netip.AddrPort

	mu    sync.Mutex
	link  net.Conn
	codes map[int]int
	busy  chan string // Call-IDs of calls that came to their 486
}

func newSpoiler(t *testing.T, s *stage, transport string) *spoiler {
	t.Helper()
	p := &spoiler{stage: s, transport: transport, local: FreePort(t, CarrierHost), codes: map[int]int{}, busy: make(chan string, 1000)}
	p.open(t)
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.link.Close()
	})
	return p
}

// open opens the socket or a new connection.
func (p *spoiler) open(t *testing.T) {
	t.Helper()
	dialer := net.Dialer{Timeout: 5 * time.Second, LocalAddr: net.UDPAddrFromAddrPort(p.local)}
	if p.transport == "tcp" {
		dialer.LocalAddr = &net.TCPAddr{IP: p.local.Addr().AsSlice()}
	}
	link, err := dialer.Dial(p.transport, p.stage.udp.String())
	if err != nil {
		t.Fatal(err)
	}
	if udp, ok := link.(*net.UDPConn); ok {
		udp.SetReadBuffer(4 << 20)
	}
	p.mu.Lock()
	p.link = link
	p.mu.Unlock()
	go p.hear(t, link) // ends with the connection
}

// hear reads what comes until the connection is closed.
func (p *spoiler) hear(t *testing.T, link net.Conn) {
	b, held := make([]byte, 1<<17), 0
	for {
		n, err := link.Read(b[held:])
		if err != nil {
			return
		}
		unread := b[:held+n]
		for len(unread) > 0 {
			m, err := readStrictly(unread)
			if errors.Is(err, errMore) && p.transport == "tcp" {
				break
			}
			if err != nil {
				t.Errorf("the edge answered what is no good: %v\n%q", err, unread[:min(len(unread), 2000)])
				unread = nil
				break
			}
			p.answered(link, m)
			unread = unread[m.length:]
		}
		held = copy(b, unread)
	}
}

// answered counts a final answer and acknowledges it.
func (p *spoiler) answered(link net.Conn, m strictMessage) {
	var code int
	if _, err := fmt.Sscanf(m.start, "SIP/2.0 %d ", &code); err != nil || code < 300 {
		return
	}
	p.mu.Lock()
	p.codes[code]++
	p.mu.Unlock()
	if m.complete() != nil { // it mirrors what was sent
		return
	}
	if code == 486 {
		select {
		case p.busy <- m.headers["Call-ID"][0]:
		default:
		}
	}
	number, _, _ := strings.Cut(m.headers["CSeq"][0], " ")
	fmt.Fprintf(link, "ACK sip:%s@%s SIP/2.0\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", ourNumber, p.stage.udp,
		m.headers["Via"][0], m.headers["From"][0], m.headers["To"][0], m.headers["Call-ID"][0], number)
}

// strictMessage is a message of the edge.
type strictMessage struct {
	start   string
	headers map[string][]string
	body    string
	length  int // of the whole message in octets
}

var errMore = errors.New("more is to come")

// readStrictly reads the message that b begins with. Whatever the edge was sent, lines end in CRLF, hold no control character, and have a
// header's shape, and the body is as long as is said.
func readStrictly(b []byte) (strictMessage, error) {
	head, rest, ok := bytes.Cut(b, []byte("\r\n\r\n"))
	if !ok {
		return strictMessage{}, errMore
	}
	lines := strings.Split(string(head), "\r\n")
	m := strictMessage{start: lines[0], headers: map[string][]string{}}
	for i, line := range lines {
		if at := strings.IndexFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); at >= 0 {
			return m, fmt.Errorf("a control character in %q", line)
		}
		name, value, ok := strings.Cut(line, ":")
		if i > 0 && (!ok || name == "" || strings.ContainsAny(name, " \t")) {
			return m, fmt.Errorf("no header: %q", line)
		}
		if i > 0 {
			m.headers[name] = append(m.headers[name], strings.TrimSpace(value))
		}
	}
	var length int
	if said := m.headers["Content-Length"]; len(said) != 1 {
		return m, fmt.Errorf("%d Content-Lengths", len(said))
	} else if _, err := fmt.Sscan(said[0], &length); err != nil || length < 0 {
		return m, fmt.Errorf("Content-Length %q", said[0])
	}
	if length > len(rest) {
		return m, errMore
	}
	m.body, m.length = string(rest[:length]), len(head)+4+length
	return m, nil
}

// complete is an error unless the headers that every message has are there once.
func (m strictMessage) complete() error {
	for _, name := range []string{"From", "To", "Call-ID", "CSeq"} {
		if n := len(m.headers[name]); n != 1 {
			return fmt.Errorf("%d %s headers", n, name)
		}
	}
	if len(m.headers["Via"]) == 0 {
		return errors.New("no Via")
	}
	return nil
}

func (p *spoiler) answers() map[int]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.codes
}

// send sends one case; over TCP on a new connection if the edge has closed the last one.
func (p *spoiler) send(t *testing.T, element int, anomaly string) string {
	t.Helper()
	p.sent++
	id := fmt.Sprintf("%s-%d-%d", p.transport, p.sent, p.local.Port())
	message := spoilt(element, anomaly, strings.NewReplacer("$from", CarrierHost, "$port", fmt.Sprint(p.local.Port()), "$id", id, "$branch", "z9hG4bK"+id, "$transport", strings.ToUpper(p.transport)))
	p.mu.Lock()
	link := p.link
	p.mu.Unlock()
	if _, err := link.Write(message[:min(len(message), 65_000)]); err != nil && p.transport == "tcp" {
		link.Close()
		p.open(t)
		p.mu.Lock()
		link = p.link
		p.mu.Unlock()
		if _, err := link.Write(message); err != nil {
			t.Logf("a new connection takes nothing: %v", err)
		}
	}
	return id
}

// good makes a call in which nothing is wrong, and waits for its 486. On a stream the case before may have left the edge waiting for the
// rest of a message, or closing: a connection of its own shows that others are not harmed.
func (p *spoiler) good(t *testing.T) {
	t.Helper()
	if p.transport == "tcp" {
		p.mu.Lock()
		p.link.Close()
		p.mu.Unlock()
		p.open(t)
	}
	for range 5 { // datagrams may be lost when all come at once
		id := p.send(t, -1, "")
		limit := time.After(4 * time.Second)
		for waiting := true; waiting; {
			select {
			case got := <-p.busy:
				if strings.HasPrefix(got, id+"@") {
					return
				}
			case <-limit:
				waiting = false
			}
		}
	}
	t.Fatalf("after %d cases over %s a good call is not answered; answers: %v", p.sent, p.transport, p.answers())
}
