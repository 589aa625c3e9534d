//go:build linux && (amd64 || arm64)

package media

import (
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// The raw engine: a few threads, each with an epoll set, that receive and send by raw system calls. A call of the
// runtime's own (entersyscall, netpoller) costs more than the work on a packet; docs/decisions/0003-media-relay.md has the figures.
//
// A raw call keeps its scheduler slot (P), and the runtime cannot take it away. Three rules keep that harmless:
//   - The wait is epoll_pwait, which the kernel never restarts after a signal. The runtime's preemption signal ends it
//     with EINTR, and then Gosched lets a garbage collection or another goroutine in. All other calls return at once.
//   - The loop calls Gosched now and then under load too: it may have no other preemption point.
//   - A thread without packets for idleAfter waits by an ordinary system call, which gives the P away; one without
//     sockets waits on a channel.
const (
	idleAfter   = 20 * time.Millisecond // how long a raw wait lasts
	idleWait    = lingers               // how long an ordinary one does
	batch       = 64                    // events per wait
	yieldAfter  = 512                   // events between two Gosched under load
	maxDatagram = 8192                  // longer ones are dropped: nothing in RTP over UDP comes near
	reapSoon    = 256                   // closed sockets that are worth a wake-up
)

// plug is what the raw engine keeps in a socket.
type plug struct {
	fd     int32
	poller *poller
}

const haveRaw = true

// rawEngine spreads sockets over its pollers.
type rawEngine struct {
	clock   func() time.Duration
	pollers []*poller
	table   fdTable
	mu      sync.Mutex
	started int
	wg      sync.WaitGroup
}

// newRawEngine makes the engine; threads start when the first sockets come.
func newRawEngine(threads int, clock func() time.Duration) (engine, error) {
	return &rawEngine{clock: clock, pollers: make([]*poller, threads)}, nil
}

func (e *rawEngine) threads() int { return len(e.pollers) }

// open puts the sockets of a component on the poller of its other side, so that one thread owns both.
func (e *rawEngine) open(rtp, rtcp *socket) openResult {
	p := rtp.other.Load().plug.poller
	if p == nil {
		if p = e.choose(); p == nil {
			return noSockets
		}
	}
	fd, result := bindUDP(rtp.local)
	if result != opened {
		return result
	}
	if rtcp != nil {
		control, result := bindUDP(rtcp.local)
		if result != opened {
			rawClose(fd)
			return result
		}
		rtcp.plug = plug{fd: control, poller: p}
	}
	rtp.plug = plug{fd: fd, poller: p}
	p.sockets.Add(1)
	if rtcp != nil {
		p.sockets.Add(1)
	}
	for _, s := range [...]*socket{rtp, rtcp} {
		if s != nil && !p.watch(s) {
			e.close(rtp)
			if rtcp != nil {
				e.close(rtcp)
			}
			return noSockets
		}
	}
	p.unpark()
	return opened
}

// watch makes the poller read the socket.
func (p *poller) watch(s *socket) bool {
	p.engine.table.set(s.plug.fd, s) // before the kernel can report it
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: s.plug.fd}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.epoll), syscall.EPOLL_CTL_ADD, uintptr(s.plug.fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	return errno == 0
}

// choose returns the poller with the fewest sockets, starting those that do not run yet.
func (e *rawEngine) choose() *poller {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started < len(e.pollers) {
		p, err := newPoller(e)
		if err == nil {
			e.pollers[e.started] = p
			e.started++
			e.wg.Go(p.run) // ends at stop
			return p
		}
	}
	var least *poller
	for _, p := range e.pollers[:e.started] {
		if least == nil || p.sockets.Load() < least.sockets.Load() {
			least = p
		}
	}
	return least
}

func (e *rawEngine) close(s *socket) {
	p := s.plug.poller
	if p == nil || s.closed.Swap(true) {
		return
	}
	p.mu.Lock()
	p.dead = append(p.dead, s)
	many := len(p.dead) == reapSoon
	p.mu.Unlock()
	p.dirty.Store(true)
	if many {
		p.nudge()
	}
}

func (e *rawEngine) stop() {
	e.mu.Lock()
	running := e.pollers[:e.started]
	e.mu.Unlock()
	for _, p := range running {
		p.stopping.Store(true)
		p.nudge()
		p.unpark()
	}
	e.wg.Wait()
}

// poller is one thread: an epoll set and the loop that serves it. Only the loop closes descriptors, between two
// waits. So a number is never given to a new socket while an event for the old one may still be on its way, and no
// packet of a new call is ever read in the name of an old one.
type poller struct {
	engine   *rawEngine
	epoll    int32
	alarm    int32 // eventfd, to end a wait
	sockets  atomic.Int32
	stopping atomic.Bool
	wake     chan struct{} // has room for one

	dirty atomic.Bool
	mu    sync.Mutex
	dead  []*socket // closed by their calls, to be freed

	events [batch]syscall.EpollEvent
	packet [maxDatagram]byte
	source sockaddr
}

func newPoller(e *rawEngine) (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	alarm, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if errno != 0 {
		rawClose(int32(epoll))
		return nil, errno
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(alarm)}
	if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, int(alarm), &event); err != nil {
		rawClose(int32(alarm))
		rawClose(int32(epoll))
		return nil, err
	}
	return &poller{engine: e, epoll: int32(epoll), alarm: int32(alarm), wake: make(chan struct{}, 1)}, nil
}

// nudge ends the wait the poller may be in.
func (p *poller) nudge() {
	one := uint64(1)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.alarm), uintptr(unsafe.Pointer(&one)), 8)
}

// unpark wakes the poller if it waits for its first socket.
func (p *poller) unpark() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run serves packets until stop.
func (p *poller) run() {
	runtime.LockOSThread() // the thread ends with the loop
	var busy time.Duration // when packets came last
	idle, served := false, 0
	for {
		if p.dirty.Swap(false) {
			p.reap()
		}
		if p.sockets.Load() == 0 {
			if p.stopping.Load() {
				break
			}
			<-p.wake
			continue
		}
		n := p.wait(idle)
		now := p.engine.clock()
		if n == 0 {
			idle = now-busy > idleAfter
			runtime.Gosched()
			continue
		}
		idle, busy = false, now
		for i := range p.events[:n] {
			p.serve(p.events[i].Fd, now)
		}
		if served += n; served >= yieldAfter {
			served = 0
			runtime.Gosched()
		}
	}
	rawClose(p.alarm)
	rawClose(p.epoll)
}

// wait returns the number of events; 0 when it ended without one, or was interrupted.
func (p *poller) wait(idle bool) int {
	if idle {
		n, err := syscall.EpollWait(int(p.epoll), p.events[:], int(idleWait/time.Millisecond))
		if err != nil {
			return 0
		}
		return n
	}
	n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(&p.events[0])), batch, uintptr(idleAfter/time.Millisecond), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// serve receives one packet and sends it on. More that wait on the same socket are reported again by the next wait.
func (p *poller) serve(fd int32, now time.Duration) {
	s := p.engine.table.get(fd)
	if s == nil {
		if fd == p.alarm {
			var count uint64
			syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&count)), 8)
		}
		return
	}
	p.source.length = uint32(len(p.source.bytes))
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p.packet[0])), maxDatagram,
		syscall.MSG_DONTWAIT|syscall.MSG_TRUNC, uintptr(unsafe.Pointer(&p.source.bytes)), uintptr(unsafe.Pointer(&p.source.length)))
	if errno != 0 {
		return // EAGAIN: a datagram with a bad checksum; others: an error of an earlier packet, now cleared
	}
	if n > maxDatagram {
		s.discard(Malformed)
		return
	}
	out := s.take(p.packet[:n], p.source.addrPort(), now)
	if out == nil {
		return
	}
	_, _, errno = syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(s.other.Load().plug.fd), uintptr(unsafe.Pointer(&p.packet[0])), n,
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&out.wire.bytes)), uintptr(out.wire.length))
	if errno != 0 {
		s.drop(p.packet[:n], SendFailed)
	}
}

// reap frees the sockets that calls have closed.
func (p *poller) reap() {
	p.mu.Lock()
	dead := p.dead
	p.dead = nil
	p.mu.Unlock()
	for _, s := range dead {
		p.engine.table.set(s.plug.fd, nil)
		rawClose(s.plug.fd)
	}
	p.sockets.Add(int32(-len(dead)))
}

// bindUDP opens and binds a socket.
func bindUDP(local netip.AddrPort) (int32, openResult) {
	family := syscall.AF_INET
	if local.Addr().Is6() {
		family = syscall.AF_INET6
	}
	fd, _, errno := syscall.RawSyscall(syscall.SYS_SOCKET, uintptr(family), syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if errno != 0 {
		return 0, noSockets
	}
	if family == syscall.AF_INET6 {
		setOption(fd, syscall.IPPROTO_IPV6, syscall.IPV6_V6ONLY, 1)
	}
	setOption(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, receiveRoom)
	address := sockaddrOf(local)
	if _, _, errno = syscall.RawSyscall(syscall.SYS_BIND, fd, uintptr(unsafe.Pointer(&address.bytes)), uintptr(address.length)); errno != 0 {
		rawClose(int32(fd))
		switch errno {
		case syscall.EADDRINUSE:
			return 0, portTaken
		case syscall.EADDRNOTAVAIL:
			return 0, noAddress
		}
		return 0, noSockets
	}
	if fd >= maxDescriptors {
		rawClose(int32(fd))
		return 0, noSockets
	}
	return int32(fd), opened
}

func setOption(fd uintptr, level, option int, value int32) {
	syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), 4, 0)
}

func rawClose(fd int32) { syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }

// maxDescriptors bounds the table; more than a million open files is another machine.
const maxDescriptors = 1 << 20

// fdTable finds the socket of a descriptor. Calls fill it, pollers read and clear it.
type fdTable struct {
	mu     sync.Mutex
	chunks [maxDescriptors / 1024]atomic.Pointer[fdChunk]
}

type fdChunk [1024]atomic.Pointer[socket]

func (t *fdTable) get(fd int32) *socket {
	chunk := t.chunks[fd>>10].Load()
	if chunk == nil {
		return nil
	}
	return chunk[fd&1023].Load()
}

func (t *fdTable) set(fd int32, s *socket) {
	chunk := &t.chunks[fd>>10]
	if chunk.Load() == nil {
		t.mu.Lock()
		if chunk.Load() == nil {
			chunk.Store(new(fdChunk))
		}
		t.mu.Unlock()
	}
	chunk.Load()[fd&1023].Store(s)
}
