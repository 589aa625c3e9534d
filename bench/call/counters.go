package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// countersWork reports whether this machine counts instructions: many virtual ones do not.
func countersWork(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-e", "instructions:u", "true").CombinedOutput()
	if err != nil {
		return false
	}
	return instructions(string(out), "instructions:u") > 0
}

// countInstructions starts counting in the process tree; the returned function ends it. Both counts are 0 without counters.
func (b *bench) countInstructions(ctx context.Context, under *process) (end func() (user, kernel int64)) {
	none := func() (int64, int64) { return 0, 0 }
	if !b.counters {
		return none
	}
	var pids []string
	for _, pid := range tree(under.pid) {
		pids = append(pids, strconv.Itoa(pid))
	}
	file := filepath.Join(b.dir, "perf.csv")
	perf := exec.CommandContext(ctx, "perf", "stat", "-x", ",", "-o", file, "-e", "instructions:u,instructions:k", "-p", strings.Join(pids, ","))
	if err := perf.Start(); err != nil {
		return none
	}
	time.Sleep(200 * time.Millisecond) // perf has attached; it does not say so
	return func() (int64, int64) {
		perf.Process.Signal(syscall.SIGINT)
		perf.Wait()
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, 0
		}
		return instructions(string(text), "instructions:u"), instructions(string(text), "instructions:k")
	}
}

// instructions takes one event's count from perf's comma-separated output; 0 when it was not counted.
func instructions(text, event string) int64 {
	for line := range strings.Lines(text) {
		fields := strings.Split(line, ",")
		if len(fields) > 2 && strings.TrimSpace(fields[2]) == event {
			n, _ := strconv.ParseInt(strings.TrimSpace(fields[0]), 10, 64)
			return n
		}
	}
	return 0
}
