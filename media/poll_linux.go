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

// The raw engine: a few pollers, each with an epoll set and a thread to itself, that receive and send by raw system calls. A call of the
// runtime's own (entersyscall, netpoller) costs more than the work on a packet; docs/decisions/0003-media-relay.md has the figures.
//
// A raw call keeps its scheduler slot (P), and the runtime cannot take it away. Three rules keep that harmless:
//   - The wait is epoll_pwait, which the kernel never restarts after a signal. The runtime's preemption signal ends it
//     with EINTR, and then Gosched lets a garbage collection or another goroutine in. All other calls return at once.
//   - The loop calls Gosched now and then under load too: it may have no other preemption point.
//   - A poller without packets for idleAfter waits by an ordinary system call, which gives the P away; one without
//     jacks waits on a channel.
//
// A jack whose source is locked and steady is connected to it: sending then needs no route look-up, and the kernel
// drops strangers before they cost us anything.
const (
	idleAfter  = 20 * time.Millisecond  // how long a raw wait lasts
	idleWait   = 100 * time.Millisecond // how long an ordinary one does
	trimAfter  = time.Second            // between two looks for jacks nobody wants
	batch      = 64                     // events per wait
	yieldAfter = 512                    // events between two Gosched under load

)

const haveRaw = true

// wire is what the raw engine keeps in a jack. fd and poller never change while it is open.
type wire struct {
	fd        int32
	poller    *poller
	connected atomic.Bool
	joined    *route // the route whose source the jack is connected to; the poller's own
}

// rawEngine is a lane for each of its pollers.
type rawEngine struct {
	clock   func() time.Duration
	trim    func(lane int)
	stray   func()
	table   fdTable
	wg      sync.WaitGroup
	mu      sync.Mutex
	pollers []*poller // nil = not started yet
}

func newRawEngine(threads int, clock func() time.Duration, trim func(lane int), stray func()) (engine, error) {
	return &rawEngine{clock: clock, trim: trim, stray: stray, pollers: make([]*poller, threads)}, nil
}

func (e *rawEngine) lanes() int   { return len(e.pollers) }
func (e *rawEngine) threads() int { return len(e.pollers) }
func (e *rawEngine) keeps() bool  { return true }

func (e *rawEngine) open(lane int, p *pair) openResult {
	poller, result := e.poller(lane)
	if result != opened {
		return result
	}
	rtp, result := bindUDP(p.rtp.local)
	if result != opened {
		return result
	}
	rtcp, result := bindUDP(p.rtcp.local)
	if result != opened {
		rawClose(rtp)
		return result
	}
	p.rtp.wire = wire{fd: rtp, poller: poller}
	p.rtcp.wire = wire{fd: rtcp, poller: poller}
	poller.jacks.Add(2)
	if !poller.watch(&p.rtp) || !poller.watch(&p.rtcp) {
		poller.bury(p)
		return noSockets
	}
	poller.unpark()
	return opened
}

// poller returns the lane's poller and starts it if it is the first time.
func (e *rawEngine) poller(lane int) (*poller, openResult) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pollers[lane] == nil {
		p, err := newPoller(e, lane)
		if err != nil {
			return nil, noSockets
		}
		e.pollers[lane] = p
		e.wg.Go(p.run) // ends at stop
	}
	return e.pollers[lane], opened
}

// close is called by the lane's poller only, between two waits. So a descriptor is never given to a new socket while
// an event for the old one may still be on its way, and no packet is ever read in the name of another call.
func (e *rawEngine) close(p *pair) {
	for _, j := range [...]*jack{&p.rtp, &p.rtcp} {
		e.table.set(j.wire.fd, nil)
		rawClose(j.wire.fd)
		j.wire.poller.jacks.Add(-1)
	}
}

func (e *rawEngine) stop() {
	e.mu.Lock()
	for _, p := range e.pollers {
		if p != nil {
			p.stopping.Store(true)
			p.nudge()
			p.unpark()
		}
	}
	e.mu.Unlock()
	e.wg.Wait()
	e.table.clear(rawClose)
}

// loosen undoes the connection of a jack. The call's goroutine comes here after it published a route without a source,
// or took the plug out; the poller after it connected and finds that this has happened meanwhile.
func (j *jack) loosen() {
	if j.wire.connected.Swap(false) {
		var unspecified sockaddr // AF_UNSPEC is 0
		syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(j.wire.fd), uintptr(unsafe.Pointer(&unspecified.bytes)), syscall.SizeofSockaddrInet4)
	}
}

// poller is one thread's work: an epoll set and the loop that serves it.
type poller struct {
	engine   *rawEngine
	lane     int
	epoll    int32
	alarm    int32 // eventfd, to end a wait
	jacks    atomic.Int32
	stopping atomic.Bool
	wake     chan struct{} // has room for one

	mu     sync.Mutex
	graves []*pair // opened by half, to be closed

	events [batch]syscall.EpollEvent
	packet [maxDatagram + sealRoom]byte
	source sockaddr
}

func newPoller(e *rawEngine, lane int) (*poller, error) {
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
	return &poller{engine: e, lane: lane, epoll: int32(epoll), alarm: int32(alarm), wake: make(chan struct{}, 1)}, nil
}

// watch makes the poller read the jack.
func (p *poller) watch(j *jack) bool {
	p.engine.table.set(j.wire.fd, j) // before the kernel can report it
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: j.wire.fd}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_CTL, uintptr(p.epoll), syscall.EPOLL_CTL_ADD, uintptr(j.wire.fd), uintptr(unsafe.Pointer(&event)), 0, 0)
	return errno == 0
}

// bury leaves a pair to the poller to be closed.
func (p *poller) bury(dead *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.graves = append(p.graves, dead)
}

// nudge ends the wait the poller may be in.
func (p *poller) nudge() {
	one := uint64(1)
	syscall.RawSyscall(syscall.SYS_WRITE, uintptr(p.alarm), uintptr(unsafe.Pointer(&one)), 8)
}

// unpark wakes the poller if it waits for its first jack.
func (p *poller) unpark() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// run serves packets until stop. It is not locked to its thread: that would make each Gosched ten times dearer and
// bring nothing, since a goroutine in raw calls leaves its thread at no other time.
func (p *poller) run() {
	var busy, trimmed time.Duration // when packets came last, when jacks were trimmed last
	idle, served := false, 0
	for !p.stopping.Load() {
		if p.jacks.Load() == 0 {
			<-p.wake
			continue
		}
		n := p.wait(idle)
		now := p.engine.clock()
		for i := range p.events[:n] {
			p.serve(p.events[i].Fd, now)
		}
		if n > 0 {
			idle, busy = false, now
		} else {
			idle = now-busy > idleAfter
		}
		if served += n; n == 0 || served >= yieldAfter {
			served = 0
			runtime.Gosched()
		}
		if now-trimmed > trimAfter {
			trimmed = now
			p.reap()
		}
	}
	rawClose(p.alarm)
	rawClose(p.epoll)
}

// reap closes the jacks nobody wants.
func (p *poller) reap() {
	p.mu.Lock()
	graves := p.graves
	p.graves = nil
	p.mu.Unlock()
	for _, dead := range graves {
		p.engine.close(dead)
	}
	p.engine.trim(p.lane)
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

// serve receives one packet and sends it on. More that wait on the same jack are reported again by the next wait.
func (p *poller) serve(fd int32, now time.Duration) {
	j := p.engine.table.get(fd)
	if j == nil {
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
		return // a datagram with a bad checksum is gone (EAGAIN), or the error of an earlier packet is now cleared
	}
	user := j.user.Load()
	if user == nil {
		p.engine.stray()
		return
	}
	if n > maxDatagram {
		user.discard(Malformed)
		return
	}
	out, packet := user.take(p.packet[:n], p.source.addrPort(), now)
	if out == nil {
		return
	}
	if !send(user.other.Load().jack, out, packet) {
		user.drop(packet, SendFailed)
	}
	p.settleDown(j, user)
}

// send sends a packet.
func send(j *jack, to *route, packet []byte) bool {
	if j.wire.joined == to {
		switch sendTo(j.wire.fd, packet, nil) {
		case 0:
			return true
		case syscall.EDESTADDRREQ: // loosened meanwhile
			j.wire.joined = nil
		case syscall.ECONNREFUSED: // what an earlier packet met; this one was not sent for it
		default:
			return false
		}
	}
	return sendTo(j.wire.fd, packet, &to.wire) == 0
}

func sendTo(fd int32, packet []byte, to *sockaddr) syscall.Errno {
	var address, length uintptr
	if to != nil {
		address, length = uintptr(unsafe.Pointer(&to.bytes)), uintptr(to.length)
	}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)),
		syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, address, length)
	return errno
}

// settleDown connects the jack once its source has been steady.
func (p *poller) settleDown(j *jack, user *plug) {
	w := &j.wire
	r := user.route.Load()
	if w.joined == r {
		return
	}
	if user.streak++; user.streak < steadyElse && (r.trust != described || user.streak < steady) {
		return
	}
	user.streak = 0
	if r.dest != r.source || !r.final() {
		return // not learned yet, or on hold, or one whom the party may still put out: the kernel must not drop what it sends
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CONNECT, uintptr(w.fd), uintptr(unsafe.Pointer(&r.wire.bytes)), uintptr(r.wire.length)); errno != 0 {
		return
	}
	w.joined = r
	w.connected.Store(true)
	if j.user.Load() != user || user.route.Load() != r {
		w.joined = nil
		j.loosen()
	}
}

// write sends by the address, for whether the jack is connected is the poller's to know.
func (e *rawEngine) write(j *jack, to *route, packet []byte) bool {
	return sendTo(j.wire.fd, packet, &to.wire) == 0
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
	if fd >= maxDescriptors {
		rawClose(int32(fd))
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
	return int32(fd), opened
}

func setOption(fd uintptr, level, option int, value int32) {
	syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, fd, uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&value)), 4, 0)
}

func rawClose(fd int32) { syscall.RawSyscall(syscall.SYS_CLOSE, uintptr(fd), 0, 0) }

// maxDescriptors bounds the table; more than a million open files is another machine.
const maxDescriptors = 1 << 20

// fdTable finds the jack of a descriptor. Calls fill it, pollers read and clear it.
type fdTable struct {
	mu     sync.Mutex
	chunks [maxDescriptors / 1024]atomic.Pointer[fdChunk]
}

type fdChunk [1024]atomic.Pointer[jack]

func (t *fdTable) get(fd int32) *jack {
	chunk := t.chunks[fd>>10].Load()
	if chunk == nil {
		return nil
	}
	return chunk[fd&1023].Load()
}

func (t *fdTable) set(fd int32, j *jack) {
	chunk := &t.chunks[fd>>10]
	if chunk.Load() == nil {
		t.mu.Lock()
		if chunk.Load() == nil {
			chunk.Store(new(fdChunk))
		}
		t.mu.Unlock()
	}
	chunk.Load()[fd&1023].Store(j)
}

// clear empties the table and calls done with each descriptor that was in it.
func (t *fdTable) clear(done func(fd int32)) {
	for i := range t.chunks {
		chunk := t.chunks[i].Load()
		if chunk == nil {
			continue
		}
		for k := range chunk {
			if chunk[k].Swap(nil) != nil {
				done(int32(i<<10 | k))
			}
		}
	}
}
