package transaction

import (
	"testing"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

type devNull struct{ sent int }

func (d *devNull) Send(transport.Flow, []byte, uint64) error { d.sent++; return nil }

type quiet struct{ responses int }

func (q *quiet) Response(time.Time, Client, *wire.Message) { q.responses++ }
func (q *quiet) Failed(time.Time, Client, Failure)         {}

// BenchmarkCall runs the transactions of a B2BUA call: INVITE in, 100, 180, 200,
// ACK; INVITE out, 100, 180, 200; BYE in and BYE out with their 200. 1000 calls a
// second, so the finished ones of the last 32 s are there too. Parsing of what
// comes in is not counted.
func BenchmarkCall(b *testing.B) {
	null, user := &devNull{}, &quiet{}
	l := NewLayer(null, Options{})
	now := begin
	via := "SIP/2.0/UDP 192.0.2.1:5060;rport;branch="
	invite := call{via: via + "z9hG4bK0000000000000000", uri: "sip:a@b", extra: "X: " + string(make500()), id: "0000000000@bench", seq: 1, to: "<sip:a@b>"}.request("INVITE")
	inv, ack, bye := incomingBench(b, invite), incomingBench(b, ackOf(invite)), incomingBench(b, byeOf(invite))
	out180, out200, byeOut := response(invite, 180), response(invite, 200), response(byeOf(invite), 200)
	var m180, m200, mBye wire.Message
	for m, text := range map[*wire.Message]string{&m180: respond(invite, 180, "x"), &m200: respond(invite, 200, "x"), &mBye: respond(byeOf(invite), 200, "x")} {
		if err := m.Parse([]byte(text)); err != nil {
			b.Fatal(err)
		}
	}
	branch := make([]byte, 0, 64)
	var id [8]byte
	n := uint64(0)
	tag := []byte("local1")
	turn := func() {
		n++
		for i := range id {
			id[i] = "0123456789abcdef"[n>>(4*i)&15]
		}
		for _, e := range []*benchRequest{&inv, &ack, &bye} {
			copy(e.envelope.CallID, id[:])
			if e != &ack {
				copy(e.envelope.Branch[7:], id[:])
			}
		}
		now = now.Add(time.Millisecond)
		in, verdict := l.ReceiveRequest(now, &inv.envelope, &inv.m, overUDP)
		if verdict != New {
			b.Fatal(verdict)
		}
		in.Bind(tag, n)
		in.Trying(now)
		branch = l.MintBranch(branch[:0])
		if _, err := l.Request(now, Request{Branch: branch, Method: wire.INVITE, Flow: overUDP, Bytes: inv.text, User: user, Token: n}); err != nil {
			b.Fatal(err)
		}
		m180.Via.Branch, m200.Via.Branch = branch, branch
		l.ReceiveResponse(now, &m180)
		_ = in.Respond(now, 180, out180)
		l.ReceiveResponse(now, &m200)
		_ = in.Respond(now, 200, out200)
		if _, verdict := l.ReceiveRequest(now, &ack.envelope, &ack.m, overUDP); verdict != AckFor2xx {
			b.Fatal(verdict)
		}
		in.Acked(now)
		end, _ := l.ReceiveRequest(now, &bye.envelope, &bye.m, overUDP)
		_ = end.Respond(now, 200, byeOut)
		branch = l.MintBranch(branch[:0])
		if _, err := l.Request(now, Request{Branch: branch, Method: wire.BYE, Flow: overUDP, Bytes: bye.text, User: user, Token: n}); err != nil {
			b.Fatal(err)
		}
		mBye.Via.Branch = branch
		l.ReceiveResponse(now, &mBye)
		l.Advance(now)
	}
	for range 40_000 { // 40 s: the steady state
		turn()
	}
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
	s := l.Stats()
	b.ReportMetric(float64(s.LingerBytes)/32000, "B-kept/call")
	if s.Clients+s.Servers > 0 {
		b.Errorf("left over: %+v", s)
	}
}

type benchRequest struct {
	text     []byte
	envelope wire.Envelope
	m        wire.Message
}

func incomingBench(b *testing.B, text string) (r benchRequest) {
	r.text = []byte(text)
	if !wire.Scan(r.text, &r.envelope) {
		b.Fatal(text)
	}
	if err := r.m.Parse(r.text); err != nil {
		b.Fatal(err)
	}
	return r
}

func byeOf(invite string) string {
	return call{via: header(invite, "Via"), uri: "sip:a@b", id: header(invite, "Call-ID"), seq: 2, to: "<sip:a@b>;tag=local1"}.request("BYE")
}

func make500() []byte {
	b := make([]byte, 500)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// BenchmarkInvitePair is one INVITE server transaction and one client
// transaction, from the request to the ACK.
func BenchmarkInvitePair(b *testing.B) {
	user := &quiet{}
	l := NewLayer(&devNull{}, Options{})
	now := begin
	invite := call{via: "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK0000000000000000", uri: "sip:a@b", extra: "X: " + string(make500()), id: "0000000000@bench", seq: 1, to: "<sip:a@b>"}.request("INVITE")
	inv := incomingBench(b, invite)
	out200 := response(invite, 200)
	var m200 wire.Message
	if err := m200.Parse([]byte(respond(invite, 200, "x"))); err != nil {
		b.Fatal(err)
	}
	var branch []byte
	n := 0
	tag := []byte("local1")
	b.ReportAllocs()
	for b.Loop() {
		n++
		for i := range 8 {
			inv.envelope.CallID[i] = "0123456789abcdef"[n>>(4*i)&15]
		}
		now = now.Add(time.Millisecond)
		in, _ := l.ReceiveRequest(now, &inv.envelope, &inv.m, overUDP)
		in.Bind(tag, 1)
		branch = l.MintBranch(branch[:0])
		_, _ = l.Request(now, Request{Branch: branch, Method: wire.INVITE, Flow: overUDP, Bytes: inv.text, User: user})
		m200.Via.Branch = branch
		l.ReceiveResponse(now, &m200)
		_ = in.Respond(now, 200, out200)
		in.Acked(now)
		l.Advance(now)
	}
}

// BenchmarkAbsorb is one copy of an answered BYE, answered again.
func BenchmarkAbsorb(b *testing.B) {
	l := NewLayer(&devNull{}, Options{})
	text := byeOf(incoming("INVITE", "z9hG4bK1"))
	bye := incomingBench(b, text)
	s, _ := l.ReceiveRequest(begin, &bye.envelope, &bye.m, overUDP)
	_ = s.Respond(begin, 200, response(text, 200))
	b.ReportAllocs()
	for b.Loop() {
		if !l.Absorb(begin, &bye.envelope, overUDP) {
			b.Fatal("not absorbed")
		}
	}
}

// BenchmarkRefusal is an INVITE of ours that is refused, with its ACK.
func BenchmarkRefusal(b *testing.B) {
	l := NewLayer(&devNull{}, Options{})
	user := &quiet{}
	invite := []byte(call{via: "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=z9hG4bK0000000000000000", uri: "sip:a@b", extra: "X: " + string(make500()), id: "0000000000@bench", seq: 1, to: "<sip:a@b>"}.request("INVITE"))
	var m wire.Message
	if err := m.Parse([]byte(respond(string(invite), 401, "x"))); err != nil {
		b.Fatal(err)
	}
	var branch []byte
	now := begin
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Millisecond)
		branch = l.MintBranch(branch[:0])
		_, _ = l.Request(now, Request{Branch: branch, Method: wire.INVITE, Flow: overUDP, Bytes: invite, User: user})
		m.Via.Branch = branch
		l.ReceiveResponse(now, &m)
		l.Advance(now)
	}
}

func BenchmarkMintBranch(b *testing.B) {
	l := NewLayer(nil, Options{})
	var branch []byte
	b.ReportAllocs()
	for b.Loop() {
		branch = l.MintBranch(branch[:0])
		if _, ours := BranchShard(branch); !ours {
			b.Fatal("not ours")
		}
	}
}
