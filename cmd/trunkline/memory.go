package main

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"trunkline/sip/registrar"
	"trunkline/sip/transport"
	"trunkline/store"
	"trunkline/trunks"
)

// rememberEvery is between two writes of what must outlive the process: a crash loses what came after the last. So an agent may have
// used as much more of its minutes as its calls in progress talk in that time.
const rememberEvery = 2 * time.Second

// rememberLimit bounds one write.
const rememberLimit = 5 * time.Second

// memory carries tolls and the registrations of agents over a restart. No call waits for it.
type memory struct {
	d    *daemon
	tell bool                           // whether the last write worked
	last map[trunks.Spent]time.Duration // used of each toll, as written last
	stop context.CancelFunc
	done sync.WaitGroup
}

// openMemory takes up what the process before this one knew, before the first call. What cannot be read is logged and missing.
func (d *daemon) openMemory(s *trunks.Snapshot) *memory {
	m := &memory{d: d, tell: true, last: map[trunks.Spent]time.Duration{}}
	ctx, cancel := context.WithTimeout(context.Background(), rememberLimit)
	defer cancel()
	known, err := d.db.Remembered(ctx)
	if err != nil {
		d.log.Error("what agents have spent today, and where they are registered, cannot be read; both begin empty", "error", err)
		return m
	}
	now := time.Now()
	s.Restore(known.Tolls, now)
	kept := map[string][]registrar.Kept{}
	for _, b := range known.Bindings {
		kept[b.Agent] = append(kept[b.Agent], d.keptOf(b))
	}
	may := func(agent string) bool { a := s.Agent(agent); return a != nil && a.AuthUser != "" }
	if n := d.registrar.Restore(now, kept, may); n > 0 {
		d.log.Info("registrations of agents are taken up again", "bindings", n)
	}
	return m
}

// run writes until close.
func (m *memory) run() {
	ctx, stop := context.WithCancel(context.Background())
	m.stop = stop
	m.done.Go(func() { // ends with stop
		ticker := time.NewTicker(rememberEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				m.write(time.Now())
			}
		}
	})
}

// close writes once more, when the last call has ended.
func (m *memory) close() {
	m.stop()
	m.done.Wait()
	m.write(time.Now())
}

// write keeps what has changed since the last write that worked.
func (m *memory) write(now time.Time) {
	var next store.Memory
	used := map[trunks.Spent]time.Duration{}
	for _, s := range m.d.edge.Trunks().Spendings(now) {
		key := s
		key.Used = 0
		used[key] = s.Used
		if m.last[key] != s.Used {
			next.Tolls = append(next.Tolls, s)
		}
	}
	changed := m.d.registrar.Changed(now)
	agents := slices.Sorted(maps.Keys(changed))
	for _, agent := range agents {
		for _, k := range changed[agent] {
			next.Bindings = append(next.Bindings, m.d.bindingOf(agent, k))
		}
	}
	if len(next.Tolls) == 0 && len(agents) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rememberLimit)
	defer cancel()
	err := m.d.db.Remember(ctx, next, agents, now.Unix()/(24*60*60))
	if err == nil {
		m.last = used
	} else {
		m.d.registrar.Unkept(agents)
	}
	if works := err == nil; works != m.tell {
		m.tell = works
		if works {
			m.d.log.Info("what agents spend, and where they are registered, is written again")
		} else {
			m.d.log.Error("what agents spend, and where they are registered, cannot be written; a restart would lose it", "error", err)
		}
	}
}

// bindingOf names the listener in place of its number, which is another after a change of sip.listen.
func (d *daemon) bindingOf(agent string, k registrar.Kept) store.Binding {
	return store.Binding{Agent: agent, Key: k.Key, URI: k.URI, Listener: d.network.Listeners()[k.Flow.Socket].Addr.String(),
		Local: k.Flow.Local.String(), Remote: k.Flow.Remote.String(), Q: k.Q, Expires: k.Expires, CallID: k.CallID, CSeq: k.CSeq, Instance: k.Instance, Device: k.Binding.Agent}
}

// keptOf is the way back. Without its listener the binding has no remote address, and is not taken up: behind a NAT no other leads there.
func (d *daemon) keptOf(b store.Binding) registrar.Kept {
	k := registrar.Kept{Key: b.Key, Binding: registrar.Binding{URI: b.URI, Q: b.Q, Expires: b.Expires, CallID: b.CallID, CSeq: b.CSeq, Instance: b.Instance, Agent: b.Device}}
	for i, l := range d.network.Listeners() {
		if l.Proto == transport.UDP && l.Addr.String() == b.Listener {
			k.Flow = transport.Flow{Proto: transport.UDP, Socket: uint16(i), Local: addrPort(b.Local), Remote: addrPort(b.Remote)}
		}
	}
	return k
}

// addrPort reads host:port; what is none is the zero value.
func addrPort(text string) netip.AddrPort {
	a, _ := netip.ParseAddrPort(text)
	return a
}
