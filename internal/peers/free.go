package peers

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
)

// Addresses of the parties. What the edge takes for a carrier calls from Carrier, its application from App.
const (
	EdgeHost    = "127.0.0.1"
	CarrierHost = "127.0.0.2"
	AppHost     = "127.0.0.3"
	StrangeHost = "127.0.0.4"
)

// FreePort returns a port of the loopback address host on which nothing listens at the moment, over UDP and TCP.
func FreePort(t testing.TB, host string) netip.AddrPort {
	t.Helper()
	for range 50 {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		address := listener.Addr().(*net.TCPAddr).AddrPort()
		socket, err := net.ListenPacket("udp", net.JoinHostPort(host, strconv.Itoa(int(address.Port()))))
		listener.Close()
		if err != nil {
			continue // taken over UDP
		}
		socket.Close()
		return address
	}
	t.Fatal("no port is free over UDP and TCP")
	return netip.AddrPort{}
}
