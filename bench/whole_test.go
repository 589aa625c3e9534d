package bench

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/sip"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

// BenchmarkWholeCall passes calls through the edge, inbound or outbound: INVITE, 100, 180, 200, ACK, BYE, 200, thirteen messages, with
// admission, routing, both transactions and dialogs, the record, the trace and the metrics, but without sockets. The time and
// allocations of the two parties are in the figure; they copy a dozen header lines.
func BenchmarkWholeCall(b *testing.B) {
	for _, variant := range []struct {
		name   string
		trace  int
		config string
		log    slog.Handler
	}{
		{"trace", 64 << 20, inbound, slog.DiscardHandler},
		{"no-trace", 0, inbound, slog.DiscardHandler},
		{"outbound", 64 << 20, outbound, slog.DiscardHandler},
		{"logged", 64 << 20, inbound, slog.NewTextHandler(io.Discard, nil)},
	} {
		b.Run(variant.name, func(b *testing.B) { wholeCalls(b, variant.trace, variant.config, variant.log) })
	}
}

func wholeCalls(b *testing.B, trace int, text string, log slog.Handler) {
	snapshot := buildSnapshot(b, text)
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	p := &parties{b: b, stop: stop, now: time.Now(), pace: time.Millisecond, more: b.Loop}
	records := new(recordCount)
	edge, err := sip.New(sip.Options{Network: memory{p}, Trunks: snapshot, Records: records, UserAgent: "Trunkline", Trace: trace, Log: slog.New(log)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	if err := edge.Run(ctx); err != nil { // ends when the parties have played b.Loop's calls
		b.Fatal(err)
	}
	if records.n != p.calls {
		b.Fatalf("%d calls left %d records", p.calls, records.n)
	}
	b.ReportMetric(float64(p.sent+p.received)/float64(p.calls), "messages/op")
}

type recordCount struct{ n int }

func (r *recordCount) Record(trunks.CallRecord) { r.n++ }

var (
	edgeAddress   = netip.MustParseAddrPort("127.0.0.1:5060")
	callerAddress = netip.MustParseAddrPort("127.0.0.2:5070")
	calleeAddress = netip.MustParseAddrPort("127.0.0.3:5080")
)

// TestMemoryFollowsLiveCalls: calls that are over leave nothing behind, in the heap or as goroutines, once the first of them
// have been forgotten (64*T1 after their end): what 3,000 calls took, 15,000 do not exceed.
func TestMemoryFollowsLiveCalls(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	p := &parties{b: t, stop: stop, now: time.Now(), pace: 20 * time.Millisecond}
	records := new(recordCount)
	edge, err := sip.New(sip.Options{Network: memory{p}, Trunks: buildSnapshot(t, inbound), Records: records, UserAgent: "Trunkline", Trace: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const settled, all = 3_000, 15_000
	var before, after uint64
	goroutines := 0
	p.more = func() bool {
		switch p.calls {
		case settled:
			before, goroutines = heap(), runtime.NumGoroutine()
		case all:
			after = heap()
			if n := runtime.NumGoroutine(); n > goroutines {
				t.Errorf("%d goroutines, and %d after %d calls more", goroutines, n, all-settled)
			}
		}
		return p.calls < all
	}
	if err := edge.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if records.n != all {
		t.Errorf("%d calls left %d records", all, records.n)
	}
	if after > before+before/10+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes within %d calls", before, after, all-settled)
	}
	t.Logf("heap %d KiB after %d calls, %d KiB after %d", before>>10, settled, after>>10, all)
}

// heap is what is alive.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// The caller is the trunk and the callee the agent, or the other way.
const (
	inbound = `
media: {relay: false}
limits: {source_rate: 1000000} # all come from one address
trunks: [{name: carrier, server: "127.0.0.2:5070", source_addresses: [127.0.0.2]}]
agents: [{name: app, destinations: [{uri: "sip:127.0.0.3:5080;transport=udp"}], source_addresses: [127.0.0.3]}]
numbers: [{number: "+15550001234", trunk: carrier, inbound_agent: app, outbound_agent: app}]
`
	outbound = `
media: {relay: false}
limits: {source_rate: 1000000} # all come from one address
trunks: [{name: carrier, server: "127.0.0.3:5080", source_addresses: [127.0.0.3]}]
agents: [{name: app, destinations: [{uri: "sip:127.0.0.2:5070;transport=udp"}], source_addresses: [127.0.0.2]}]
numbers: [{number: "+14155550100", trunk: carrier, inbound_agent: app, outbound_agent: app}]
`
)

func buildSnapshot(b testing.TB, text string) *trunks.Snapshot {
	b.Helper()
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + text})
	if err != nil {
		b.Fatal(err)
	}
	snapshot, err := trunks.Build(c, nil)
	if err != nil {
		b.Fatal(err)
	}
	return snapshot
}

// memory is a network of one UDP listener whose only port plays both parties.
type memory struct{ port transport.Port }

func (m memory) Port(int) transport.Port { return m.port }

func (m memory) Listeners() []transport.Listener {
	return []transport.Listener{{Proto: transport.UDP, Addr: edgeAddress, Local: edgeAddress, SentBy: edgeAddress.String()}}
}

// parties is the caller and the callee in one. The edge asks for the next message on its own goroutine, and the answer follows from
// what it has sent: so a benchmark of b.N calls is one straight run without a scheduler in it. Each call takes a
// millisecond of the edge's time, so that finished transactions linger and are forgotten as at 1000 calls a second.
type parties struct {
	b    testing.TB
	stop context.CancelFunc
	more func() bool // whether another call follows
	now  time.Time
	pace time.Duration // between calls

	step           step
	ended          bool
	calls          int
	sent, received int    // messages, as the edge sees them
	toCallee       []byte // last request to the callee
	toCaller       []byte // last final response to the caller
	out            []byte
}

// step is what happens next.
type step uint8

const (
	callerInvites step = iota
	calleeRings
	calleeAnswers
	callerAcks
	callerHangsUp
	calleeConfirms
)

func (p *parties) Backlog() transport.Backlog { return transport.Backlog{} }

func (p *parties) Now() time.Time                { return p.now }
func (p *parties) Wake()                         {}
func (p *parties) Forward(int, transport.Packet) {}

// Send takes what the edge sends to either party.
func (p *parties) Send(f transport.Flow, message []byte, _ uint64) error {
	p.sent++
	switch f.Remote {
	case calleeAddress:
		if !bytes.HasPrefix(message, []byte("ACK ")) {
			p.toCallee = append(p.toCallee[:0], message...)
		}
	case callerAddress:
		if bytes.HasPrefix(message, []byte("SIP/2.0 200")) {
			p.toCaller = append(p.toCaller[:0], message...)
		}
	default:
		p.b.Errorf("the edge sent to %s:\n%s", f.Remote, message)
	}
	return nil
}

// Receive plays the next step of the call at hand.
func (p *parties) Receive(time.Duration) (transport.Packet, bool) {
	if p.ended {
		return transport.Packet{}, false
	}
	if p.step == callerInvites && (p.b.Failed() || !p.more()) {
		p.ended = true // an edge that stops looks for more once
		p.stop()
		return transport.Packet{}, false
	}
	from := calleeAddress
	p.out = p.out[:0]
	switch p.step {
	case callerInvites:
		p.now = p.now.Add(p.pace)
		p.calls++
		from = callerAddress
		p.request("INVITE", "sip:+15550001234@127.0.0.1:5060", "1", offer)
	case calleeRings:
		p.respond("180 Ringing", "")
	case calleeAnswers:
		p.respond("200 OK", answer)
	case callerAcks:
		from = callerAddress
		p.request("ACK", p.target(), "1", "")
	case callerHangsUp:
		from = callerAddress
		p.request("BYE", p.target(), "2", "")
	case calleeConfirms:
		p.respond("200 OK", "")
	}
	p.step = (p.step + 1) % (calleeConfirms + 1)
	p.received++
	return transport.Packet{Flow: transport.Flow{Proto: transport.UDP, Local: edgeAddress, Remote: from}, Bytes: p.out}, true
}

// target is the Request-URI for requests within the caller's dialog.
func (p *parties) target() string {
	contact := header(p.toCaller, "Contact")
	open, end := bytes.IndexByte(contact, '<'), bytes.IndexByte(contact, '>')
	if open < 0 || end < open {
		p.b.Errorf("no Contact in:\n%s", p.toCaller)
		return "sip:127.0.0.1:5060"
	}
	return string(contact[open+1 : end])
}

// request writes a request of the caller.
func (p *parties) request(method, uri, cseq, body string) {
	o := append(p.out, method...)
	o = append(o, ' ')
	o = append(o, uri...)
	o = append(o, " SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5070;branch=z9hG4bK"...)
	o = append(o, method...)
	o = strconv.AppendInt(o, int64(p.calls), 10)
	o = append(o, ";rport\r\nFrom: \"Caller\" <sip:+14155550100@127.0.0.2:5070>;tag=c"...)
	o = strconv.AppendInt(o, int64(p.calls), 10)
	o = append(o, "\r\nTo: "...)
	if method == "INVITE" {
		o = append(o, "<sip:+15550001234@127.0.0.1:5060>"...)
	} else {
		o = append(o, header(p.toCaller, "To")...)
	}
	o = append(o, "\r\nCall-ID: "...)
	o = strconv.AppendInt(o, int64(p.calls), 10)
	o = append(o, "-20518@127.0.0.2\r\nCSeq: "...)
	o = append(o, cseq...)
	o = append(o, ' ')
	o = append(o, method...)
	o = append(o, "\r\nMax-Forwards: 70\r\n"...)
	if method == "INVITE" {
		o = append(o, "Contact: <sip:caller@127.0.0.2:5070>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nUser-Agent: load\r\n"...)
	}
	p.out = appendBody(o, body)
}

// respond writes the callee's response to the request it was sent last.
func (p *parties) respond(status, body string) {
	o := append(p.out, "SIP/2.0 "...)
	o = append(o, status...)
	o = append(o, "\r\n"...)
	for _, name := range [...]string{"Via", "From", "Call-ID", "CSeq"} {
		o = append(o, name...)
		o = append(o, ": "...)
		o = append(o, header(p.toCallee, name)...)
		o = append(o, "\r\n"...)
	}
	o = append(o, "To: "...)
	to := header(p.toCallee, "To")
	o = append(o, to...)
	if !bytes.Contains(to, []byte(";tag=")) {
		o = append(o, ";tag=s"...)
		o = strconv.AppendInt(o, int64(p.calls), 10)
	}
	o = append(o, "\r\nContact: <sip:callee@127.0.0.3:5080>\r\n"...)
	p.out = appendBody(o, body)
}

func appendBody(o []byte, body string) []byte {
	if body != "" {
		o = append(o, "Content-Type: application/sdp\r\n"...)
	}
	o = append(o, "Content-Length: "...)
	o = strconv.AppendInt(o, int64(len(body)), 10)
	o = append(o, "\r\n\r\n"...)
	return append(o, body...)
}

// header returns the value of the first line with this name.
func header(message []byte, name string) []byte {
	for rest := message; ; {
		i := bytes.Index(rest, []byte(name))
		if i < 2 {
			return nil
		}
		after := rest[i+len(name):]
		if rest[i-1] == '\n' && bytes.HasPrefix(after, []byte(": ")) {
			end := bytes.IndexByte(after, '\r')
			return after[2:end]
		}
		rest = after
	}
}

const (
	offer = "v=0\r\no=- 20518 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 9 101\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:101 telephone-event/8000\r\n" +
		"a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
	answer = "v=0\r\no=- 20519 1 IN IP4 127.0.0.3\r\ns=-\r\nc=IN IP4 127.0.0.3\r\nt=0 0\r\nm=audio 42000 RTP/AVP 0 101\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)
