package dialog

import (
	"testing"

	"trunkline/sip/wire"
)

// PRK-04: copies and what comes before its turn are not taken; each INVITE starts anew.
func TestAcceptReliable(t *testing.T) {
	var d Dialog
	for i, step := range []struct {
		rseq, invite uint32
		want         bool
	}{
		{0, 1, false}, {7000, 1, true}, {7000, 1, false}, {7002, 1, false}, {7001, 1, true}, {7000, 1, false}, {7002, 1, true},
		{3, 2, true}, {4, 2, true},
	} {
		if got := d.AcceptReliable(step.rseq, step.invite); got != step.want {
			t.Errorf("step %d, RSeq %d of INVITE %d: %v", i+1, step.rseq, step.invite, got)
		}
	}
	if got := string(d.AppendRAck(nil)); got != "RAck: 4 2 INVITE\r\n" {
		t.Errorf("%q", got)
	}
}

// PRK-02: only the PRACK of the response that waits ends its wait, and only once.
func TestAcknowledge(t *testing.T) {
	prack := func(rack string) *wire.Message {
		m := new(wire.Message)
		if err := m.Parse([]byte("PRACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKx\r\nFrom: <sip:b@x>;tag=t\r\nTo: <sip:a@x>;tag=u\r\nCall-ID: 1\r\n" +
			"CSeq: 2 PRACK\r\nMax-Forwards: 70\r\nRAck: " + rack + "\r\nContent-Length: 0\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		return m
	}
	var d Dialog
	if d.Acknowledge(prack("0 1 INVITE"), 1) {
		t.Error("nothing waits")
	}
	first := d.NextRSeq(41)
	if second := d.NextRSeq(99); first != 41 || second != 42 {
		t.Errorf("RSeqs %d and %d", first, second)
	}
	d.AwaitPrack(first)
	for _, step := range []struct {
		rack string
		want bool
	}{{"42 1 INVITE", false}, {"41 2 INVITE", false}, {"41 1 BYE", false}, {"41 1 INVITE", true}, {"41 1 INVITE", false}} {
		if got := d.Acknowledge(prack(step.rack), 1); got != step.want {
			t.Errorf("RAck %s: %v", step.rack, got)
		}
	}
}
