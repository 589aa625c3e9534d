//go:build linux && (amd64 || arm64)

// Relay measures what the media relay costs: CPU time and instructions per packet, and the delay it adds.
//
//	go run ./bench/relay -calls 1000 -for 10s
//
// It starts itself a second time as the relay, pins that to one CPU and the load to another, opens the calls, and
// sends G.711 at 20 ms both ways on each. CPU time is the scheduler's run time of the relay process; instructions
// come from perf where it is installed. Delays include the load's own reading, so compare them, do not quote them.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"trunkline/media"
)

func main() {
	serve := flag.Bool("serve", false, "be the relay: read pairs of addresses, print pairs of ports")
	cpu := flag.Int("cpu", -1, "CPU to pin to")
	calls := flag.Int("calls", 1000, "calls at the same time, each 100 packets/s")
	length := flag.Duration("for", 10*time.Second, "how long to measure, after a second of warming up")
	relayCPU := flag.Int("relay-cpu", 1, "CPU of the relay")
	loadCPU := flag.Int("load-cpu", 0, "CPU of the load")
	engine := flag.String("engine", "raw", "raw or portable")
	flag.Parse()

	var err error
	if *serve {
		err = relay(*cpu, *engine)
	} else {
		err = measure(*calls, *length, *relayCPU, *loadCPU, *engine)
	}
	if err != nil {
		log.Fatal(err)
	}
}

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
	var opening time.Duration
	bridges := 0
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		if input.Text() == "stats" {
			fmt.Printf("%d %d\n", opening.Nanoseconds()/int64(bridges), memory())
			continue
		}
		caller, callee, _ := strings.Cut(input.Text(), " ")
		offer, answer := description(netip.MustParseAddrPort(caller)), description(netip.MustParseAddrPort(callee))
		start := time.Now()
		b := r.Bridge(here, here)
		toCallee, err := b.Offer(media.Caller, offer, nil)
		if err != nil {
			return err
		}
		toCaller, err := b.Answer(media.Callee, answer, nil)
		if err != nil {
			return err
		}
		opening += time.Since(start)
		bridges++
		fmt.Printf("%d %d\n", portIn(toCaller), portIn(toCallee))
	}
	return input.Err()
}

func memory() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
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

// measure runs the load and prints one line of figures.
func measure(calls int, length time.Duration, relayCPU, loadCPU int, engine string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, "-serve", "-cpu", strconv.Itoa(relayCPU), "-engine", engine)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		return err
	}
	out, err := child.StdoutPipe()
	if err != nil {
		return err
	}
	if err := child.Start(); err != nil {
		return err
	}
	defer child.Wait()
	defer in.Close()
	answers := bufio.NewScanner(out)

	pin(loadCPU)
	l, err := newLoad(calls, func(caller, callee netip.AddrPort) (toCaller, toCallee int, err error) {
		if _, err := fmt.Fprintln(in, caller, callee); err != nil {
			return 0, 0, err
		}
		if !answers.Scan() {
			return 0, 0, errors.New("the relay gave up")
		}
		_, err = fmt.Sscan(answers.Text(), &toCaller, &toCallee)
		return toCaller, toCallee, err
	})
	if err != nil {
		return err
	}
	l.run(time.Second)
	perf := startPerf(child.Process.Pid)
	cpuBefore := cpuTime(child.Process.Pid)
	sent, received := l.sent, l.received
	l.delays = l.delays[:0]
	l.run(length)
	cpu := cpuTime(child.Process.Pid) - cpuBefore
	instructions := perf.stop()
	sent, received = l.sent-sent, l.received-received

	fmt.Fprintln(in, "stats")
	var openNs, memory int
	if answers.Scan() {
		fmt.Sscan(answers.Text(), &openNs, &memory)
	}
	slices.Sort(l.delays)
	fmt.Printf("%s: %d calls, %d packets sent, %.3f %% received, %.2f µs CPU per packet", engine, calls, sent,
		100*float64(received)/float64(sent), cpu.Seconds()*1e6/float64(received))
	if instructions > 0 {
		fmt.Printf(", %.1f k instructions per packet", float64(instructions)/float64(received)/1000)
	}
	fmt.Printf(", delay p50 %v p99 %v, open %.1f µs per call, %.1f KiB heap and stack per call\n",
		l.delays[len(l.delays)/2], l.delays[len(l.delays)*99/100], float64(openNs)/1000, float64(memory)/1024/float64(calls))
	return nil
}

// cpuTime sums the scheduler's run time of a process' threads.
func cpuTime(pid int) (total time.Duration) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			first, _, _ := strings.Cut(string(text), " ")
			ns, _ := strconv.ParseInt(first, 10, 64)
			total += time.Duration(ns)
		}
	}
	return total
}

// perfCount counts the instructions of a process, if perf is there.
type perfCount struct {
	command *exec.Cmd
	output  io.Reader
}

func startPerf(pid int) *perfCount {
	command := exec.Command("perf", "stat", "-x,", "-e", "instructions", "-p", strconv.Itoa(pid))
	output, err := command.StderrPipe()
	if err != nil || command.Start() != nil {
		return nil
	}
	time.Sleep(200 * time.Millisecond) // perf attaches; there is nothing to wait for
	return &perfCount{command, output}
}

func (p *perfCount) stop() uint64 {
	if p == nil {
		return 0
	}
	p.command.Process.Signal(syscall.SIGINT)
	text, _ := io.ReadAll(p.output)
	p.command.Wait()
	first, _, _ := strings.Cut(string(text), ",")
	count, _ := strconv.ParseUint(strings.TrimSpace(first), 10, 64)
	return count
}

// load is the traffic of all calls, from one thread.
type load struct {
	epoll          int
	sockets        []int
	packets        [][172]byte
	sent, received int
	delays         []time.Duration
	start          time.Time
	next           int // tick
}

const ticksPerFrame = 20 // a tick is 1 ms, a frame of G.711 20 ms

func newLoad(calls int, open func(caller, callee netip.AddrPort) (int, int, error)) (*load, error) {
	epoll, err := syscall.EpollCreate1(0)
	if err != nil {
		return nil, err
	}
	l := &load{epoll: epoll, packets: make([][172]byte, 2*calls)}
	for range calls {
		var pair [2]int
		var at [2]netip.AddrPort
		for i := range pair {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_NONBLOCK, 0)
			if err != nil {
				return nil, err
			}
			if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
				return nil, err
			}
			name, err := syscall.Getsockname(fd)
			if err != nil {
				return nil, err
			}
			v4 := name.(*syscall.SockaddrInet4)
			pair[i], at[i] = fd, netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), uint16(v4.Port))
			event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)}
			if err := syscall.EpollCtl(epoll, syscall.EPOLL_CTL_ADD, fd, &event); err != nil {
				return nil, err
			}
		}
		toCaller, toCallee, err := open(at[0], at[1])
		if err != nil {
			return nil, err
		}
		for i, port := range []int{toCaller, toCallee} {
			if err := syscall.Connect(pair[i], &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
				return nil, err
			}
		}
		l.sockets = append(l.sockets, pair[0], pair[1])
	}
	for i := range l.packets {
		l.packets[i][0] = 0x80
		binary.BigEndian.PutUint32(l.packets[i][8:], uint32(i+1))
	}
	l.start = time.Now()
	return l, nil
}

// run sends and receives for a while, spinning, so that reading adds no delay of its own.
func (l *load) run(length time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var events [256]syscall.EpollEvent
	var buffer [2048]byte
	end := time.Now().Add(length)
	l.next = int(time.Since(l.start) / time.Millisecond)
	for {
		now := time.Now()
		if now.After(end.Add(50 * time.Millisecond)) {
			return
		}
		if tick := int(now.Sub(l.start) / time.Millisecond); now.Before(end) && l.next <= tick {
			l.speak(l.next)
			l.next++
		}
		n, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
		if errno != 0 {
			runtime.Gosched()
			continue
		}
		for _, event := range events[:n] {
			size, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(event.Fd), uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)), 0, 0, 0)
			if errno == 0 && size == 172 {
				l.received++
				l.delays = append(l.delays, time.Since(l.start)-time.Duration(binary.BigEndian.Uint64(buffer[12:])))
			}
		}
	}
}

// speak sends the packets of one tick.
func (l *load) speak(tick int) {
	for i := tick % ticksPerFrame; i < len(l.sockets); i += ticksPerFrame {
		packet := &l.packets[i]
		binary.BigEndian.PutUint16(packet[2:], binary.BigEndian.Uint16(packet[2:])+1)
		binary.BigEndian.PutUint32(packet[4:], binary.BigEndian.Uint32(packet[4:])+160)
		binary.BigEndian.PutUint64(packet[12:], uint64(time.Since(l.start)))
		if _, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(l.sockets[i]), uintptr(unsafe.Pointer(packet)), 172, 0, 0, 0); errno == 0 {
			l.sent++
		}
	}
}

// pin binds the whole process, started so far, to a CPU.
func pin(cpu int) {
	if cpu < 0 {
		return
	}
	var set [16]uint64
	set[cpu/64] = 1 << (cpu % 64)
	tasks, _ := filepath.Glob("/proc/self/task/*")
	for _, task := range tasks {
		id, _ := strconv.Atoi(filepath.Base(task))
		syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(id), unsafe.Sizeof(set), uintptr(unsafe.Pointer(&set)))
	}
}
