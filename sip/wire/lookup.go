package wire

import "encoding/binary"

// headerKey is a header name folded to lower case and cut into words, so that names compare in a few
// integer operations. Setting bit 0x20 folds letters and leaves digits and '-' alone; no byte that may
// stand in a header line turns into one of those by accident.
type headerKey struct {
	first, middle, last uint64
	length              int
}

// longestName bounds the names a headerKey can tell apart: three words of eight octets.
const longestName = 24

const lowerCase = 0x2020202020202020

// keyOf folds and cuts a name of 2 to longestName octets.
func keyOf(name []byte) (k headerKey) {
	n := len(name)
	k.length = n
	switch {
	case n >= 8:
		k.first = binary.LittleEndian.Uint64(name) | lowerCase
		k.last = binary.LittleEndian.Uint64(name[n-8:]) | lowerCase
		if n > 16 {
			k.middle = binary.LittleEndian.Uint64(name[8:]) | lowerCase
		}
	case n >= 4:
		low := uint64(binary.LittleEndian.Uint32(name))
		high := uint64(binary.LittleEndian.Uint32(name[n-4:]))
		k.first = low | high<<32 | lowerCase
	default:
		k.first = uint64(name[0]) | uint64(name[1])<<8 | uint64(name[n-1])<<16 | lowerCase
	}
	return k
}

// hashSeed was chosen so that no two known names share a slot; newHeaderIndex checks it.
const (
	hashSeed = 0xb98c8e22bfe6f679
	hashBits = 9
)

func (k *headerKey) slot() uint64 {
	return ((k.first ^ k.last*5 ^ uint64(k.length)) * hashSeed) >> (64 - hashBits)
}

type headerIndex struct {
	slots   [1 << hashBits]ID // HOther: empty
	keys    [numIDs]headerKey
	compact [256]ID
}

var headerNameIndex = *newHeaderIndex()

func newHeaderIndex() *headerIndex {
	x := new(headerIndex)
	for id := HOther + 1; id < numIDs; id++ {
		k := keyOf([]byte(headerNames[id].name))
		if x.slots[k.slot()] != HOther {
			panic("wire: hashSeed maps " + headerNames[id].name + " and " + headerNames[x.slots[k.slot()]].name + " to one slot")
		}
		x.slots[k.slot()] = id
		x.keys[id] = k
		if c := headerNames[id].compact; c != 0 {
			x.compact[c] = id
			x.compact[c-'a'+'A'] = id
		}
	}
	return x
}

// LookupHeader returns the ID of a header name in any case, long or compact, or HOther.
func LookupHeader(name []byte) ID {
	n := len(name)
	if n == 1 {
		return headerNameIndex.compact[name[0]]
	}
	if n < 2 || n > longestName {
		return HOther
	}
	k := keyOf(name)
	id := headerNameIndex.slots[k.slot()]
	known := &headerNameIndex.keys[id]
	if known.first != k.first || known.last != k.last || known.length != n || known.middle != k.middle {
		return HOther
	}
	return id
}
