package peers

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace is a network of its own: a loopback, and an address on a line to another namespace. Programs are started in it with Spec.In,
// SIPp.In and EdgeOptions.In. A nil Namespace is the test's own network.
type Namespace struct {
	Addr netip.Addr // on the line

	bits  int         // of its prefix
	tasks chan func() // run on its thread
	line  *os.File    // what it sends over the line, and what comes
}

// JoinNamespaces makes two networks and a bad line between them, until the test ends. The error says what is missing here: the rights of
// root, or the device of tunnels.
func JoinNamespaces(t testing.TB, o BadLine) (a, b *Namespace, count *Carried, err error) {
	t.Helper()
	if a, err = newNamespace(t, netip.MustParsePrefix("10.77.0.1/24")); err != nil {
		return nil, nil, nil, err
	}
	if b, err = newNamespace(t, netip.MustParsePrefix("10.77.0.2/24")); err != nil {
		return nil, nil, nil, err
	}
	count = new(Carried)
	joinLines(t, a, b, o, count, func([]byte) bool { return true }, func([]byte) bool { return true })
	return a, b, count, nil
}

// JoinBehindNAT makes a private network and one outside, and a NAT between them, until the test ends. The error is that of [JoinNamespaces].
func JoinBehindNAT(t testing.TB) (inside, outside *Namespace, nat *NAT, err error) {
	t.Helper()
	if inside, err = newNamespace(t, netip.MustParsePrefix("192.168.7.2/1")); err != nil { // so that it knows a way to the others
		return nil, nil, nil, err
	}
	if outside, err = newNamespace(t, netip.MustParsePrefix("203.0.113.1/24")); err != nil {
		return nil, nil, nil, err
	}
	nat = NewNAT(netip.MustParseAddr("203.0.113.7"))
	joinLines(t, inside, outside, BadLine{}, new(Carried), nat.out, nat.in)
	return inside, outside, nat, nil
}

// joinLines carries what leaves a and b to the other one, until the test ends. What is on the way is changed by out, towards b, and in.
func joinLines(t testing.TB, a, b *Namespace, o BadLine, count *Carried, out, in func(packet []byte) bool) {
	send := func(to *Namespace, pass func([]byte) bool) func([]byte) {
		return func(packet []byte) {
			if pass(packet) {
				_, _ = to.line.Write(packet) // a line gives no account of what it loses
			}
		}
	}
	fromA, fromB := newDirections(o, 1, count, send(a, in), send(b, out))
	var readers sync.WaitGroup
	readers.Go(func() { carryAll(a.line, fromA) }) // both end when their line is closed
	readers.Go(func() { carryAll(b.line, fromB) })
	t.Cleanup(func() {
		fromA.close()
		fromB.close()
		a.line.Close()
		b.line.Close()
		readers.Wait()
	})
}

// newNamespace makes a network. Its thread, which never does anything else, ends with the test: what was started there ends with it.
func newNamespace(t testing.TB, addr netip.Prefix) (*Namespace, error) {
	n := &Namespace{Addr: addr.Addr(), bits: addr.Bits(), tasks: make(chan func())}
	made := make(chan error)
	var thread sync.WaitGroup
	thread.Go(func() { // ends when tasks is closed
		runtime.LockOSThread() // for good: the thread must not serve others afterwards
		made <- n.open()
		for task := range n.tasks {
			task()
		}
	})
	t.Cleanup(func() {
		close(n.tasks)
		thread.Wait()
	})
	return n, <-made
}

// open leaves the network of the process and sets up another.
func (n *Namespace) open() error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("no network namespace: %w", err)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("no line out of a network namespace: /dev/net/tun: %w", err)
	}
	control, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return err
	}
	defer unix.Close(control)
	if err := n.setUp(fd, control); err != nil {
		unix.Close(fd)
		return fmt.Errorf("set up a network namespace: %w", err)
	}
	n.line = os.NewFile(uintptr(fd), "line")
	return nil
}

func (n *Namespace) setUp(tunnel, control int) error {
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	line, err := unix.NewIfreq("line")
	if err != nil {
		return err
	}
	ip := n.Addr.As4()
	for _, step := range []struct {
		fd      int
		request uint
		on      *unix.Ifreq
		value   func(*unix.Ifreq) error
	}{
		{control, unix.SIOCSIFFLAGS, loopback, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
		{tunnel, unix.TUNSETIFF, line, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI); return nil }},
		{control, unix.SIOCSIFADDR, line, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip[:]) }},
		{control, unix.SIOCSIFNETMASK, line, func(r *unix.Ifreq) error { return r.SetInet4Addr(net.CIDRMask(n.bits, 32)) }},
		{control, unix.SIOCSIFFLAGS, line, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP); return nil }},
	} {
		if err := step.value(step.on); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(step.fd, step.request, step.on); err != nil {
			return err
		}
	}
	return nil
}

// Do runs f in the network. Sockets it opens and programs it starts belong there. f must not call Do.
func (n *Namespace) Do(f func()) {
	if n == nil {
		f()
		return
	}
	done := make(chan struct{})
	n.tasks <- func() { defer close(done); f() }
	<-done
}

// Dial connects to an address of the network, as net.Dialer.DialContext does.
func (n *Namespace) Dial(ctx context.Context, network, address string) (c net.Conn, err error) {
	n.Do(func() { c, err = new(net.Dialer).DialContext(ctx, network, address) }) // an IP address: it is dialled on this thread
	return c, err
}
