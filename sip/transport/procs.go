package transport

import (
	"runtime"
	"sync"
)

// procs guards the process-wide number between reading and setting it.
var procs sync.Mutex

// ReserveProcs raises GOMAXPROCS by n and returns the new value. A thread blocked in a raw receive keeps its P, so whoever starts
// n of them (one per shard here, one per relay thread in media) calls it first; a negative n gives them back. From the first call on
// the runtime no longer follows changes of the CPU limit of its control group.
func ReserveProcs(n int) int {
	procs.Lock()
	defer procs.Unlock()
	if n != 0 {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	}
	return runtime.GOMAXPROCS(0)
}
