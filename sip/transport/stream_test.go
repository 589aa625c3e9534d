package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// PAR-10 at the socket: several messages in one segment, one message in many, keep-alives between.
func TestStreamIsCutIntoMessages(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0", "tcp://[::1]:0"}})
	p := n.Port(0)
	for i, l := range n.Listeners() {
		c := connect(t, l.Addr)
		write(t, c, sip("INVITE", 900)+sip("ACK", 100)+"\r\n"+sip("BYE", 100))
		var first Flow
		for _, method := range []string{"INVITE", "ACK", "BYE"} {
			flow, b := nextMessage(t, p)
			if !strings.HasPrefix(b, method) {
				t.Fatalf("%q, want %s", b, method)
			}
			if first == (Flow{}) {
				first = flow
			}
			if flow != first || flow.Conn == 0 || flow.Proto != TCP || flow.Socket != uint16(i) || flow.Local != l.Addr || flow.Remote != addrPortOf(c.LocalAddr()) {
				t.Fatalf("flow %+v", flow)
			}
		}
		want := sip("OPTIONS", 60_000)
		for b := want; b != ""; {
			piece := b[:min(len(b), 6007)]
			write(t, c, piece)
			b = b[len(piece):]
		}
		if _, b := nextMessage(t, p); b != want {
			t.Fatalf("%d bytes of %d in %d", len(b), len(want), 10)
		}
	}
}

// TRN-06: the peer's connection carries our answers and our requests; the one we opened carries the peer's requests.
func TestConnectionIsUsedBothWays(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}})
	p := n.Port(0)

	theirs := connect(t, n.Listeners()[0].Addr)
	write(t, theirs, sip("INVITE", 200))
	flow, _ := nextMessage(t, p)
	mustSend(t, p, flow, "answer;", 0)
	mustSend(t, p, Flow{Proto: TCP, Remote: flow.Remote}, "request;", 0)
	mustSend(t, p, Flow{Proto: TCP, Conn: flow.Conn, Remote: netip.MustParseAddrPort("192.0.2.1:5060")}, "in dialog;", 0)
	expect(t, theirs, "answer;request;in dialog;")

	l, at := tcpPeer(t, "127.0.0.1:0")
	for i := range 3 {
		mustSend(t, p, Flow{Proto: TCP, Remote: at}, fmt.Sprint("to the carrier ", i, ";"), 0)
	}
	ours := accept(t, l)
	expect(t, ours, "to the carrier 0;to the carrier 1;to the carrier 2;")
	write(t, ours, sip("BYE", 200))
	back, _ := nextMessage(t, p)
	if back.Remote != at || back.Conn == 0 || back.Conn == flow.Conn || back.Local != addrPortOf(ours.RemoteAddr()) {
		t.Errorf("request over our connection came as %+v", back)
	}
	mustSend(t, p, back, "200", 0)
	expect(t, ours, "200")
	if s := n.Stats(); s.Accepted[TCP] != 1 || s.Dialled[TCP] != 1 {
		t.Errorf("%d accepted and %d dialled connections, want one of each", s.Accepted[TCP], s.Dialled[TCP])
	}
}

// Trap 10: with an unrelated peer connected to our listener, a request for the trunk reaches the trunk, from a port of its own.
func TestRequestReachesTheTrunkNotAnInboundPeer(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}})
	p, at := n.Port(0), n.Listeners()[0].Addr
	var strangers []net.Conn
	for range 3 {
		c := connect(t, at)
		write(t, c, sip("REGISTER", 100))
		nextMessage(t, p)
		strangers = append(strangers, c)
	}
	l, trunk := tcpPeer(t, "127.0.0.1:0")
	// Local set to the listener's address, as a shell that copies flows may do.
	mustSend(t, p, Flow{Proto: TCP, Local: at, Remote: trunk}, "OPTIONS for the trunk", 0)
	c := accept(t, l)
	expect(t, c, "OPTIONS for the trunk")
	if from := addrPortOf(c.RemoteAddr()); from.Port() == at.Port() || from.Addr() != at.Addr() {
		t.Errorf("came from %s: want the listener's address and another port", from)
	}
	for i, s := range strangers {
		s.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := s.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("stranger %d received %d bytes, %v", i, n, err)
		}
	}
	// A request to our own listener's address goes there, not to whoever connected last.
	mustSend(t, p, Flow{Proto: TCP, Remote: at}, sip("OPTIONS", 100), 0)
	flow, b := nextMessage(t, p)
	if !strings.HasPrefix(b, "OPTIONS") || flow.Local != at {
		t.Errorf("%q over %+v", b, flow)
	}
}

// TRN-06: a broken connection is reported and opened again for the next request.
func TestBrokenConnectionIsOpenedAgain(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}})
	p := n.Port(0)
	l, at := tcpPeer(t, "127.0.0.1:0")
	for round := range 5 {
		mustSend(t, p, Flow{Proto: TCP, Remote: at}, "INVITE", 1)
		c := accept(t, l)
		expect(t, c, "INVITE")
		write(t, c, sip("OK", 100))
		flow, _ := nextMessage(t, p)
		if round%2 == 0 {
			c.(*net.TCPConn).SetLinger(0) // a reset, else an orderly end
		}
		c.Close()
		if pk := nextLoss(t, p); pk.Flow.Conn != flow.Conn || pk.Flow.Remote != at {
			t.Errorf("failure %+v, want the loss of connection %d", pk, flow.Conn)
		}
		// The dialog still names the connection that is gone, and the address to reach.
		mustSend(t, p, Flow{Proto: TCP, Conn: flow.Conn, Remote: at}, "BYE", 2)
		c = accept(t, l)
		expect(t, c, "BYE")
		c.Close()
		nextLoss(t, p)
	}
}

// nextLoss returns the news that a connection was lost. A message that the peer may or may not have read by then can come back before it.
func nextLoss(t testing.TB, p Port) Packet {
	t.Helper()
	for {
		if pk := nextFailure(t, p); pk.Ref == 0 && errors.Is(pk.Err, ErrLost) {
			return pk
		}
	}
}

// TRN-09: a refused connection comes back for each message that waited for it, with its ref.
func TestConnectRefusedComesBack(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0", "tls://127.0.0.1:0"}, TLS: serverFiles(t)})
	p := n.Port(0)
	l, at := tcpPeer(t, "127.0.0.1:0")
	l.Close()
	for socket, proto := range []Proto{TCP, TLS} {
		started := time.Now()
		want := map[uint64]bool{}
		for ref := uint64(1); ref <= 3; ref++ {
			mustSend(t, p, Flow{Proto: proto, Socket: uint16(socket), Remote: at}, "INVITE", ref)
			want[ref] = true
		}
		for len(want) > 0 {
			pk := nextFailure(t, p)
			if !errors.Is(pk.Err, syscall.ECONNREFUSED) || pk.Flow.Remote != at || pk.Flow.Proto != proto || !want[pk.Ref] {
				t.Fatalf("failure %+v", pk)
			}
			delete(want, pk.Ref)
		}
		if took := time.Since(started); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
	}
	if s := n.Stats(); s.Failed[FailConnect] != 6 || s.Dialled[TCP]+s.Dialled[TLS] != 0 {
		t.Errorf("%d failures counted, want 6; %d connections left", s.Failed[FailConnect], s.Dialled[TCP]+s.Dialled[TLS])
	}
}

// A peer that takes the connection and never completes the handshake fails after ConnectTimeout.
func TestConnectTimeoutComesBack(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, ConnectTimeout: 50 * time.Millisecond})
	_, at := tcpPeer(t, "127.0.0.1:0") // the kernel accepts; nobody speaks TLS
	mustSend(t, n.Port(0), Flow{Proto: TLS, Remote: at}, "INVITE", 9)
	if pk := nextFailure(t, n.Port(0)); pk.Ref != 9 || !errors.Is(pk.Err, context.DeadlineExceeded) {
		t.Errorf("failure %+v, want ref 9 and a timeout", pk)
	}
}

// Trap 19: a peer that does not read costs the shard nothing: sends return at once, others are served, and the connection goes.
func TestSlowReaderStallsNobody(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, WriteQueue: 256 << 10, WriteTimeout: time.Hour})
	p := n.Port(0)
	slow, slowAt := tcpPeer(t, "127.0.0.1:0")
	fast, fastAt := tcpPeer(t, "127.0.0.1:0")
	message := sip("NOTIFY", 16<<10)
	mustSend(t, p, Flow{Proto: TCP, Remote: slowAt}, message, 1)
	expect(t, accept(t, slow), message) // and read no more
	mustSend(t, p, Flow{Proto: TCP, Remote: fastAt}, "hello;", 0)
	good := accept(t, fast)
	expect(t, good, "hello;")

	var err error
	sent := uint64(1)
	for err == nil && sent < 10_000 { // 160 MB: more than any kernel holds for us
		sent++
		err = p.Send(Flow{Proto: TCP, Remote: slowAt}, []byte(message), sent)
		mustSend(t, p, Flow{Proto: TCP, Remote: fastAt}, "meanwhile;", 0)
		expect(t, good, "meanwhile;")
	}
	if err != ErrFull {
		t.Fatalf("after %d messages: %v, want ErrFull", sent, err)
	}
	unsent, lost := 0, 0
	for lost == 0 {
		pk := nextFailure(t, p)
		if pk.Flow.Remote != slowAt {
			t.Fatalf("failure %+v", pk)
		}
		if pk.Ref == 0 && errors.Is(pk.Err, ErrLost) {
			lost++
		} else {
			unsent++
		}
	}
	if unsent == 0 || unsent > (256<<10)/len(message)+1 {
		t.Errorf("%d messages came back as unsent", unsent)
	}
	s := n.Stats()
	if s.Closed[ClosedSlow] != 1 || s.Dialled[TCP] != 1 || s.Dropped[DropSendFull] != 1 {
		t.Errorf("stats %+v", s)
	}
	mustSend(t, p, Flow{Proto: TCP, Remote: fastAt}, "and after", 0)
	expect(t, good, "and after")
}

// A peer whose reads make no progress within WriteTimeout is closed, too, however little is queued.
func TestStuckWriteIsClosed(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, WriteQueue: 32 << 20, WriteTimeout: 100 * time.Millisecond})
	p := n.Port(0)
	l, at := tcpPeer(t, "127.0.0.1:0")
	message := sip("NOTIFY", 60_000)
	for range 300 { // 18 MB
		mustSend(t, p, Flow{Proto: TCP, Remote: at}, message, 5)
	}
	accept(t, l)
	if pk := nextFailure(t, p); pk.Ref != 5 || !errors.Is(pk.Err, os.ErrDeadlineExceeded) {
		t.Errorf("failure %+v", pk)
	}
	if n.Stats().Closed[ClosedSlow] == 0 { // the rest may have opened another one
		t.Error("not counted as slow")
	}
}

// While a shard does not take its messages, its peers are slowed down, and in the end messages are dropped and counted.
func TestFullQueueSlowsThePeerThenDrops(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, QueueMessages: 64})
	p := n.Port(0)
	c := connect(t, n.Listeners()[0].Addr)
	const messages = 80
	for i := range messages {
		write(t, c, sip(fmt.Sprint("M", i), 200))
	}
	// 56 have room; the shard comes back while the reader still waits with the next.
	got := 0
	for end := time.Now().Add(patience); got < messages && time.Now().Before(end); {
		if pk, ok := p.Receive(10 * time.Millisecond); ok {
			if !strings.HasPrefix(string(pk.Bytes), fmt.Sprintf("M%d ", got)) {
				t.Fatalf("message %d is %.10q", got, pk.Bytes)
			}
			got++
		}
	}
	if got != messages || n.Stats().Dropped[DropQueueFull] != 0 {
		t.Errorf("%d of %d messages, %d drops", got, messages, n.Stats().Dropped[DropQueueFull])
	}
	for range 60 { // now it stays away
		write(t, c, sip("LATE", 200))
	}
	for end := time.Now().Add(patience); n.Stats().Dropped[DropQueueFull] == 0; {
		if time.Now().After(end) {
			t.Fatal("no drop counted")
		}
		runtime.Gosched()
	}
}

// Trap 18: what is wrong inside a message is not the transport's business, over TLS as over TCP; only what cannot be cut closes.
func TestBadHeaderKeepsTheConnection(t *testing.T) {
	ca := newAuthority(t)
	cert, key, _ := ca.issue(t, "edge", 2, "127.0.0.1")
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0", "tls://127.0.0.1:0"}, TLS: TLSFiles{Certificate: cert, Key: key}})
	p := n.Port(0)
	for _, l := range n.Listeners() {
		c := connect(t, l.Addr)
		if l.Proto == TLS {
			c = tls.Client(c, &tls.Config{RootCAs: ca.pool(), ServerName: "127.0.0.1"})
		}
		const bad = "INVITE sip:x SIP/2.0\r\nVia: ;;;=\x00\r\nCSeq: 99999999999999 ?\r\nnonsense\r\nContent-Length: 0\r\n\r\n"
		write(t, c, bad)
		if _, b := nextMessage(t, p); b != bad {
			t.Fatalf("%q", b)
		}
		good := sip("OPTIONS", 100)
		write(t, c, good)
		flow, b := nextMessage(t, p)
		if b != good {
			t.Fatalf("%q", b)
		}
		mustSend(t, p, flow, "200", 0)
		expect(t, c, "200")
		write(t, c, "INVITE sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n")
		expectEnd(t, c)
		nextLoss(t, p)
	}
	eventually(t, p, "both are closed", func() bool { return n.Stats().Closed[ClosedFraming] == 2 })
}

// TRN-08, RFC 5626 §4.4.1: a ping is answered, nothing else reaches the shard.
func TestPingIsAnswered(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}})
	c := connect(t, n.Listeners()[0].Addr)
	for range 3 {
		write(t, c, Ping)
		expect(t, c, "\r\n")
	}
	write(t, c, Ping+sip("OPTIONS", 100)+Ping)
	expect(t, c, "\r\n\r\n")
	if _, b := nextMessage(t, n.Port(0)); !strings.HasPrefix(b, "OPTIONS") {
		t.Errorf("%q", b)
	}
	if s := n.Stats(); s.KeepAlives[TCP] != 5 || s.Received[TCP].Messages != 1 {
		t.Errorf("%d keep-alives and %d messages counted", s.KeepAlives[TCP], s.Received[TCP].Messages)
	}
}

// TRN-08: our own pings keep a connection whose peer answers and give up one whose peer does not.
func TestOwnPings(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, PongTimeout: 100 * time.Millisecond})
	p := n.Port(0)
	l, at := tcpPeer(t, "127.0.0.1:0")
	mustSend(t, p, Flow{Proto: TCP, Remote: at, Peer: &Peer{Ping: 20 * time.Millisecond}}, "hello", 0)
	c := accept(t, l)
	expect(t, c, "hello")
	for range 5 {
		expect(t, c, Ping)
		write(t, c, "\r\n")
	}
	expect(t, c, Ping)
	nextLoss(t, p)
	expectEnd(t, c)
	if n.Stats().Closed[ClosedUnheard] != 1 {
		t.Error("not counted")
	}
}

// Connections that say nothing, stop in the middle of a message, or have become useless do not stay.
func TestSilentConnectionsAreClosed(t *testing.T) {
	t.Run("no first message", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, MessageTimeout: 50 * time.Millisecond})
		expectEnd(t, connect(t, n.Listeners()[0].Addr))
		eventually(t, n.Port(0), "counted", func() bool { return n.Stats().Closed[ClosedUnheard] == 1 })
	})
	t.Run("half a message, byte by byte", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, MessageTimeout: 200 * time.Millisecond})
		c := connect(t, n.Listeners()[0].Addr)
		write(t, c, sip("OPTIONS", 100))
		nextMessage(t, n.Port(0))
		var err error
		for end := time.Now().Add(patience); err == nil && time.Now().Before(end); {
			_, err = c.Write([]byte("O"))
			runtime.Gosched()
		}
		if err == nil {
			t.Error("the drip was tolerated")
		}
	})
	t.Run("idle", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, IdleTimeout: 100 * time.Millisecond})
		p := n.Port(0)
		c := connect(t, n.Listeners()[0].Addr)
		write(t, c, sip("OPTIONS", 100))
		flow, _ := nextMessage(t, p)
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); { // writing alone keeps it
			mustSend(t, p, flow, "x", 0)
			expect(t, c, "x")
		}
		expectEnd(t, c)
		if pk, ok := p.Receive(20 * time.Millisecond); ok {
			t.Errorf("closing an idle connection is no news, but got %+v", pk)
		}
	})
	t.Run("never idle", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, IdleTimeout: Never})
		c := &conn{s: n.streams}
		c.touch(true)
		if until := c.idleUntil(); !until.IsZero() {
			t.Errorf("it is closed at %s", until)
		}
		peer := connect(t, n.Listeners()[0].Addr)
		write(t, peer, sip("OPTIONS", 100))
		nextMessage(t, n.Port(0))
		write(t, peer, Ping)
		expect(t, peer, "\r\n")
	})
	t.Run("no TLS handshake", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tls://127.0.0.1:0"}, TLS: serverFiles(t), HandshakeTimeout: 50 * time.Millisecond})
		expectEnd(t, connect(t, n.Listeners()[0].Addr))
		eventually(t, n.Port(0), "counted", func() bool { s := n.Stats(); return s.Dropped[DropHandshake] == 1 && s.Accepted[TLS] == 0 })
	})
}

func TestConnectionLimits(t *testing.T) {
	t.Run("per source", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, MaxPerSource: 2})
		alive := func(c net.Conn) { write(t, c, Ping); expect(t, c, "\r\n") }
		a, b := connect(t, n.Listeners()[0].Addr), connect(t, n.Listeners()[0].Addr)
		alive(a)
		alive(b)
		expectEnd(t, connect(t, n.Listeners()[0].Addr))
		if runtime.GOOS == "linux" {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 7)}}
			other, err := d.Dial("tcp", n.Listeners()[0].Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			alive(other)
		}
		a.Close()
		eventually(t, n.Port(0), "the place is free again", func() bool {
			c := connect(t, n.Listeners()[0].Addr)
			_, err := c.Write([]byte(Ping))
			m, rerr := c.Read(make([]byte, 2))
			return err == nil && rerr == nil && m == 2
		})
		alive(b)
		if n.Stats().Dropped[DropConnection] == 0 {
			t.Error("not counted")
		}
	})
	t.Run("accepted", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, MaxAccepted: 1})
		a := connect(t, n.Listeners()[0].Addr)
		write(t, a, Ping)
		expect(t, a, "\r\n")
		expectEnd(t, connect(t, n.Listeners()[0].Addr))
	})
	t.Run("dialled", func(t *testing.T) {
		n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, MaxDialled: 1, MaxAccepted: 1})
		l, at := tcpPeer(t, "127.0.0.1:0")
		mustSend(t, n.Port(0), Flow{Proto: TCP, Remote: at}, "x", 0)
		accept(t, l)
		_, other := tcpPeer(t, "127.0.0.1:0")
		if err := n.Port(0).Send(Flow{Proto: TCP, Remote: other}, []byte("x"), 0); err != ErrLimit {
			t.Errorf("second connection: %v, want ErrLimit", err)
		}
	})
	if got := sourceOf(netip.MustParseAddr("2001:db8:1:2:3:4:5:6")); got != netip.MustParseAddr("2001:db8:1:2::") {
		t.Errorf("IPv6 sources count by %s, want the /64", got)
	}
}

// A lack of file descriptors passes; the listener must still be there then.
func TestAcceptErrorsDoNotEndTheListener(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}})
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	faulty := &faultyListener{Listener: inner, faults: 3}
	var loop sync.WaitGroup
	loop.Go(func() { n.streams.acceptFrom(&streamListener{Listener: faulty, proto: TCP}) })
	c := connect(t, addrPortOf(inner.Addr()))
	write(t, c, Ping)
	expect(t, c, "\r\n")
	inner.Close()
	loop.Wait()
}

type faultyListener struct {
	net.Listener
	faults int
}

func (l *faultyListener) Accept() (net.Conn, error) {
	if l.faults--; l.faults >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// What was queued before Close still goes out.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	n, err := Listen(Options{Listen: []string{"tcp://127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	l, at := tcpPeer(t, "127.0.0.1:0")
	mustSend(t, n.Port(0), Flow{Proto: TCP, Remote: at}, "first", 0)
	c := accept(t, l)
	expect(t, c, "first")
	message := sip("BYE", 30_000)
	for range 20 {
		mustSend(t, n.Port(0), Flow{Proto: TCP, Remote: at}, message, 0)
	}
	got := make(chan int64)
	go func() { // ends with the connection
		read, _ := io.Copy(io.Discard, c)
		got <- read
	}()
	if err := n.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if read := <-got; read != int64(20*len(message)) {
		t.Errorf("%d bytes arrived, want %d", read, 20*len(message))
	}
}

// A peer that does not read cannot hold up Close for longer than its context allows.
func TestCloseIsCutShort(t *testing.T) {
	n, err := Listen(Options{Listen: []string{"tcp://127.0.0.1:0"}, WriteQueue: 64 << 20, WriteTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	l, at := tcpPeer(t, "127.0.0.1:0")
	for range 500 {
		mustSend(t, n.Port(0), Flow{Proto: TCP, Remote: at}, sip("NOTIFY", 60_000), 0)
	}
	accept(t, l)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := n.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("close: %v, want the context's error", err)
	}
}

// Thousands of connections come and go, ours and theirs, and leave neither goroutine nor file descriptor.
func TestConnectionsLeaveNothingBehind(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0", "tls://127.0.0.1:0"}, TLS: serverFiles(t)})
	p := n.Port(0)
	l, at := tcpPeer(t, "127.0.0.1:0")
	round := func(i int) {
		c, err := net.Dial("tcp", n.Listeners()[0].Addr.String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(patience))
		write(t, c, sip("OPTIONS", 100))
		flow, _ := nextMessage(t, p)
		mustSend(t, p, flow, "200", 0)
		expect(t, c, "200")
		c.(*net.TCPConn).SetLinger(0) // keep the port range free
		c.Close()
		nextLoss(t, p)

		mustSend(t, p, Flow{Proto: TCP, Remote: at}, "x", 0)
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.SetDeadline(time.Now().Add(patience))
		expect(t, s, "x")
		s.(*net.TCPConn).SetLinger(0)
		s.Close()
		nextLoss(t, p)

		if i%10 == 0 { // fails its handshake
			c, err := net.Dial("tcp", n.Listeners()[1].Addr.String())
			if err != nil {
				t.Fatal(err)
			}
			c.Write([]byte("no TLS at all"))
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
	for i := range 20 {
		round(i)
	}
	gone := func() bool { s := n.Stats(); return s.Accepted[TCP]+s.Accepted[TLS]+s.Dialled[TCP]+s.Dialled[TLS] == 0 }
	eventually(t, p, "all are gone", gone)
	goroutines, files := runtime.NumGoroutine(), fds()
	for i := range 1500 {
		round(i)
	}
	eventually(t, p, "all are gone", gone)
	eventually(t, p, fmt.Sprintf("goroutines (%d) and files (%d) as before", goroutines, files), func() bool {
		return runtime.NumGoroutine() <= goroutines && fds() <= files
	})
	if len(n.streams.byID)+len(n.streams.byKey)+len(n.streams.perSource) != 0 {
		t.Error("the pool is not empty")
	}
}

// Shards send over shared connections while these come and go: run with -race.
func TestConnectionsUnderContention(t *testing.T) {
	n := open(t, Options{Listen: []string{"tcp://127.0.0.1:0"}, Shards: 3, Dispatch: func(b []byte) int { return int(b[0]) % 3 }})
	l, at := tcpPeer(t, "127.0.0.1:0")
	var peers, shards sync.WaitGroup
	peers.Go(func() { // ends with the listener
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			peers.Go(func() { // ends when it has read enough, or with the connection
				defer c.Close()
				c.Write([]byte(sip("AAA", 100) + sip("BBB", 100) + sip("CCC", 100)))
				io.CopyN(io.Discard, c, 20_000)
			})
		}
	})
	for i := range 3 {
		shards.Go(func() {
			p := n.Port(i)
			for ref := range uint64(2000) {
				p.Send(Flow{Proto: TCP, Remote: at}, []byte(sip("OPTIONS", 300)), ref)
				p.Receive(0)
			}
		})
	}
	shards.Wait()
	l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	n.Close(ctx)
	peers.Wait()
}
