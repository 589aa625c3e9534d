package transport

import (
	"net/netip"
	"testing"
	"time"
)

func TestParseListen(t *testing.T) {
	for _, test := range []struct {
		url, addr string
		proto     Proto
		err       string
	}{
		{url: "127.0.0.1:5060", err: "want udp://, tcp:// or tls:// and an address"},
		{url: "ws://127.0.0.1:5060", err: `unknown transport "ws": want udp, tcp or tls`},
		{url: "udp://edge.example:5060", err: `"edge.example:5060" is not an IP address with a port`},
		{url: "udp://127.0.0.1:99999", err: `"127.0.0.1:99999" is not an IP address with a port`},
		{url: "udp://", err: `"" is not an IP address with a port`},
		{url: "udp://127.0.0.1:5080", proto: UDP, addr: "127.0.0.1:5080"},
		{url: "udp://127.0.0.1", proto: UDP, addr: "127.0.0.1:5060"},
		{url: "TLS://127.0.0.1", proto: TLS, addr: "127.0.0.1:5061"},
		{url: "tcp://0.0.0.0:0", proto: TCP, addr: "0.0.0.0:0"},
		{url: "tls://[::1]:5061", proto: TLS, addr: "[::1]:5061"},
		{url: "udp://[::1]", proto: UDP, addr: "[::1]:5060"},
		{url: "udp://::1", proto: UDP, addr: "[::1]:5060"},
		{url: "udp://[fe80::1%eth0]:5060", proto: UDP, addr: "[fe80::1%eth0]:5060"},
		{url: "udp://[::ffff:127.0.0.1]:5060", proto: UDP, addr: "127.0.0.1:5060"},
	} {
		p, a, err := parseListen(test.url)
		if test.err != "" {
			if err == nil || err.Error() != test.err {
				t.Errorf("%s: error %v, want %s", test.url, err, test.err)
			}
			continue
		}
		if err != nil || p != test.proto || a.String() != test.addr {
			t.Errorf("%s: %s %s %v, want %s %s", test.url, p, a, err, test.proto, test.addr)
		}
	}
}

// TRN-05: what Via and Contact show.
func TestSentBy(t *testing.T) {
	for _, test := range []struct{ name, public, local, want string }{
		{"the address listened on", "", "192.0.2.1:5060", "192.0.2.1:5060"},
		{"IPv6 in brackets", "", "[2001:db8::1]:5060", "[2001:db8::1]:5060"},
		{"a zone means nothing to others", "", "[fe80::1%eth0]:5060", "[fe80::1]:5060"},
		{"a host name", "sip.example.com", "192.0.2.1:5060", "sip.example.com:5060"},
		{"a host name with a port", "sip.example.com:15060", "192.0.2.1:5060", "sip.example.com:15060"},
		{"a public address", "203.0.113.7", "10.0.0.1:5061", "203.0.113.7:5061"},
		{"a public address with a port", "203.0.113.7:15061", "10.0.0.1:5061", "203.0.113.7:15061"},
		{"a public IPv6 address", "2001:db8::7", "[fd00::1]:5060", "[2001:db8::7]:5060"},
		{"in brackets", "[2001:db8::7]", "[fd00::1]:5060", "[2001:db8::7]:5060"},
		{"in brackets with a port", "[2001:db8::7]:15060", "[fd00::1]:5060", "[2001:db8::7]:15060"},
		{"a public IPv4 address says nothing about IPv6", "203.0.113.7", "[2001:db8::1]:5060", "[2001:db8::1]:5060"},
		{"nor the other way", "2001:db8::7", "192.0.2.1:5060", "192.0.2.1:5060"},
	} {
		if got := sentBy(test.public, netip.MustParseAddrPort(test.local)); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestPick(t *testing.T) {
	var all []Listener
	for _, url := range []string{"udp://127.0.0.1:5060", "udp://192.0.2.1:5060", "tcp://192.0.2.1:5060", "udp://[2001:db8::1]:5060", "udp://192.0.2.2:5060"} {
		p, a, err := parseListen(url)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, describe(p, a, ""))
	}
	for _, test := range []struct {
		name   string
		ls     []Listener
		proto  Proto
		remote string
		want   int // -1: none
	}{
		{"nothing to pick from", nil, UDP, "198.51.100.1", -1},
		{"no listener of that family", all[:3], UDP, "2001:db8::9", -1},
		{"only loopback for the outside", all[:1], UDP, "198.51.100.1", -1},
		{"no datagrams from a TCP listener", all[2:3], UDP, "198.51.100.1", -1},
		{"loopback for loopback", all, UDP, "127.0.0.9", 0},
		{"the first for the outside", all, UDP, "198.51.100.1", 1},
		{"its own protocol", all, TCP, "198.51.100.1", 2},
		{"TLS from any address of the family", all, TLS, "198.51.100.1", 1},
		{"IPv6", all, UDP, "2001:db8::9", 3},
		{"a mapped address is IPv4", all, UDP, "::ffff:198.51.100.1", 1},
		{"a real address serves loopback if it must", all[1:2], UDP, "127.0.0.1", 0},
	} {
		got, ok := Pick(test.ls, test.proto, netip.MustParseAddr(test.remote))
		if ok != (test.want >= 0) || ok && int(got) != test.want {
			t.Errorf("%s: %d %v, want %d", test.name, got, ok, test.want)
		}
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"nothing", Options{}, "transport: nothing to listen on"},
		{"bad URL", Options{Listen: []string{"udp://x"}}, `listen on udp://x: "x" is not an IP address with a port`},
		{"not our address", Options{Listen: []string{"udp://192.0.2.1:5060"}}, "listen on udp://192.0.2.1:5060: cannot assign requested address"},
		{"not our address, portable", Options{Listen: []string{"udp://192.0.2.1:5060"}, Loop: LoopPortable}, "listen on udp://192.0.2.1:5060: cannot assign requested address"},
		{"not our address, TCP", Options{Listen: []string{"tcp://192.0.2.1:5060"}}, "listen on tcp://192.0.2.1:5060: cannot assign requested address"},
		{
			"every number out of range", Options{Listen: []string{"udp://127.0.0.1:0"}, Shards: 65, Tick: time.Minute, QueueMessages: -1},
			"transport: Shards 65: want 1 to 64\nQueueMessages -1: want 64 to 16777216\nTick 1m0s: want 1ms to 1s",
		},
		{"no such loop", Options{Listen: []string{"udp://127.0.0.1:0"}, Loop: 9}, "transport: no receive loop has number 9"},
		{"too many listeners", Options{Listen: make([]string, 65)}, "transport: 65 listeners, at most 64 are possible"},
	} {
		before := fds()
		n, err := Listen(test.o)
		if err == nil {
			t.Errorf("%s: no error, listeners %v", test.name, n.Listeners())
			continue
		}
		if err.Error() != test.want {
			t.Errorf("%s: %q, want %q", test.name, err, test.want)
		}
		if after := fds(); after > before+2 { // the poller may have been opened meanwhile
			t.Errorf("%s: %d file descriptors before, %d after", test.name, before, after)
		}
	}
}

func TestReserveProcs(t *testing.T) {
	before := ReserveProcs(0)
	if got := ReserveProcs(3); got != before+3 {
		t.Errorf("%d, want %d", got, before+3)
	}
	if got := ReserveProcs(-3); got != before {
		t.Errorf("%d, want %d", got, before)
	}
}
