package media

import (
	"bytes"
	"cmp"
	"slices"
)

// Codecs are the audio codecs a party may use, by their encoding names, the preferred one first; empty = any, in the order of
// the description. Names compare without case. telephone-event and comfort noise need no mention: they go with a codec of
// their clock. Lines of other media are not touched.
type Codecs []string

// rank is the codec's place in the list, or -1.
func (c Codecs) rank(f *format) int {
	for i, name := range c {
		if len(name) == len(f.name) && bytes.EqualFold(f.name, []byte(name)) {
			return i
		}
	}
	return -1
}

// companion tells of formats that are no codec but go with one.
func (f *format) companion() bool { return f.isEvent() || f.isNoise() }

// filter keeps the formats that both parties may use, with telephone-event of any clock where none has that of a codec, as phones answer
// opus with it at 8000, in the order the receiving party prefers, else the describing one, else as
// they stand. It is empty if no codec is left. The result takes the place of list.
func filter(list []format, by, to Codecs) []format {
	clocks := make([]uint32, 0, maxFormats)
	for i := range list {
		f := &list[i]
		if !f.companion() && (len(by) == 0 || by.rank(f) >= 0) && (len(to) == 0 || to.rank(f) >= 0) {
			clocks = append(clocks, f.clock)
			f.keep = true
		}
	}
	order := to
	if len(order) == 0 {
		order = by
	}
	goes := func(f format) bool { return slices.Contains(clocks, f.clock) }
	anyEvents := len(clocks) > 0 && !slices.ContainsFunc(list, func(f format) bool { return f.isEvent() && goes(f) })
	kept := list[:0]
	for _, f := range list {
		if f.keep || f.companion() && goes(f) || f.isEvent() && anyEvents {
			kept = append(kept, f)
		}
	}
	slices.SortStableFunc(kept, func(a, b format) int { return cmp.Compare(order.place(a), order.place(b)) })
	return kept
}

// place is where a kept format stands: companions last.
func (c Codecs) place(f format) int {
	if f.companion() {
		return len(c)
	}
	return c.rank(&f)
}
