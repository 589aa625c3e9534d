package config

import (
	"reflect"
	"slices"
)

// Changes says what differs between two configurations.
type Changes struct {
	Trunks, Organizations, Agents, Numbers Entries

	Keys    []string // changed keys outside those lists, as "media.ports"; sorted
	Restart []string // those of Keys that take effect only at the next start
}

// Entries are the differences within one list, each entry by its name; a number is its own name. Each list is sorted.
type Entries struct {
	Added, Removed []string
	Changed        []Entry
}

// Entry is one trunk, organization, agent or number present on both sides.
type Entry struct {
	Name string
	Keys []string // changed keys within the entry, as "auth_password" or "tls.ca"; sorted
}

// Diff returns what changes from old to new. Values are not told, so that secrets stay where they are.
func Diff(old, new Config) Changes {
	c := Changes{
		Trunks:        diffList(old.Trunks, new.Trunks, func(t Trunk) string { return t.Name }),
		Organizations: diffList(old.Organizations, new.Organizations, func(o Organization) string { return o.Name }),
		Agents:        diffList(old.Agents, new.Agents, func(a Agent) string { return a.Name }),
		Numbers:       diffList(old.Numbers, new.Numbers, func(n Number) string { return n.Number }),
	}
	old.Trunks, old.Organizations, old.Agents, old.Numbers = nil, nil, nil, nil
	new.Trunks, new.Organizations, new.Agents, new.Numbers = nil, nil, nil, nil
	c.Keys = changedKeys(reflect.ValueOf(old), reflect.ValueOf(new), "", nil)
	slices.Sort(c.Keys)
	for _, key := range c.Keys {
		if describe(key).restart {
			c.Restart = append(c.Restart, key)
		}
	}
	return c
}

// Empty reports whether nothing differs.
func (c Changes) Empty() bool {
	return c.Trunks.Empty() && c.Organizations.Empty() && c.Agents.Empty() && c.Numbers.Empty() && len(c.Keys) == 0
}

// Empty reports whether nothing differs.
func (e Entries) Empty() bool { return len(e.Added)+len(e.Removed)+len(e.Changed) == 0 }

func diffList[T any](old, new []T, name func(T) string) Entries {
	var e Entries
	before := make(map[string]*T, len(old))
	for i := range old {
		before[name(old[i])] = &old[i]
	}
	for i := range new {
		n := name(new[i])
		was, ok := before[n]
		if !ok {
			e.Added = append(e.Added, n)
			continue
		}
		delete(before, n)
		if keys := changedKeys(reflect.ValueOf(*was), reflect.ValueOf(new[i]), "", nil); len(keys) > 0 {
			slices.Sort(keys)
			e.Changed = append(e.Changed, Entry{Name: n, Keys: keys})
		}
	}
	for n := range before {
		e.Removed = append(e.Removed, n)
	}
	slices.Sort(e.Added)
	slices.Sort(e.Removed)
	slices.SortFunc(e.Changed, func(a, b Entry) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return e
}

// changedKeys appends the keys below path whose values differ. A list counts as one value.
func changedKeys(old, new reflect.Value, path string, keys []string) []string {
	if old.Kind() == reflect.Struct && !isScalar(old.Type()) {
		for i := range old.NumField() {
			if tag := old.Type().Field(i).Tag.Get("yaml"); tag != "" {
				keys = changedKeys(old.Field(i), new.Field(i), join(path, tag), keys)
			}
		}
		return keys
	}
	if old.Kind() == reflect.Slice && old.Len() == 0 && new.Len() == 0 {
		return keys
	}
	if !reflect.DeepEqual(old.Interface(), new.Interface()) {
		keys = append(keys, path)
	}
	return keys
}
