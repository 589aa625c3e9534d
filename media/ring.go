package media

// ring is a queue that grows as it must.
type ring[T any] struct {
	slots []T
	front int
	count int
}

// push appends at the end.
func (r *ring[T]) push(v T) {
	if r.count == len(r.slots) {
		grown := make([]T, max(16, 2*r.count))
		n := copy(grown, r.slots[r.front:])
		copy(grown[n:], r.slots[:r.front])
		r.slots, r.front = grown, 0
	}
	r.slots[(r.front+r.count)%len(r.slots)] = v
	r.count++
}

// peek returns the front; there must be one.
func (r *ring[T]) peek() T { return r.slots[r.front] }

// pop takes the front; there must be one.
func (r *ring[T]) pop() T {
	v := r.slots[r.front]
	var none T
	r.slots[r.front] = none
	r.front = (r.front + 1) % len(r.slots)
	r.count--
	return v
}
