//go:build linux && (amd64 || arm64)

package main

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"trunkline/media"
)

// relay is the measured process. Each line "caller callee" opens a bridge between those addresses.
func relay(cpu int, name string) error {
	engine := media.EngineRaw
	if name == "portable" {
		engine = media.EnginePortable
	}
	pin(cpu)
	r, err := media.New(media.Options{PortLow: 10000, PortHigh: 31999, Threads: 1, Engine: engine})
	if err != nil {
		return err
	}
	defer r.Close()
	runtime.GOMAXPROCS(1 + r.Threads())
	here := netip.MustParseAddr("127.0.0.1")
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		caller, callee, _ := strings.Cut(input.Text(), " ")
		offer, answer := description(netip.MustParseAddrPort(caller)), description(netip.MustParseAddrPort(callee))
		b := r.Bridge(here, here)
		toCallee, err := b.Offer(media.Caller, offer, nil)
		if err != nil {
			return err
		}
		toCaller, err := b.Answer(media.Callee, answer, nil)
		if err != nil {
			return err
		}
		fmt.Printf("%d %d\n", portIn(toCaller), portIn(toCallee))
	}
	return input.Err()
}

func description(a netip.AddrPort) []byte {
	return fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %d RTP/AVP 0 8 101\r\n"+
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n", a.Addr(), a.Port())
}

func portIn(sdp []byte) int {
	_, rest, _ := strings.Cut(string(sdp), "m=audio ")
	port, _, _ := strings.Cut(rest, " ")
	number, _ := strconv.Atoi(port)
	return number
}
