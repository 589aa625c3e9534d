package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// latency is what a system adds to the way of an INVITE, in microseconds.
type latency struct{ p50, p99 float64 }

func (l latency) String() string {
	if l.p50 == 0 {
		return "n/a"
	}
	return fmt.Sprintf("%.0f / %.0f", l.p50, l.p99)
}

// latencies measures each system with calls of our own, one a millisecond at 1000 calls/s, played by this program at
// both ends instead of SIPp, whose clock is four milliseconds coarse. The way of an INVITE starts just before the caller's
// send and ends with the kernel's receive timestamp on the callee's socket, so our own scheduling is not in it. The same
// measured without a system in between is the floor, whose median is taken off.
func (b *bench) latencies(ctx context.Context, systems []system, all []*figures) error {
	floor, err := b.probe(ctx, calleeAddress)
	if err != nil {
		return fmt.Errorf("latency without a system: %w", err)
	}
	base := percentile(floor, 50)
	progress("INVITE straight to the callee: p50 %.0f µs, p99 %.0f µs", base, percentile(floor, 99))
	for i, s := range systems {
		under, err := s.start(ctx)
		if err != nil {
			return fmt.Errorf("%s, latency: %w", s.name, err)
		}
		ways, err := b.probe(ctx, testAddress)
		under.stop()
		if err != nil {
			return fmt.Errorf("%s, latency: %w", s.name, err)
		}
		all[i].latency = latency{p50: percentile(ways, 50) - base, p99: percentile(ways, 99) - base}
	}
	return nil
}

// percentile of durations, in microseconds.
func percentile(ways []time.Duration, p int) float64 {
	slices.Sort(ways)
	return float64(ways[min(len(ways)-1, len(ways)*p/100)].Nanoseconds()) / 1000
}

// probe plays calls through target at the low rate and returns the way of each INVITE. The first tenth warms up.
func (b *bench) probe(ctx context.Context, target string) ([]time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p, err := newProber(target, b.probes, time.Second/time.Duration(b.rate))
	if err != nil {
		return nil, err
	}
	defer p.close()
	if err := p.play(ctx); err != nil {
		return nil, err
	}
	var ways []time.Duration
	for _, way := range p.ways[len(p.ways)/10:] {
		if way > 0 {
			ways = append(ways, way)
		}
	}
	if len(ways) < len(p.ways)*8/10 {
		return nil, fmt.Errorf("only %d of %d probe calls reached the callee", len(ways), len(p.ways))
	}
	return ways, nil
}

// prober plays both ends of its calls on one thread. The caller's number names the call at the callee's end,
// since an edge changes the Call-ID.
type prober struct {
	caller, callee int // sockets
	target         unix.SockaddrInet4
	targetText     string
	every          time.Duration
	sent           []time.Time
	ways           []time.Duration
	byes           []farewell // in order of time
	ended          int
	in             []byte
	control        []byte
	out            bytes.Buffer
}

type farewell struct {
	at      time.Time
	message []byte
}

const callerNumbers = 2_000_000 // +1999 and seven digits

func newProber(target string, calls int, every time.Duration) (*prober, error) {
	address := netip.MustParseAddrPort(target)
	p := &prober{
		target: unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}, targetText: target, every: every,
		sent: make([]time.Time, calls), ways: make([]time.Duration, calls), in: make([]byte, 65536), control: make([]byte, 256),
	}
	var err error
	if p.caller, err = openSocket(probeAddress); err != nil {
		return nil, err
	}
	if p.callee, err = openSocket(calleeAddress); err != nil {
		unix.Close(p.caller)
		return nil, err
	}
	return p, nil
}

func (p *prober) close() {
	unix.Close(p.caller)
	unix.Close(p.callee)
}

// openSocket binds a socket that gives the kernel's time of arrival with each datagram.
func openSocket(address string) (int, error) {
	at := netip.MustParseAddrPort(address)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	for _, option := range []struct{ name, value int }{{unix.SO_TIMESTAMPNS, 1}, {unix.SO_RCVBUF, 8 << 20}, {unix.SO_SNDBUF, 8 << 20}} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option.name, option.value); err != nil {
			unix.Close(fd)
			return 0, err
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		unix.Close(fd)
		return 0, fmt.Errorf("bind %s: %w", address, err)
	}
	return fd, nil
}

// play starts a call each tick until all are started, and ends when they have ended or five seconds later.
func (p *prober) play(ctx context.Context) error {
	start := time.Now()
	end := start.Add(time.Duration(len(p.sent))*p.every + 5*time.Second)
	for started := 0; p.ended < len(p.sent) && ctx.Err() == nil; {
		now := time.Now()
		if now.After(end) {
			break
		}
		next := end
		if started < len(p.sent) {
			if due := start.Add(time.Duration(started) * p.every); due.After(now) {
				next = due
			} else if err := p.invite(started); err != nil {
				return err
			} else {
				started++
				continue
			}
		}
		if len(p.byes) > 0 {
			if bye := p.byes[0]; bye.at.After(now) {
				next = earlier(next, bye.at)
			} else {
				p.byes = p.byes[1:]
				p.send(p.caller, bye.message, &p.target)
				continue
			}
		}
		if err := p.listen(next.Sub(now)); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// listen waits for datagrams and answers all that have come.
func (p *prober) listen(wait time.Duration) error {
	fds := []unix.PollFd{{Fd: int32(p.caller), Events: unix.POLLIN}, {Fd: int32(p.callee), Events: unix.POLLIN}}
	timeout := unix.NsecToTimespec(max(wait, 0).Nanoseconds())
	if _, err := unix.Ppoll(fds, &timeout, nil); err != nil && err != unix.EINTR {
		return err
	}
	for _, fd := range fds {
		if fd.Revents&unix.POLLIN == 0 {
			continue
		}
		for {
			n, controlled, _, from, err := unix.Recvmsg(int(fd.Fd), p.in, p.control, 0)
			if err == unix.EAGAIN || err == unix.ECONNREFUSED {
				break
			}
			if err != nil {
				return err
			}
			if int(fd.Fd) == p.callee {
				p.answer(p.in[:n], from, arrival(p.control[:controlled]))
			} else {
				p.proceed(p.in[:n])
			}
		}
	}
	return nil
}

// arrival is the kernel's time of a datagram; zero if it gave none.
func arrival(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return time.Time{}
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS && len(m.Data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			at := *(*unix.Timespec)(unsafe.Pointer(&m.Data[0]))
			return time.Unix(at.Unix())
		}
	}
	return time.Time{}
}

const offer = "v=0\r\no=- 20518 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 9 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n" +
	"a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"

// invite sends the first message of a call and notes when.
func (p *prober) invite(n int) error {
	p.out.Reset()
	fmt.Fprintf(&p.out, "INVITE sip:%s@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKp%d;rport\r\nFrom: <sip:+1999%07d@%s>;tag=p%d\r\n"+
		"To: <sip:%s@%s>\r\nCall-ID: probe-%d@%s\r\nCSeq: 1 INVITE\r\nContact: <sip:probe@%s>\r\nMax-Forwards: 70\r\n"+
		"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: probe\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		calledNumber, p.targetText, probeAddress, n, callerNumbers+n, probeAddress, n,
		calledNumber, p.targetText, n, probeAddress, probeAddress, len(offer), offer)
	message := p.out.Bytes()
	p.sent[n] = time.Now()
	if err := unix.Sendto(p.caller, message, 0, &p.target); err != nil {
		return fmt.Errorf("send to %s: %w", p.targetText, err)
	}
	return nil
}

// answer plays the callee: 180 and 200 to an INVITE at once, 200 to a BYE.
func (p *prober) answer(message []byte, from unix.Sockaddr, at time.Time) {
	switch {
	case bytes.HasPrefix(message, []byte("INVITE ")):
		if _, rest, ok := bytes.Cut(header(message, "From"), []byte("+1999")); ok && len(rest) >= 7 {
			n, err := strconv.Atoi(string(rest[:7]))
			n -= callerNumbers
			if err == nil && n >= 0 && n < len(p.ways) && p.ways[n] == 0 && !at.IsZero() {
				p.ways[n] = at.Sub(p.sent[n])
			}
		}
		p.send(p.callee, p.reply(message, "180 Ringing", ""), from)
		p.send(p.callee, p.reply(message, "200 OK", offer), from)
	case bytes.HasPrefix(message, []byte("BYE ")):
		p.send(p.callee, p.reply(message, "200 OK", ""), from)
	}
}

func (p *prober) reply(request []byte, status, body string) []byte {
	p.out.Reset()
	p.out.WriteString("SIP/2.0 " + status + "\r\n")
	copyHeaders(&p.out, request, "Via", "Record-Route", "From", "Call-ID", "CSeq")
	to := header(request, "To")
	fmt.Fprintf(&p.out, "To: %s", to)
	if !bytes.Contains(to, []byte(";tag=")) {
		p.out.WriteString(";tag=callee")
	}
	fmt.Fprintf(&p.out, "\r\nContact: <sip:callee@%s>\r\n", calleeAddress)
	if body != "" {
		p.out.WriteString("Content-Type: application/sdp\r\n")
	}
	fmt.Fprintf(&p.out, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return p.out.Bytes()
}

// proceed plays the caller: ACK to a 200, and a BYE 100 ms later.
func (p *prober) proceed(message []byte) {
	if !bytes.HasPrefix(message, []byte("SIP/2.0 200")) {
		return
	}
	if bytes.Contains(header(message, "CSeq"), []byte("BYE")) {
		p.ended++
		return
	}
	contact := header(message, "Contact")
	if _, after, ok := bytes.Cut(contact, []byte("<")); ok {
		contact, _, _ = bytes.Cut(after, []byte(">"))
	}
	callID := header(message, "Call-ID")
	for _, method := range []string{"ACK", "BYE"} {
		p.out.Reset()
		fmt.Fprintf(&p.out, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%s%s;rport\r\n", method, contact, probeAddress, method, callID)
		if route := header(message, "Record-Route"); route != nil {
			fmt.Fprintf(&p.out, "Route: %s\r\n", route)
		}
		copyHeaders(&p.out, message, "From", "To", "Call-ID")
		number := 1
		if method == "BYE" {
			number = 2
		}
		fmt.Fprintf(&p.out, "CSeq: %d %s\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n", number, method)
		if method == "ACK" {
			p.send(p.caller, p.out.Bytes(), &p.target)
		} else {
			p.byes = append(p.byes, farewell{time.Now().Add(100 * time.Millisecond), bytes.Clone(p.out.Bytes())})
		}
	}
}

// send may lose a datagram as UDP does; a lost call is counted by its silence.
func (p *prober) send(socket int, message []byte, to unix.Sockaddr) {
	unix.Sendto(socket, message, 0, to)
}

// header returns the first value of a header spelled in full at the start of a line; nil if there is none.
func header(message []byte, name string) []byte {
	_, after, ok := bytes.Cut(message, []byte("\r\n"+name+":"))
	if !ok {
		return nil
	}
	value, _, _ := bytes.Cut(after, []byte("\r\n"))
	return bytes.TrimSpace(value)
}

// copyHeaders writes each line of these headers as it came.
func copyHeaders(out *bytes.Buffer, message []byte, names ...string) {
	head, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	for _, name := range names {
		for line := range bytes.SplitSeq(head, []byte("\r\n")) {
			if bytes.HasPrefix(line, []byte(name+":")) {
				out.Write(line)
				out.WriteString("\r\n")
			}
		}
	}
}
