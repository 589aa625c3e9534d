package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// gcPercent lets the heap grow to five times what is alive before it is collected. What is alive is small, since finished
// transactions linger as plain bytes, and collections were a quarter of the cost of a call at the default of 100.
const gcPercent = 400

// memoryShare is how much of the memory this process may use before the collector works harder than gcPercent asks.
const memoryShare = 0.8

// tuneCollector sets the garbage collector's goals unless GOGC or GOMEMLIMIT say otherwise, and returns the memory limit
// in bytes it has set; 0: none. outside is how many bytes the process takes that the collector does not know of; it is left
// a quarter of its share in any case.
func tuneCollector(outside int64) (limit int64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") != "" {
		return 0
	}
	available := availableMemory("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup")
	if available <= 0 {
		return 0
	}
	share := int64(float64(available) * memoryShare)
	limit = max(share-outside, share/4)
	debug.SetMemoryLimit(limit)
	return limit
}

// availableMemory is the smallest of the machine's memory and the limits of the control group and those above it,
// in bytes; 0 when none of them can be read, as outside Linux.
func availableMemory(meminfo, cgroup, mount string) int64 {
	smallest := int64(math.MaxInt64)
	if text, err := os.ReadFile(meminfo); err == nil {
		for line := range strings.Lines(string(text)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil {
				smallest = min(smallest, kib<<10)
			}
		}
	}
	for _, file := range groupLimitFiles(cgroup, mount) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		// Version 2 says "max" where there is no limit, version 1 a number near 2^63.
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			smallest = min(smallest, n)
		}
	}
	if smallest == math.MaxInt64 {
		return 0
	}
	return smallest
}

// groupLimitFiles names the files that may limit this process's memory, in control groups of version 2 and 1.
func groupLimitFiles(cgroup, mount string) []string {
	files := []string{mount + "/memory.max", mount + "/memory/memory.limit_in_bytes"}
	text, err := os.ReadFile(cgroup)
	if err != nil {
		return files
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		for path := parts[2]; path != "" && path != "/"; path = path[:strings.LastIndexByte(path, '/')] {
			switch parts[1] {
			case "":
				files = append(files, mount+path+"/memory.max")
			case "memory":
				files = append(files, mount+"/memory"+path+"/memory.limit_in_bytes")
			}
		}
	}
	return files
}
