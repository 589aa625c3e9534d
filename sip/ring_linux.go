package sip

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// ringMemory returns size bytes of zeros for a trace, released when t is no longer reachable. They lie outside the heap, which
// the collector lets grow to several times what is alive in it: a ring there would make it that much larger. The first
// populatedRing bytes are taken from the kernel at once, in huge pages where it has them, so that no call pays for page faults.
func ringMemory(t *trace, size int) []byte {
	ring, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, size)
	}
	// Both are wishes: a kernel that does not know them serves pages as they are written.
	_ = unix.Madvise(ring, unix.MADV_HUGEPAGE)
	_ = unix.Madvise(ring[:min(size, populatedRing)], unix.MADV_POPULATE_WRITE)
	runtime.AddCleanup(t, func(ring []byte) { _ = unix.Munmap(ring) }, ring)
	return ring
}

// populatedRing bounds what a start waits for, at about 0.2 ms for each MiB.
const populatedRing = 256 << 20
