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

	tasks chan func() // run on its thread
	line  *os.File    // what it sends over the line, and what comes
}

// JoinNamespaces makes two networks and a bad line between them, until the test ends. The error says what is missing here: the rights of
// root, or the device of tunnels.
func JoinNamespaces(t testing.TB, o BadLine) (a, b *Namespace, count *Carried, err error) {
	t.Helper()
	if a, err = newNamespace(t, netip.MustParseAddr("10.77.0.1")); err != nil {
		return nil, nil, nil, err
	}
	if b, err = newNamespace(t, netip.MustParseAddr("10.77.0.2")); err != nil {
		return nil, nil, nil, err
	}
	count = new(Carried)
	send := func(to *Namespace) func([]byte) {
		return func(packet []byte) { _, _ = to.line.Write(packet) } // a line gives no account of what it loses
	}
	fromA, fromB := newDirections(o, 1, count, send(a), send(b))
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
	return a, b, count, nil
}

// newNamespace makes a network. Its thread, which never does anything else, ends with the test: what was started there ends with it.
func newNamespace(t testing.TB, addr netip.Addr) (*Namespace, error) {
	n := &Namespace{Addr: addr, tasks: make(chan func())}
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
		{control, unix.SIOCSIFNETMASK, line, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
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
