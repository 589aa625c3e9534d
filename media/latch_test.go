package media

import (
	"net/netip"
	"testing"
)

// MED-02, MED-03: who is believed, by what is known of the party. RFC 7362 §5.
func TestJudge(t *testing.T) {
	at := netip.MustParseAddrPort
	tests := []struct {
		name         string
		said, source string
		host         string
		policy       Latch
		want         trust
	}{
		{"the described address", "198.51.100.1:4000", "198.51.100.1:4000", "", LatchAuto, described},
		{"the described address, strict", "198.51.100.1:4000", "198.51.100.1:4000", "", LatchStrict, described},
		{"the described host on another port", "198.51.100.1:4000", "198.51.100.1:50001", "", LatchStrict, sameHost},
		{"the host its SIP comes from", "198.51.100.1:4000", "198.51.100.9:50001", "198.51.100.9", LatchStrict, sameHost},
		{"a stranger to a public address", "198.51.100.1:4000", "198.51.100.2:4000", "", LatchAuto, stranger},
		{"a stranger to a public address whose SIP comes from elsewhere", "198.51.100.1:4000", "203.0.113.5:4000", "198.51.100.9", LatchAuto, stranger},
		{"a public source for a private address", "192.168.1.2:4000", "203.0.113.5:4000", "203.0.113.5", LatchAuto, sameHost},
		{"any source for a private address", "192.168.1.2:4000", "203.0.113.5:4000", "203.0.113.6", LatchAuto, anyone},
		{"any source for a private address, strict", "192.168.1.2:4000", "203.0.113.5:4000", "203.0.113.6", LatchStrict, stranger},
		{"any source for an address behind a carrier's NAT", "100.64.3.4:4000", "203.0.113.5:4000", "", LatchAuto, anyone},
		{"private address and SIP from it: no NAT between", "192.168.1.2:4000", "192.168.1.3:4000", "192.168.1.2", LatchAuto, stranger},
		{"nothing described yet", "", "203.0.113.5:4000", "", LatchAuto, anyone},
		{"nothing described yet, strict", "", "203.0.113.5:4000", "", LatchStrict, stranger},
		{"nothing described yet, strict, from the SIP host", "", "203.0.113.5:4000", "203.0.113.5", LatchStrict, sameHost},
		{"whoever comes first", "198.51.100.1:4000", "203.0.113.5:4000", "", LatchAny, anyone},
		{"IPv6", "[2001:db8::1]:4000", "[2001:db8::1]:4002", "", LatchAuto, sameHost},
		{"unique local IPv6", "[fd00::1]:4000", "[2001:db8::1]:4002", "", LatchAuto, anyone},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := route{policy: test.policy}
			if test.said != "" {
				r.said = at(test.said)
			}
			if test.host != "" {
				r.host = netip.MustParseAddr(test.host)
			}
			if got := r.judge(at(test.source)); got != test.want {
				t.Errorf("trust is %d, want %d", got, test.want)
			}
		})
	}
}

// latchStep is a packet from a source or a description; want is where packets to the party go after it, "drop" if the packet is not believed.
type latchStep struct{ packet, said, held, want string }

func TestLatchSequences(t *testing.T) {
	const (
		inside  = "192.168.1.2:4000" // what a phone behind a NAT describes
		outside = "203.0.113.5:50001"
		moved   = "203.0.113.5:50002"
		thief   = "198.18.0.66:6666"
	)
	tests := []struct {
		name  string
		steps []latchStep
	}{
		{"a phone behind a NAT is reached after its first packet", []latchStep{
			{said: inside, want: inside}, {packet: outside, want: outside}, {packet: outside, want: outside}}},
		{"who injects after the lock is dropped", []latchStep{
			{said: inside, want: inside}, {packet: outside, want: outside}, {packet: thief, want: "drop"}, {packet: moved, want: "drop"}}},
		{"who injects before the party loses to the described address", []latchStep{
			{said: inside, want: inside}, {packet: thief, want: thief}, {packet: inside, want: inside}, {packet: thief, want: "drop"}}},
		{"early packets before any description keep their source if it fits", []latchStep{
			{packet: outside, want: outside}, {said: outside, want: outside}, {packet: thief, want: "drop"}}},
		{"early packets of a stranger lose to the description", []latchStep{
			{packet: thief, want: thief}, {said: outside, want: outside}, {packet: thief, want: "drop"}, {packet: outside, want: outside}}},
		{"the same description keeps the lock", []latchStep{
			{said: inside, want: inside}, {packet: outside, want: outside}, {said: inside, want: outside}, {packet: moved, want: "drop"}}},
		{"a changed description with the same address lets the NAT's new port be learned", []latchStep{
			{said: inside, want: inside}, {packet: outside, want: outside}, {said: inside + " changed", want: outside}, {packet: moved, want: moved}, {packet: outside, want: "drop"}}},
		{"a new address counts at once", []latchStep{
			{said: "198.51.100.1:4000", want: "198.51.100.1:4000"}, {packet: "198.51.100.1:4000", want: "198.51.100.1:4000"},
			{said: "198.51.100.2:4000", want: "198.51.100.2:4000"}, {packet: "198.51.100.1:4000", want: "drop"}, {packet: "198.51.100.2:4000", want: "198.51.100.2:4000"}}},
		{"a phone that moved behind its NAT: last packets of the old port do not keep the lock", []latchStep{
			{said: inside, want: inside}, {packet: outside, want: outside}, {said: "192.168.1.2:4002", want: "192.168.1.2:4002"},
			{packet: outside, want: outside}, {packet: moved, want: moved}, {packet: outside, want: "drop"}}},
		{"last packets from a port that the party has left pass, and draw nothing back there", []latchStep{
			{said: "198.51.100.1:4000", want: "198.51.100.1:4000"}, {packet: "198.51.100.1:4000", want: "198.51.100.1:4000"},
			{said: "198.51.100.1:5000", want: "198.51.100.1:5000"}, {packet: "198.51.100.1:4000", want: "198.51.100.1:5000"},
			{said: "198.51.100.1:5000 changed", want: "198.51.100.1:5000"}, {held: "yes", want: ""}, {said: "198.51.100.1:5000", want: "198.51.100.1:5000"},
			{packet: "198.51.100.1:5000", want: "198.51.100.1:5000"}, {packet: "198.51.100.1:4000", want: "drop"}}},
		{"a port that was not the described one is gone on with", []latchStep{
			{said: "198.51.100.1:4000", want: "198.51.100.1:4000"}, {packet: "198.51.100.1:50001", want: "198.51.100.1:50001"},
			{said: "198.51.100.1:5000", want: "198.51.100.1:5000"}, {packet: "198.51.100.1:50001", want: "198.51.100.1:50001"}}},
		{"a description from behind a NAT that the one before had not shown is not taken at its word", []latchStep{
			{said: outside, want: outside}, {packet: outside, want: outside}, {said: inside, want: inside}, {packet: outside, want: outside}}},
		{"hold stops sending, resume goes on to the locked source", []latchStep{
			{said: inside, want: inside}, {packet: outside, want: outside}, {held: "yes", want: ""}, {packet: outside, want: ""}, {said: inside, want: outside}}},
		{"a source that is first heard on hold is not sent to before the resume", []latchStep{
			{said: inside, want: inside}, {held: "yes", want: ""}, {packet: outside, want: ""}, {said: inside, want: outside}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := &route{kind: kindRTP}
			for i, step := range test.steps {
				switch {
				case step.packet != "":
					source := netip.MustParseAddrPort(step.packet)
					if source != r.source {
						next := r.learn(source)
						if next == nil {
							if step.want != "drop" {
								t.Fatalf("step %d: %+v: dropped", i, step)
							}
							continue
						}
						r = next
					}
				case step.held != "":
					r = r.redescribed(update{held: true})
				default:
					said, changed := step.said, false
					if len(said) > 8 && said[len(said)-8:] == " changed" {
						said, changed = said[:len(said)-8], true
					}
					r = r.redescribed(update{said: netip.MustParseAddrPort(said), changed: changed})
				}
				got := ""
				if r.dest.IsValid() {
					got = r.dest.String()
				}
				if got != step.want {
					t.Fatalf("step %d: %+v: packets go to %q", i, step, got)
				}
			}
		})
	}
}

// MED-03: a description that opens the lock for a new mapping of the NAT does not give it away: who gets in first loses to the party
// if that still sends from where it did, and the last packets of an old mapping do not count for that.
func TestThiefIsPutOutAfterAReinvite_MED03(t *testing.T) {
	const inside, outside, moved, thief = "192.168.1.2:4000", "203.0.113.5:50001", "203.0.113.5:50002", "198.18.0.66:6666"
	at := netip.MustParseAddrPort
	reinvited := func() *plug {
		p := new(plug).begin(&route{kind: kindRTP}, false)
		p.jack = new(jack)
		p.redescribe(update{said: at(inside)})
		if p.learn(at(outside)) == nil {
			t.Fatal("the party is not believed")
		}
		p.redescribe(update{said: at(inside), changed: true})
		return p
	}
	p := reinvited()
	if p.learn(at(thief)) == nil {
		t.Fatal("nobody is known to be where the party was, and yet the first is not believed")
	}
	for i := range regains - 1 {
		if p.learn(at(outside)) != nil {
			t.Fatalf("packet %d of the former source was believed", i+1)
		}
	}
	if r := p.learn(at(outside)); r == nil || r.dest != at(outside) {
		t.Fatal("the party did not get its lock back")
	}
	for range 2 * regains {
		if p.learn(at(thief)) != nil {
			t.Fatal("the thief was believed again")
		}
	}
	p = reinvited()
	p.learn(at(moved))
	p.learn(at(outside))
	if r := p.learn(at(moved)); r == nil || r.dest != at(moved) {
		t.Error("one late packet of the old mapping took the lock from the new one")
	}
}
