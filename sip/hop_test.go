package sip

import (
	"net/netip"
	"testing"
	"time"

	"trunkline/sip/dialog"
	"trunkline/sip/transport"
)

// RFC 3261 §12.2.1.1, RFC 5923, RFC 5626 §5.3: where a request inside a dialog goes, by what Contact says and where the side speaks from.
func TestNextHop(t *testing.T) {
	udp := func(from string) seat { return seat{flow: transport.Flow{Remote: netip.MustParseAddrPort(from)}} }
	tcp := func(from string) seat {
		at := udp(from)
		at.flow.Proto, at.flow.Conn = transport.TCP, 7
		return at
	}
	known := func(at seat) seat {
		at.flowOnly = true
		return at
	}
	for _, test := range []struct {
		what    string
		at      seat
		contact string
		want    string
	}{
		{"it says where it is", udp("203.0.113.9:40000"), "203.0.113.8:5060", "203.0.113.8:5060"},
		{"it is behind a NAT", udp("203.0.113.9:40000"), "10.0.0.5:5060", "203.0.113.9:40000"},
		{"it is in our network", udp("10.0.0.9:40000"), "10.0.0.5", "10.0.0.5:5060"},
		{"another family", udp("203.0.113.9:40000"), "[2001:db8::5]:5060", "203.0.113.9:40000"},
		{"IPv6", udp("[2001:db8::9]:40000"), "[2001:db8::5]:5060", "[2001:db8::5]:5060"},
		{"IPv6 in its own network", udp("[2001:db8::9]:40000"), "[fd00::5]:5060", "[2001:db8::9]:40000"},
		{"an agent known by digest over UDP", known(udp("203.0.113.9:40000")), "203.0.113.9:5060", "203.0.113.9:40000"},
		{"a connection, and where to dial when it is closed", tcp("10.0.0.5:40000"), "10.0.0.5:5070", "10.0.0.5:5070"},
		{"that of an agent known by digest", known(tcp("10.0.0.5:40000")), "10.0.0.5:5070", "10.0.0.5:5070"},
		{"that of one behind a NAT", known(tcp("203.0.113.9:40000")), "10.0.0.5:5070", "203.0.113.9:40000"},
		{"that of one with a name that nobody need look up", known(tcp("203.0.113.9:40000")), "phone.invalid", "203.0.113.9:40000"},
	} {
		s := &shard{edge: &Edge{}}
		d := dialog.NewCaller([]byte("call"), []byte("tag"), nil, nil, []byte("sip:a@"+test.contact), nil)
		f, _, ok := s.nextHop(time.Time{}, test.at, &d)
		if !ok || f.Remote.String() != test.want || f.Conn != test.at.flow.Conn {
			t.Errorf("%s: %v over connection %d, want %s", test.what, f.Remote, f.Conn, test.want)
		}
	}
}
