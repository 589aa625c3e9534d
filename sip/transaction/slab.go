package transaction

// slab holds the objects of live transactions. They never move, so a pointer to
// one stays good while its slot is in use; freed slots are used again.
type slab[T any] struct {
	chunks []*[slabChunk]T
	free   []uint32
	live   int
}

const slabChunk = 64

func (s *slab[T]) at(slot uint32) *T { return &s.chunks[slot/slabChunk][slot%slabChunk] }

func (s *slab[T]) take() (uint32, *T) {
	if len(s.free) == 0 {
		first := uint32(len(s.chunks) * slabChunk)
		s.chunks = append(s.chunks, new([slabChunk]T))
		for i := uint32(slabChunk); i > 0; i-- {
			s.free = append(s.free, first+i-1)
		}
	}
	slot := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.live++
	return slot, s.at(slot)
}

func (s *slab[T]) release(slot uint32) {
	s.free = append(s.free, slot)
	s.live--
}

// holds reports whether slot was ever taken.
func (s *slab[T]) holds(slot uint32) bool { return int(slot) < len(s.chunks)*slabChunk }
