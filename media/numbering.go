package media

import "slices"

// numbering says under which payload types the two parties of a stream know each codec. A party may call a codec
// otherwise than the other one: an answer with numbers of its own, a new party after a failover or a transfer, a re-INVITE that
// counts anew. Each party is always shown the number it knows, and packets are renumbered between. RFC 3264 §5.1, §6.1, §8.3.2.
type numbering []numbered

// numbered is one codec. The numbers are by Side.
type numbered struct {
	codec uint64
	said  [2]uint8 // how the party itself described it last
	shown [2]uint8 // how we described it to the party last
}

// unnumbered stands for a payload type that is not known yet.
const unnumbered = 255

// firstDynamic is where the payload types begin that may mean anything. RFC 3551 §6.
const firstDynamic = 96

// knows tells whether a description of from says nothing new, so that nothing has to be booked. It sets what to show.
func (n numbering) knows(from Side, list []format) bool {
	to := from.Other()
	for i := range list {
		f, found := &list[i], false
		for k := range n {
			row := &n[k]
			if row.codec == f.codec && row.said[from] == f.number && row.said[to] != unnumbered && row.said[to] == row.shown[to] {
				f.shown, found = row.said[to], true
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// book returns the numbering after a description of from, and sets what to show the other party for each of its formats. n
// itself stays as it is.
func (n numbering) book(from Side, list []format) numbering {
	to := from.Other()
	if n.knows(from, list) {
		return n
	}
	next := make(numbering, len(n), len(n)+len(list))
	copy(next, n)
	var rows [maxFormats]int
	taken := rows[:len(list)] // the row of each format
	for i := range list {
		taken[i] = next.row(from, &list[i])
		if taken[i] >= 0 && slices.Contains(taken[:i], taken[i]) {
			taken[i] = -1 // two formats of one codec, told apart by their parameters
		}
	}
	for i := range list {
		f, at := &list[i], taken[i]
		if at < 0 {
			at = slices.IndexFunc(next, func(row numbered) bool { return row.codec == f.codec })
			if at >= 0 && slices.Contains(taken, at) {
				at = -1
			}
		}
		if at < 0 {
			at = len(next)
			next = append(next, numbered{codec: f.codec, said: [2]uint8{unnumbered, unnumbered}, shown: [2]uint8{unnumbered, unnumbered}})
		}
		taken[i] = at
		row := &next[at]
		row.said[from] = f.number
		if row.shown[from] == unnumbered {
			row.shown[from] = f.number
		}
		if row.said[to] == unnumbered {
			row.said[to] = next.free(to, f.number)
		}
		f.shown, row.shown[to] = row.said[to], row.said[to]
	}
	return next
}

// row finds the codec under the number that the party uses for it already, or -1. A number that means another codec now is
// taken from the codec that had it.
func (n numbering) row(from Side, f *format) int {
	found := -1
	for i := range n {
		switch {
		case n[i].said[from] != f.number:
		case n[i].codec == f.codec:
			found = i
		default:
			n[i].said[from], n[i].shown[from] = unnumbered, unnumbered
		}
	}
	return found
}

// free returns the wanted payload type if it means nothing to the party yet, else a dynamic one that does not.
func (n numbering) free(side Side, wanted uint8) uint8 {
	used := func(number uint8) bool {
		return slices.ContainsFunc(n, func(row numbered) bool { return row.said[side] == number || row.shown[side] == number })
	}
	if wanted < firstDynamic || !used(wanted) {
		return wanted // the static ones mean the same everywhere
	}
	for number := uint8(firstDynamic); number < 128; number++ {
		if !used(number) {
			return number
		}
	}
	return wanted // thirty-two dynamic codecs are in use: it comes out as what it says
}

// forget returns the numbering without what it knows of a party.
func (n numbering) forget(side Side) numbering {
	next := slices.Clone(n)
	for i := range next {
		next[i].said[side], next[i].shown[side] = unnumbered, unnumbered
	}
	return next
}

// renumber is what becomes of the payload type of each packet of a party; nil = it stays as it is.
type renumber [128]uint8

// from returns how the packets of a party are renumbered. It sends by the numbers it was shown, or by its own, since many take
// one for the other.
func (n numbering) from(side Side) *renumber {
	if !n.changes(side) {
		return nil
	}
	table := new(renumber)
	for i := range table {
		table[i] = uint8(i)
	}
	for _, by := range [...]func(numbered) uint8{
		func(row numbered) uint8 { return row.said[side] },
		func(row numbered) uint8 { return row.shown[side] }, // what was agreed outranks what is usual
	} {
		for _, row := range n {
			if own, other := by(row), row.said[side.Other()]; own != unnumbered && other != unnumbered {
				table[own] = other
			}
		}
	}
	return table
}

// changes tells whether a packet of the party may need another number.
func (n numbering) changes(side Side) bool {
	for i := range n {
		row := &n[i]
		if to := row.said[side.Other()]; to != unnumbered && (differs(row.said[side], to) || differs(row.shown[side], to)) {
			return true
		}
	}
	return false
}

func differs(own, other uint8) bool { return own != unnumbered && own != other }

// apply changes the payload type of an RTP packet, and leaves the marker bit.
func (r *renumber) apply(packet []byte) { packet[1] = packet[1]&0x80 | r[packet[1]&0x7f] }

// equal tells whether both do the same; either may be nil.
func (r *renumber) equal(other *renumber) bool {
	return r == other || r != nil && other != nil && *r == *other
}
