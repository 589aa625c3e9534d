package registrar

import (
	"maps"
	"slices"
	"time"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
)

// Kept is a binding as it outlives the process.
type Kept struct {
	Binding
	Key string // what makes it the same binding when it comes again
}

// Changed returns the agents whose bindings have changed since the last call, with those over UDP that each has now: all of them, in
// the order of calls, perhaps none. A stream connection ends with the process, so what came by one is not among them.
func (r *Registrar) Changed(now time.Time) map[string][]Kept {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := make(map[string][]Kept, len(r.changed))
	for agent := range r.changed {
		kept := []Kept{}
		for _, b := range r.live(agent, now) {
			if b.Flow.Proto == transport.UDP {
				kept = append(kept, Kept{b, b.key})
			}
		}
		changed[agent] = kept
	}
	clear(r.changed)
	return changed
}

// Unkept says that what Changed returned of these agents could not be kept, so that they are returned again.
func (r *Registrar) Unkept(agents []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, agent := range agents {
		r.touch(agent)
	}
}

// Restore takes up bindings that were kept, of agents that may still register, with what is left of their time. It returns how many.
// Those that expired meanwhile, or would not be granted now, are left out; their agents count as changed.
func (r *Registrar) Restore(now time.Time, kept map[string][]Kept, may func(agent string) bool) (restored int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, agent := range slices.Sorted(maps.Keys(kept)) {
		var bindings []Binding
		for _, k := range kept[agent] {
			if uri, err := wire.ParseURI([]byte(k.URI)); err != nil || !isSIP(uri.Scheme) || !k.Expires.After(now) || !k.Flow.Remote.IsValid() || len(bindings) == r.o.Contacts {
				continue
			}
			b := k.Binding
			b.key = k.Key
			b.place()
			if latest := now.Add(r.o.MaxExpires); b.Expires.After(latest) {
				b.Expires = latest
			}
			bindings = append(bindings, b)
		}
		if !may(agent) {
			bindings = nil
		}
		if len(bindings) != len(kept[agent]) {
			r.touch(agent)
		}
		if len(bindings) > 0 {
			order(bindings)
			r.agents[agent] = bindings
			restored += len(bindings)
		}
	}
	return restored
}

// touch notes that bindings of the agent have changed. The mutex is held.
func (r *Registrar) touch(agent string) { r.changed[agent] = struct{}{} }
