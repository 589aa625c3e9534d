//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

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

// resident is the resident memory of a process, in bytes.
func resident(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, fmt.Errorf("/proc/%d/statm says %q", pid, text)
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}
