package peers

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BadLine says what a line between two networks does to the packets of each direction, in percent of them.
type BadLine struct {
	Lost, Doubled int
	Late          int           // held up, so that others overtake them
	By            time.Duration // at most so long
}

// Carried is what a line did.
type Carried struct{ Passed, Lost, Doubled, Late atomic.Int64 }

// direction is one of the two of a line. Its carry belongs to one goroutine; deliver is called by many.
type direction struct {
	BadLine
	random  *rand.Rand
	count   *Carried
	deliver func(packet []byte)

	mu     sync.Mutex
	closed bool
	late   sync.WaitGroup
}

// carry delivers a packet as the line does: not, twice, or later than those that come after it. It keeps nothing of packet.
func (d *direction) carry(packet []byte) {
	if d.random.IntN(100) < d.Lost {
		d.count.Lost.Add(1)
		return
	}
	copies := 1
	if d.random.IntN(100) < d.Doubled {
		d.count.Doubled.Add(1)
		copies = 2
	}
	for range copies {
		d.count.Passed.Add(1)
		if d.random.IntN(100) >= d.Late {
			d.deliver(packet)
			continue
		}
		d.count.Late.Add(1)
		d.deliverLate(append([]byte(nil), packet...), rand.N(d.By))
	}
}

func (d *direction) deliverLate(packet []byte, after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.late.Add(1)
	time.AfterFunc(after, func() {
		defer d.late.Done()
		d.deliver(packet)
	})
}

// close waits for what is still to be delivered.
func (d *direction) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.late.Wait()
}

// newDirections returns both directions of a line. The seed makes the same packets meet the same fate, as far as their order is the same.
func newDirections(o BadLine, seed uint64, count *Carried, toA, toB func([]byte)) (fromA, fromB *direction) {
	return &direction{BadLine: o, random: rand.New(rand.NewPCG(seed, 1)), count: count, deliver: toB},
		&direction{BadLine: o, random: rand.New(rand.NewPCG(seed, 2)), count: count, deliver: toA}
}

// Forwarder is a bad line between two programs on loopback: each finds the other at an address that is the forwarder's, and is found at
// one. It stands in where no network namespace can be made.
type Forwarder struct {
	Carried
	AtA, AtB netip.AddrPort // where b finds a, and a finds b
}

// StartForwarder joins a and b until the test ends. They are found at hosts of loopback that stand for them.
func StartForwarder(t testing.TB, o BadLine, a, b netip.AddrPort, hostOfA, hostOfB string) *Forwarder {
	t.Helper()
	f := &Forwarder{AtA: netip.AddrPortFrom(netip.MustParseAddr(hostOfA), a.Port()), AtB: netip.AddrPortFrom(netip.MustParseAddr(hostOfB), b.Port())}
	var sockets [2]*net.UDPConn
	for i, at := range []netip.AddrPort{f.AtA, f.AtB} {
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		sockets[i] = socket
	}
	send := func(from *net.UDPConn, to netip.AddrPort) func([]byte) {
		return func(b []byte) { _, _ = from.WriteToUDPAddrPort(b, to) } // a line gives no account of what it loses
	}
	fromA, fromB := newDirections(o, 1, &f.Carried, send(sockets[1], a), send(sockets[0], b))
	var readers sync.WaitGroup
	readers.Go(func() { carryAll(sockets[1], fromA) }) // what a sends to b's place; both end when their socket is closed
	readers.Go(func() { carryAll(sockets[0], fromB) })
	t.Cleanup(func() {
		fromA.close()
		fromB.close()
		for _, socket := range sockets {
			socket.Close()
		}
		readers.Wait()
	})
	return f
}

// carryAll carries what comes until there is nothing to read from any more.
func carryAll(from interface{ Read([]byte) (int, error) }, d *direction) {
	packet := make([]byte, 1<<16)
	for {
		n, err := from.Read(packet)
		if err != nil {
			return
		}
		d.carry(packet[:n])
	}
}
