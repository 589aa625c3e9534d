package main

import (
	"fmt"
	"strings"
	"time"

	"trunkline/api"
	"trunkline/sip/register"
)

// namedAtMost is how many trunks in trouble readiness names.
const namedAtMost = 5

// registrations says how the trunks that register are doing: "up", or which are not registered and why; empty when none
// registers. A registration in trouble costs calls of its trunk only: the edge stays ready.
func registrations(k *register.Keeper) string {
	wanted, registered, trouble := 0, 0, []string(nil)
	for _, s := range k.Status() {
		if s.State == register.Disabled {
			continue
		}
		wanted++
		if s.State == register.Registered {
			registered++
			continue
		}
		if len(trouble) < namedAtMost {
			trouble = append(trouble, fmt.Sprintf("%s: %s", s.Trunk, s.State))
		}
	}
	switch {
	case wanted == 0:
		return ""
	case registered == wanted:
		return "up"
	default:
		return fmt.Sprintf("%d of %d registered (%s)", registered, wanted, strings.Join(trouble, ", "))
	}
}

// registrations is what HTTP shows of them; none before the edge is there.
func (d *daemon) registrations() []api.Registration {
	if !d.ready.Load() {
		return nil
	}
	all := d.keeper.Status()
	shown := make([]api.Registration, len(all))
	for i, s := range all {
		shown[i] = api.Registration{Trunk: s.Trunk, State: string(s.State), Code: s.Code, Cause: s.Cause, Contact: s.Contact,
			Routes: s.Routes, Failures: s.Failures, Since: s.Since, Expires: s.Expires, Next: s.Next}
		if s.Server.IsValid() {
			shown[i].Server = s.Server.String()
		}
		if s.Seen.IsValid() {
			shown[i].SeenAs = s.Seen.String()
		}
	}
	return shown
}

// bindings returns where the agents that may register are, for /debug/agents.
func (d *daemon) bindings() []api.Binding {
	if !d.ready.Load() {
		return nil
	}
	now := time.Now()
	var shown []api.Binding
	for _, a := range d.edge.Trunks().Agents {
		if a.AuthUser == "" {
			continue
		}
		places := d.registrar.Bindings(a.Name, now)
		if len(places) == 0 {
			shown = append(shown, api.Binding{Agent: a.Name})
		}
		for _, b := range places {
			shown = append(shown, api.Binding{Agent: a.Name, Contact: b.URI, Source: b.Flow.Remote.String(), Transport: strings.ToLower(b.Flow.Proto.String()),
				NAT: !b.AtHome(), Q: b.Q, Device: b.Agent, Expires: b.Expires})
		}
	}
	return shown
}
