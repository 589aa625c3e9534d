package peers

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// Addresses of the parties. What the edge takes for a carrier calls from Carrier, its application from App.
const (
	EdgeHost    = "127.0.0.1"
	CarrierHost = "127.0.0.2"
	AppHost     = "127.0.0.3"
	StrangeHost = "127.0.0.4"
)

// Ports are handed out below the range from which the kernel takes the ports of outgoing connections (32768 and up), and
// below those of media (10000 and up): a port that is free now is still free when a peer binds it a second later.
const (
	firstPort = 6200
	lastPort  = 9799
)

// handedOut counts the ports given to this process's tests; each starts elsewhere, so that two runs seldom meet.
var handedOut atomic.Uint32

func init() { handedOut.Store(uint32(os.Getpid()) * 64) }

// Media of phones have ports of their own, away from the rest: baresip binds them on every address, whenever a call begins.
const (
	firstPhonePort = 14000
	phonePorts     = 40 // of each phone
	phoneRanges    = 140
)

var phonesStarted atomic.Uint32

// phoneMedia returns the first of phonePorts ports for a phone, which no other phone of this process was given lately.
func phoneMedia() int {
	return firstPhonePort + phonePorts*int((uint32(os.Getpid())+phonesStarted.Add(1))%phoneRanges)
}

// FreePort returns a port of the loopback address host on which nothing listens at the moment, over UDP and TCP, and which
// no other caller in this process was given lately.
func FreePort(t testing.TB, host string) netip.AddrPort {
	t.Helper()
	for range (lastPort - firstPort + 1) / 2 {
		port := firstPort + 2*(handedOut.Add(1)%((lastPort-firstPort+1)/2)) // the odd one above it is for peers that take a second, as baresip does for TLS
		text := net.JoinHostPort(host, strconv.Itoa(int(port)))
		listener, err := net.Listen("tcp", text)
		if err != nil {
			continue
		}
		listener.Close()
		socket, err := net.ListenPacket("udp", text)
		if err != nil {
			continue
		}
		socket.Close()
		return netip.MustParseAddrPort(text)
	}
	t.Fatal("no port is free over UDP and TCP")
	return netip.AddrPort{}
}
