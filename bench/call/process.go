package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a child pinned to one CPU, with whatever it forks.
type process struct {
	cmd  *exec.Cmd
	pid  int
	log  string        // file with its output
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// spawn starts a program on one CPU. Its output goes to a file of the benchmark's folder.
func (b *bench) spawn(ctx context.Context, cpu int, name string, args ...string) (*process, error) {
	log, err := os.CreateTemp(b.dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(cpu)}, args...)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, log, log
	// An interrupt of the terminal is ours to handle: the children are stopped in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, pid: cmd.Process.Pid, log: log.Name(), done: make(chan struct{})}
	go func() { // ends with the child
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, waits five seconds, and kills what is left of its tree, each by its id.
func (p *process) stop() {
	pids := tree(p.pid)
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
	for _, pid := range pids {
		if pid != p.pid && parent(pid) >= 0 {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// wait returns how the process ended, and stops it at the limit.
func (p *process) wait(limit time.Duration) error {
	select {
	case <-p.done:
		return p.err
	case <-time.After(limit):
		p.stop()
		return fmt.Errorf("still running after %s", limit)
	}
}

// tail returns the last lines of the process's output.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// cpuTime is the scheduler's run time of every thread of the process tree that is alive.
func (p *process) cpuTime() time.Duration {
	var sum time.Duration
	for _, pid := range tree(p.pid) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, name := range threads {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // the thread has just ended
			}
			run, _, _ := bytes.Cut(text, []byte(" "))
			ns, err := strconv.ParseInt(string(run), 10, 64)
			if err == nil {
				sum += time.Duration(ns)
			}
		}
	}
	return sum
}

// memory is the proportional set size of the process tree in bytes: shared pages count once.
func (p *process) memory() int64 {
	var sum int64
	for _, pid := range tree(p.pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
				sum += kib << 10
			}
		}
	}
	return sum
}

// tree lists pid and its descendants.
func tree(pid int) []int {
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return []int{pid}
	}
	for _, entry := range entries {
		if child, err := strconv.Atoi(entry.Name()); err == nil {
			if above := parent(child); above > 0 {
				children[above] = append(children[above], child)
			}
		}
	}
	pids := []int{pid}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}

// parent returns the parent's id, or -1 if the process is gone.
func parent(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return -1
	}
	// The name in parentheses may hold spaces; the state and the parent follow it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return -1
	}
	above, err := strconv.Atoi(fields[1])
	if err != nil {
		return -1
	}
	return above
}

// pinSelf moves every thread of this program to one CPU; threads started later inherit it.
func pinSelf(cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			continue
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}

// raiseSocketBuffers lifts the kernel's limits for the length of the run, where that is permitted:
// one dropped datagram costs a call, because SIPp's callee does not repeat a lost 200.
func raiseSocketBuffers(size int) (restore func()) {
	var undo []func()
	for _, name := range []string{"/proc/sys/net/core/rmem_max", "/proc/sys/net/core/wmem_max"} {
		before, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if current, err := strconv.Atoi(strings.TrimSpace(string(before))); err != nil || current >= size {
			continue
		}
		if err := os.WriteFile(name, []byte(strconv.Itoa(size)), 0); err != nil {
			progress("socket buffers stay at %s: %v", strings.TrimSpace(string(before)), err)
			continue
		}
		undo = append(undo, func() { os.WriteFile(name, before, 0) })
	}
	return func() {
		for _, f := range undo {
			f()
		}
	}
}

// udpBound reports whether some socket is bound to exactly this IPv4 address.
func udpBound(address string) bool { return len(udpSockets(address)) > 0 }

// datagramsLost counts datagrams the kernel dropped at the sockets bound to these addresses, since they were opened.
func datagramsLost(addresses ...string) int {
	sum := 0
	for _, address := range addresses {
		for _, fields := range udpSockets(address) {
			lost, _ := strconv.Atoi(fields[len(fields)-1])
			sum += lost
		}
	}
	return sum
}

// udpSockets returns the fields of the kernel's line for each socket bound to address; the last one counts drops.
func udpSockets(address string) (found [][]string) {
	want, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil
	}
	ip := want.Addr().As4()
	slices.Reverse(ip[:])
	entry := fmt.Sprintf("%s:%04X", strings.ToUpper(hex.EncodeToString(ip[:])), want.Port())
	text, err := os.ReadFile("/proc/net/udp")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == entry {
			found = append(found, fields)
		}
	}
	return found
}
