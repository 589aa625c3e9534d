package peers

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// DatagramsDropped returns how many datagrams the kernel dropped at the UDP sockets bound to exactly these IPv4 addresses because
// their receive buffers were full; 0 where the kernel does not tell.
func DatagramsDropped(bound ...netip.AddrPort) (dropped int) {
	text, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && slices.ContainsFunc(bound, func(a netip.AddrPort) bool { return fields[1] == kernelAddress(a) }) {
			n, _ := strconv.Atoi(fields[len(fields)-1])
			dropped += n
		}
	}
	return dropped
}

// listening reports whether some process takes datagrams or connections at an address. It looks without touching: to try the port
// would take it from the one who is about to have it.
func listening(at netip.AddrPort) bool {
	const listen = "0A"
	const tables = "/proc/thread-self/net/" // of the network that the thread is in
	for _, table := range []string{tables + "udp", tables + "udp6", tables + "tcp", tables + "tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			return true // this kernel does not tell
		}
		for line := range strings.Lines(string(text)) {
			fields := strings.Fields(line)
			if len(fields) > 3 && fields[1] == kernelAddress(at) && (strings.Contains(table, "udp") || fields[3] == listen) {
				return true
			}
		}
	}
	return false
}

// kernelAddress writes an address as the tables of /proc/net do on a little-endian machine: words of 32 bits turned round.
func kernelAddress(a netip.AddrPort) string {
	ip := a.Addr().AsSlice()
	for word := ip; len(word) > 0; word = word[4:] {
		slices.Reverse(word[:4])
	}
	return strings.ToUpper(hex.EncodeToString(ip)) + fmt.Sprintf(":%04X", a.Port())
}
