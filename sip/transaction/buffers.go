package transaction

import "math/bits"

// buffers lends byte slices of a few sizes, so that a busy layer copies messages
// without allocating. It keeps about as many free ones as are lent out.
type buffers struct {
	free [bufferSizes][][]byte
	lent [bufferSizes]int
}

const (
	smallestBuffer = 512
	bufferSizes    = 8 // 512 bytes … 64 KiB
	spareBuffers   = 64
)

// bufferSize returns the size class for n bytes; bufferSizes when n is too long for any.
func bufferSize(n int) int {
	if n <= smallestBuffer {
		return 0
	}
	return min(bits.Len(uint(n-1)/smallestBuffer), bufferSizes)
}

// copyOf returns a lent buffer that holds b and room for extra bytes.
func (p *buffers) copyOf(b []byte, extra int) []byte {
	size := bufferSize(len(b) + extra)
	if size == bufferSizes {
		return append(make([]byte, 0, len(b)+extra), b...)
	}
	p.lent[size]++
	if n := len(p.free[size]); n > 0 {
		buffer := p.free[size][n-1]
		p.free[size] = p.free[size][:n-1]
		return append(buffer, b...)
	}
	return append(make([]byte, 0, smallestBuffer<<size), b...)
}

// replace returns a lent buffer that holds b, which may be old itself.
func (p *buffers) replace(old, b []byte) []byte {
	if cap(old) >= len(b) && old != nil {
		return append(old[:0], b...)
	}
	fresh := p.copyOf(b, 0)
	p.giveBack(old)
	return fresh
}

// extend returns a lent buffer that holds old and b.
func (p *buffers) extend(old, b []byte) []byte {
	if cap(old)-len(old) >= len(b) {
		return append(old, b...)
	}
	fresh := append(p.copyOf(old, len(b)), b...)
	p.giveBack(old)
	return fresh
}

func (p *buffers) giveBack(b []byte) {
	size := bufferSize(cap(b))
	if cap(b) == 0 || size == bufferSizes || cap(b) != smallestBuffer<<size {
		return
	}
	p.lent[size]--
	if len(p.free[size]) < p.lent[size]+spareBuffers {
		p.free[size] = append(p.free[size], b[:0])
	}
}
