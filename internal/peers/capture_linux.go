package peers

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Captured is one datagram as the kernel delivered it.
type Captured struct {
	At   time.Time // by the kernel's clock
	Text string
}

// Header returns the value of a header's first line, empty if there is none.
func (c Captured) Header(name string) string {
	for line := range strings.Lines(c.Text) {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Capture takes what is sent over UDP to one address of loopback.
type Capture struct {
	t    testing.TB
	to   netip.AddrPort
	keep func(text string) bool
	fd   int
	done sync.WaitGroup

	mu   sync.Mutex
	seen []Captured
}

// StartCapture captures the datagrams to an IPv4 address whose text keep wants, until the test ends. It needs the right to open raw
// sockets; without it the test is skipped.
func StartCapture(t testing.TB, to netip.AddrPort, keep func(text string) bool) *Capture {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, int(networkOrder(unix.ETH_P_IP)))
	if err != nil {
		absent(t, "the right to capture ("+err.Error()+")")
	}
	c := &Capture{t: t, to: to, keep: keep, fd: fd}
	for _, set := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) },
		func() error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) },
		func() error { // so that close is noticed
			return unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
		},
		func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP), Ifindex: 1})
		},
	} {
		if err := set(); err != nil {
			unix.Close(fd)
			t.Fatalf("capture: %v", err)
		}
	}
	stop := make(chan struct{})
	c.done.Go(func() { c.run(stop) }) // ends with the test
	t.Cleanup(func() {
		close(stop)
		c.done.Wait()
		unix.Close(fd)
	})
	return c
}

func networkOrder(n uint16) uint16 { return n<<8 | n>>8 }

func (c *Capture) run(stop chan struct{}) {
	packet, control := make([]byte, 1<<16), make([]byte, 256)
	for {
		select {
		case <-stop:
			return
		default:
		}
		n, m, _, from, err := unix.Recvmsg(c.fd, packet, control, 0)
		if err != nil {
			continue // the timeout, or a signal
		}
		// Loopback shows each packet twice: as sent and as received.
		if link, ok := from.(*unix.SockaddrLinklayer); !ok || link.Pkttype != unix.PACKET_HOST {
			continue
		}
		if text, ok := c.datagram(packet[:n]); ok {
			c.mu.Lock()
			c.seen = append(c.seen, Captured{kernelTime(control[:m]), text})
			c.mu.Unlock()
		}
	}
}

// datagram is the payload of a packet to the address that is wanted.
func (c *Capture) datagram(packet []byte) (string, bool) {
	if len(packet) < 20 || packet[9] != unix.IPPROTO_UDP {
		return "", false
	}
	header := int(packet[0]&0xf) * 4
	to, ok := netip.AddrFromSlice(packet[16:20])
	if !ok || to != c.to.Addr() || len(packet) < header+8 || binary.BigEndian.Uint16(packet[header+2:]) != c.to.Port() {
		return "", false
	}
	text := string(packet[header+8:])
	return text, c.keep(text)
}

func kernelTime(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 || len(messages[0].Data) < 16 {
		return time.Time{}
	}
	d := messages[0].Data
	return time.Unix(int64(binary.NativeEndian.Uint64(d)), int64(binary.NativeEndian.Uint64(d[8:])))
}

// Taken is what was captured so far, oldest first. The test fails when the kernel has dropped packets on the way to us.
func (c *Capture) Taken() []Captured {
	c.t.Helper()
	if s, err := unix.GetsockoptTpacketStats(c.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err != nil || s.Drops > 0 {
		c.t.Errorf("the capture has lost %d packets, %v", s.Drops, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Captured(nil), c.seen...)
}
