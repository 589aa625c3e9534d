package config

import "net/netip"

// sourceIndex finds overlapping sources among thousands without comparing each with each.
type sourceIndex struct {
	byAddress map[netip.Addr][]sourceEntry // single addresses
	byHost    map[string][]sourceEntry     // names
	networks  []sourceEntry
	all       []sourceEntry // single addresses again, for networks to look through
}

// sourceEntry is a source of a trunk and its place.
type sourceEntry struct {
	source          Source
	trunk, position int
}

func (x *sourceIndex) add(s Source, trunk, position int) {
	if x.byAddress == nil {
		x.byAddress, x.byHost = map[netip.Addr][]sourceEntry{}, map[string][]sourceEntry{}
	}
	e := sourceEntry{s, trunk, position}
	switch {
	case s.Host != "":
		x.byHost[s.Host] = append(x.byHost[s.Host], e)
	case !s.Prefix.IsValid():
	case s.Prefix.IsSingleIP():
		x.byAddress[s.Prefix.Addr()] = append(x.byAddress[s.Prefix.Addr()], e)
		x.all = append(x.all, e)
	default:
		x.networks = append(x.networks, e)
	}
}

// overlapping returns the first entry that overlaps s.
func (x *sourceIndex) overlapping(s Source) (sourceEntry, bool) {
	var candidates []sourceEntry
	switch {
	case s.Host != "":
		candidates = x.byHost[s.Host]
	case !s.Prefix.IsValid():
		return sourceEntry{}, false
	case s.Prefix.IsSingleIP():
		candidates = x.byAddress[s.Prefix.Addr()]
	default:
		candidates = x.all
	}
	for _, list := range [2][]sourceEntry{candidates, x.networks} {
		for _, e := range list {
			if e.source.Overlaps(s) {
				return e, true
			}
		}
	}
	return sourceEntry{}, false
}
