package account

import (
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1", "127.8.9.10", "::1", "0.0.0.0", "::", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255",
		"240.0.0.1", "198.18.0.1", "192.0.0.8", "203.0.113.1", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:192.168.0.1", "64:ff9b::7f00:1",
		"2002:7f00:1::", "2001:0:7f00:1::", "fec0::1", "2001:db8::1", "0.1.2.3", "fe80::1%eth0",
	} {
		if Public(netip.MustParseAddr(address)) {
			t.Errorf("%s is public", address)
		}
	}
	for _, address := range []string{"8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "172.32.0.1", "100.128.0.1"} {
		if !Public(netip.MustParseAddr(address)) {
			t.Errorf("%s is not public", address)
		}
	}
}
