package dialog

import "trunkline/sip/wire"

// keeper copies the small texts of a dialog into one allocation.
type keeper struct{ free []byte }

func arena(size int) *keeper { return &keeper{make([]byte, 0, size)} }

// keep returns a copy of b that later copies cannot overwrite.
func (k *keeper) keep(b []byte) []byte {
	start := len(k.free)
	k.free = append(k.free, b...)
	return k.free[start:len(k.free):len(k.free)]
}

// value keeps a From or To as a header value without its tag: display name, URI
// in brackets and other parameters.
func (k *keeper) value(a wire.Address) []byte {
	start := len(k.free)
	k.free = wire.AppendNameAddr(k.free, a.Display, a.URI)
	return k.free[start:len(k.free):len(k.free)]
}

func valueSize(a wire.Address) int { return len(a.Display) + len(a.URI) + 5 }
