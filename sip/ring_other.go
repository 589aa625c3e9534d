//go:build !linux

package sip

// ringMemory returns size bytes of zeros for a trace.
func ringMemory(_ *trace, size int) []byte { return make([]byte, size) }
