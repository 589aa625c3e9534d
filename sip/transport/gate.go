package transport

import "sync/atomic"

// gate keeps file descriptors open while somebody is inside a system call on them: closing one that a thread is blocked on
// would let the number be reused under its feet.
type gate struct {
	state atomic.Int64 // users inside; shutting is added when closing
	done  chan struct{}
	last  func() // run once, by whoever leaves last after shutting
}

const shutting = 1 << 32

func newGate(last func()) *gate { return &gate{done: make(chan struct{}), last: last} }

// enter is false once the gate is shut; then there is no leave.
func (g *gate) enter() bool {
	if g.state.Add(1) > shutting {
		g.leave()
		return false
	}
	return true
}

func (g *gate) leave() {
	if g.state.Add(-1) == shutting && g.state.CompareAndSwap(shutting, 2*shutting) {
		g.last()
		close(g.done)
	}
}

// isShut reports whether shut was called, for those inside.
func (g *gate) isShut() bool { return g.state.Load() >= shutting }

// shut, called once, lets nobody in any more. When the last user has left, last runs and done is closed.
func (g *gate) shut() {
	g.state.Add(shutting + 1)
	g.leave()
}
