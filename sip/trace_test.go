package sip

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"trunkline/sip/transport"
)

func TestTraceKeepsTheNewestOfEachCall(t *testing.T) {
	const calls, rounds = 7, 400
	tr := newTrace(minimumRing)
	flow := transport.Flow{Proto: transport.TLS, Socket: 3, Local: netip.MustParseAddrPort("192.0.2.1:5061"), Remote: netip.MustParseAddrPort("[2001:db8::9]:4711")}
	var chains [calls]uint64
	at := time.Unix(1700000000, 0)
	for i := range rounds * calls {
		call := i % calls
		body := bytes.Repeat([]byte{byte('a' + call)}, 40+i%97)
		chains[call] = tr.add(chains[call], at.Add(time.Duration(i)*time.Millisecond), i%2 == 0, i%3 == 0, flow, append(body, fmt.Sprint(i)...))
	}
	for call, chain := range chains {
		found := tr.messages(chain)
		if len(found) < 10 || len(found) >= rounds {
			t.Fatalf("call %d: %d messages are left of %d in a ring of %d bytes", call, len(found), rounds, minimumRing)
		}
		for i, m := range found {
			n := (rounds-len(found)+i)*calls + call
			want := append(bytes.Repeat([]byte{byte('a' + call)}, 40+n%97), fmt.Sprint(n)...)
			if !bytes.Equal(m.Bytes, want) || m.Flow != flow || m.Sent != (n%2 == 0) || m.Repeated != (n%3 == 0) || !m.At.Equal(at.Add(time.Duration(n)*time.Millisecond)) {
				t.Fatalf("call %d, message %d: got %+v", call, i, m)
			}
		}
	}
}

func TestTraceOff(t *testing.T) {
	tr := newTrace(0)
	if chain := tr.add(noTrace, time.Now(), true, false, transport.Flow{}, []byte("x")); chain != noTrace || tr.messages(chain) != nil {
		t.Error("a trace of no size keeps something")
	}
}

func TestTraceIgnoresWhatIsLargerThanTheRing(t *testing.T) {
	tr := newTrace(minimumRing)
	chain := tr.add(noTrace, time.Now(), true, false, transport.Flow{}, []byte("first"))
	if got := tr.add(chain, time.Now(), true, false, transport.Flow{}, make([]byte, minimumRing)); got != chain || len(tr.messages(chain)) != 1 {
		t.Error("a message larger than the ring changed the chain")
	}
}
