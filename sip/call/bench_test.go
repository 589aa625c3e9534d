package call

import (
	"testing"
	"time"
	"unsafe"
)

// usual is the call every benchmark of the edge makes: INVITE, 100, 180, 200, ACK, BYE, 200.
var usual = []Event{
	{Kind: Start, SDP: SDPGood, Targets: 1},
	{Kind: CalleeProvisional, Code: 100},
	{Kind: CalleeProvisional, Code: 180},
	{Kind: CalleeAnswered, Code: 200, SDP: SDPGood},
	{Kind: CallerAcked},
	{Kind: Requested, Side: Caller, Method: BYE},
	{Kind: RequestAnswered, Side: Callee, Method: BYE, Code: 200},
}

func BenchmarkWholeCall(b *testing.B) {
	var c Call
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		c.Reset(nil, 1)
		for _, ev := range usual {
			c.Step(now, ev)
			now = now.Add(time.Millisecond)
			c.NextDeadline()
		}
		if c.Record().Outcome != Answered {
			b.Fatal("the call was not answered")
		}
	}
}

func TestStepsDoNotAllocate(t *testing.T) {
	c := new(Call)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	outcome := NoOutcome
	if n := testing.AllocsPerRun(100, func() {
		c.Reset(nil, 1)
		for _, ev := range usual {
			c.Step(now, ev)
		}
		outcome = c.Record().Outcome
	}); n != 0 {
		t.Errorf("a call allocates %v times", n)
	}
	if outcome != Answered {
		t.Errorf("outcome %v", outcome)
	}
}

func TestCallIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Call{}); n > 432 {
		t.Errorf("a call takes %d bytes", n)
	}
	t.Logf("Call %d, Event %d, Action %d bytes", unsafe.Sizeof(Call{}), unsafe.Sizeof(Event{}), unsafe.Sizeof(Action{}))
}
