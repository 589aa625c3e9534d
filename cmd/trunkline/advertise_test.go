package main

import (
	"maps"
	"net/netip"
	"testing"
)

func TestAdvertisedAddresses(t *testing.T) {
	ours := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("fd00::5")}
	for _, test := range []struct {
		name, text string
		want       map[string]string
	}{
		{"no public address: each is shown as itself", `sip: {listen: ["udp://10.0.0.5:5060"]}`, nil},
		{"a public address behind NAT", `sip: {listen: ["udp://10.0.0.5:5060"], public_address: 198.51.100.7}`,
			map[string]string{"10.0.0.5": "198.51.100.7"}},
		{"a wildcard stands for every address of its family but loopback", `sip: {listen: ["udp://0.0.0.0:5060"], public_address: 198.51.100.7}`,
			map[string]string{"10.0.0.5": "198.51.100.7", "10.1.0.5": "198.51.100.7"}},
		{"a listener's own comes first", `sip: {listen: ["udp://10.0.0.5:5060?public=203.0.113.9", "udp://10.1.0.5:5060"], public_address: 198.51.100.7}`,
			map[string]string{"10.0.0.5": "203.0.113.9", "10.1.0.5": "198.51.100.7"}},
		{"families are not mixed", `sip: {listen: ["udp://[fd00::5]:5060"], public_address: 198.51.100.7}`, nil},
		{"media on an address of its own", "sip: {listen: [\"udp://10.0.0.5:5060\"], public_address: 198.51.100.7}\nmedia: {address: 10.1.0.5}",
			map[string]string{"10.1.0.5": "198.51.100.7"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := loadConfig(writeFile(t, "sipgo.yaml", test.text))
			if err != nil {
				t.Fatal(err)
			}
			want := map[netip.Addr]netip.Addr{}
			for local, public := range test.want {
				want[netip.MustParseAddr(local)] = netip.MustParseAddr(public)
			}
			if got := advertised(c, ours); !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestPublicAddressIsShownOnTheListener(t *testing.T) {
	file := writeFile(t, "sipgo.yaml", "sip: {listen: [\"udp://"+freePort(t, "udp")+"?public=203.0.113.9\"]}\nhttp: {listen: \"\"}\nmedia: {relay: false}\n"+
		"storage: {directory: "+t.TempDir()+"}\n")
	d := startFile(t, file)
	if shown := netip.MustParseAddrPort(d.network.Listeners()[0].SentBy); shown.Addr() != netip.MustParseAddr("203.0.113.9") {
		t.Errorf("Via and Contact would show %s", shown)
	}
}
