package transaction

// table maps random 64-bit keys to 32-bit values: open addressing with linear
// probing and no pointers, so the garbage collector skips it. It is cut into
// parts that grow and shrink one at a time, so that no single operation moves more
// than a fraction of it. The keys must be unpredictable to the peer, as random or
// keyed-hash values are.
type table struct {
	parts  [tableParts]tablePart
	length int
}

const (
	tablePartBits = 6
	tableParts    = 1 << tablePartBits
	tablePartMin  = 16
)

type tablePart struct {
	entries []tableEntry // a power of two, at most three quarters full
	used    int
}

type tableEntry struct {
	key   uint64
	value uint32 // plus one; 0 is a free place
}

func (t *table) get(key uint64) (value uint32, ok bool) {
	p := &t.parts[key>>(64-tablePartBits)]
	if p.used == 0 {
		return 0, false
	}
	mask := uint64(len(p.entries) - 1)
	for i := key & mask; p.entries[i].value != 0; i = (i + 1) & mask {
		if p.entries[i].key == key {
			return p.entries[i].value - 1, true
		}
	}
	return 0, false
}

// set gives key its value, in place of an older one.
func (t *table) set(key uint64, value uint32) {
	p := &t.parts[key>>(64-tablePartBits)]
	if (p.used+1)*4 > len(p.entries)*3 {
		p.resize(max(tablePartMin, 2*len(p.entries)))
	}
	mask := uint64(len(p.entries) - 1)
	i := key & mask
	for p.entries[i].value != 0 {
		if p.entries[i].key == key {
			p.entries[i].value = value + 1
			return
		}
		i = (i + 1) & mask
	}
	p.entries[i] = tableEntry{key, value + 1}
	p.used++
	t.length++
}

// remove forgets key if it still has this value.
func (t *table) remove(key uint64, value uint32) {
	p := &t.parts[key>>(64-tablePartBits)]
	if p.used == 0 {
		return
	}
	mask := uint64(len(p.entries) - 1)
	i := key & mask
	for p.entries[i].key != key || p.entries[i].value == 0 {
		if p.entries[i].value == 0 {
			return
		}
		i = (i + 1) & mask
	}
	if p.entries[i].value != value+1 {
		return
	}
	// Close the gap: an entry behind it moves up unless that is before its home.
	for j := (i + 1) & mask; p.entries[j].value != 0; j = (j + 1) & mask {
		home := p.entries[j].key & mask
		if (j-home)&mask >= (j-i)&mask {
			p.entries[i] = p.entries[j]
			i = j
		}
	}
	p.entries[i] = tableEntry{}
	p.used--
	t.length--
	if len(p.entries) > tablePartMin && p.used*8 < len(p.entries) {
		p.resize(len(p.entries) / 2)
	}
}

func (p *tablePart) resize(size int) {
	old := p.entries
	p.entries = make([]tableEntry, size)
	mask := uint64(size - 1)
	for _, e := range old {
		if e.value == 0 {
			continue
		}
		i := e.key & mask
		for p.entries[i].value != 0 {
			i = (i + 1) & mask
		}
		p.entries[i] = e
	}
}
