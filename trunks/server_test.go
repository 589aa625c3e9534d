package trunks

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"trunkline/config"
)

// record is a server with what SRV says: the last octet of its address, and which host it belongs to.
func record(last byte, priority uint32, weight, host uint16) Server {
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, last}), 5060)
	return Server{Addr: addr, Priority: priority, Weight: weight, Record: host}
}

func TestServersAreSharedByWeight(t *testing.T) {
	servers := []Server{record(1, 10, 60, 0), record(2, 10, 30, 1), record(3, 10, 30, 1), record(4, 10, 10, 2), record(5, 20, 1000, 3)}
	for _, test := range []struct {
		name    string
		servers []Server
		tried   uint64
		want    []int // of 1,000
	}{
		{"by weight; the addresses of one host count once", servers, 0, []int{600, 300, 0, 100, 0}},
		{"the second address of a host after its first", servers, 0b00010, []int{600, 0, 300, 100, 0}},
		{"those left share what is left", servers, 0b00001, []int{0, 750, 0, 250, 0}},
		{"the next priority when one is through", servers, 0b01111, []int{0, 0, 0, 0, 1000}},
		{"addresses without SRV in their order", []Server{record(1, 0, 0, 0), record(2, 0, 0, 0)}, 0, []int{1000, 0}},
		{"weight 0 after the others", []Server{record(1, 0, 0, 0), record(2, 0, 1, 1)}, 0, []int{0, 1000}},
		{"equal when none has a weight", []Server{record(1, 0, 0, 0), record(2, 0, 0, 1)}, 0, []int{500, 500}},
	} {
		t.Run(test.name, func(t *testing.T) {
			trunk, destination := &Trunk{servers: test.servers}, &Destination{servers: test.servers}
			got := make([]int, len(test.servers))
			for random := range uint64(1000) { // every remainder as often
				i := trunk.Choose(test.tried, random)
				got[i]++
				if destination.Choose(test.tried, random) != i {
					t.Fatal("a destination chooses otherwise")
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
	if i := (&Trunk{servers: servers}).Choose(0b11111, 7); i != -1 {
		t.Errorf("all are tried, but %d", i)
	}
	if i := new(Trunk).Choose(0, 7); i != -1 {
		t.Errorf("there is none, but %d", i)
	}
}

func TestEveryServerHasItsTurn(t *testing.T) {
	var servers []Server
	for i := range 70 {
		servers = append(servers, record(byte(i), uint32(i/7), uint16(i%3), uint16(i%7/2)))
	}
	trunk, tried, priority := &Trunk{servers: servers}, uint64(0), uint32(0)
	for n := range 64 {
		i := trunk.Choose(tried, uint64(n)*7919)
		if i < 0 || i >= 64 || tried&(1<<i) != 0 || servers[i].Priority < priority {
			t.Fatalf("choice %d is %d", n, i)
		}
		tried, priority = tried|1<<i, servers[i].Priority
	}
	if i := trunk.Choose(tried, 1); i != -1 {
		t.Errorf("all are tried, but %d", i)
	}
	if n := testing.AllocsPerRun(100, func() { trunk.Choose(5, 77) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestPortsOfServers: SRV brings its own, a port in the configuration goes before it, and an address alone has the default.
func TestPortsOfServers(t *testing.T) {
	const text = `
trunks:
  - {name: by-srv, server: sip.example}
  - {name: by-port, server: "sip.example:5099"}
  - {name: secure, server: sip.example, transport: tls}
agents:
  - {name: app, destinations: [{uri: "sip:app.example;transport=tcp"}, {uri: "sip:app.example:5066;transport=tcp"}]}
`
	want := []Host{{"app.example", ""}, {"app.example", config.TCP}, {"sip.example", ""}, {"sip.example", config.TLSTransport}, {"sip.example", config.UDP}}
	if got := Hosts(load(t, text)); !slices.Equal(got, want) {
		t.Errorf("hosts %v, want %v", got, want)
	}
	s := build(t, text, Names{
		{"sip.example", ""}:                  {at("192.0.2.1:0")},
		{"sip.example", config.UDP}:          {at("192.0.2.2:5070"), at("192.0.2.3:5071")},
		{"sip.example", config.TLSTransport}: {at("192.0.2.4:0")},
		{"app.example", ""}:                  {at("192.0.2.5:0")},
		{"app.example", config.TCP}:          {at("192.0.2.6:5080")},
	})
	got := fmt.Sprint(s.Trunk("by-srv").Servers, s.Trunk("by-port").Servers, s.Trunk("secure").Servers,
		s.Agent("app").Destinations[0].Addrs, s.Agent("app").Destinations[1].Addrs)
	if want := "[192.0.2.2:5070 192.0.2.3:5071] [192.0.2.1:5099] [192.0.2.4:5061] [192.0.2.6:5080] [192.0.2.5:5066]"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
