package peers

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// NAT stands between a private network and the one outside. It translates UDP over IPv4 as the strictest do: another port for each place
// that something is sent to, and only what comes back from there passes (RFC 4787 §4.1, §5: address and port-dependent, both). All else
// is lost.
type NAT struct {
	Outside netip.Addr // what the network outside sees

	mu   sync.Mutex
	next uint16
	ways map[natWay]uint16
	back map[uint16]natWay
}

// natWay is where something is sent, and from where inside.
type natWay struct{ from, to netip.AddrPort }

// NewNAT returns one that nothing has passed yet.
func NewNAT(outside netip.Addr) *NAT {
	n := &NAT{Outside: outside, next: 20000}
	n.Forget()
	return n
}

// Forget has everything get another port from now on, as when it was started anew.
func (n *NAT) Forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ways, n.back = map[natWay]uint16{}, map[uint16]natWay{}
}

// out translates a packet on its way out, in place. It is false for one that does not pass.
func (n *NAT) out(packet []byte) bool {
	way, ok := readWay(packet)
	if !ok {
		return false
	}
	n.mu.Lock()
	port := n.ways[way]
	if port == 0 {
		n.next++
		port = n.next
		n.ways[way], n.back[port] = port, way
	}
	n.mu.Unlock()
	writeWay(packet, natWay{netip.AddrPortFrom(n.Outside, port), way.to})
	return true
}

// in translates a packet on its way in.
func (n *NAT) in(packet []byte) bool {
	came, ok := readWay(packet)
	if !ok || came.to.Addr() != n.Outside {
		return false
	}
	n.mu.Lock()
	way, ok := n.back[came.to.Port()]
	n.mu.Unlock()
	if !ok || way.to != came.from {
		return false
	}
	writeWay(packet, natWay{came.from, way.from})
	return true
}

// Of IPv4 without options and UDP (RFC 791 §3.1, RFC 768).
const (
	ipHeader, udpHeader        = 20, 8
	ipProtocol, ipSum          = 9, 10
	ipSource, ipDestination    = 12, 16
	udpSource, udpTo, udpCheck = 20, 22, 26
	protocolUDP                = 17
)

// readWay reads where a packet comes from and goes to. It is false for anything but a whole UDP datagram over IPv4.
func readWay(packet []byte) (natWay, bool) {
	if len(packet) < ipHeader+udpHeader || packet[0] != 4<<4|ipHeader/4 || packet[ipProtocol] != protocolUDP || packet[6]&0x3f != 0 || packet[7] != 0 {
		return natWay{}, false
	}
	at := func(address, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(packet[address:address+4])), binary.BigEndian.Uint16(packet[port:]))
	}
	return natWay{at(ipSource, udpSource), at(ipDestination, udpTo)}, true
}

// writeWay changes that. UDP needs no checksum over IPv4.
func writeWay(packet []byte, w natWay) {
	from, to := w.from.Addr().As4(), w.to.Addr().As4()
	copy(packet[ipSource:], from[:])
	copy(packet[ipDestination:], to[:])
	binary.BigEndian.PutUint16(packet[udpSource:], w.from.Port())
	binary.BigEndian.PutUint16(packet[udpTo:], w.to.Port())
	binary.BigEndian.PutUint16(packet[udpCheck:], 0)
	binary.BigEndian.PutUint16(packet[ipSum:], 0)
	sum := uint32(0)
	for i := 0; i < ipHeader; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(packet[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(packet[ipSum:], ^uint16(sum))
}
