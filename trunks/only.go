package trunks

import "trunkline/config"

// Only returns a snapshot of those trunks and agents that the functions say yes to, of the organizations of these agents, and of the
// numbers that name no other. It explains to somebody what becomes of their calls without a word about anybody else's; calls are not routed by it.
func (s *Snapshot) Only(trunk, agent func(name string) bool) (*Snapshot, error) {
	c, shared := config.Config{Limits: s.made.Limits}, map[string]bool{config.AnyOrganization: true}
	for _, t := range s.made.Trunks {
		if trunk(t.Name) {
			c.Trunks = append(c.Trunks, t)
		}
	}
	for _, a := range s.made.Agents {
		if agent(a.Name) {
			c.Agents = append(c.Agents, a)
			shared[a.Organization] = true
		}
	}
	for _, o := range s.made.Organizations {
		if shared[o.Name] {
			c.Organizations = append(c.Organizations, o)
		}
	}
	for _, n := range s.made.Numbers {
		if named(n, trunk, agent) {
			c.Numbers = append(c.Numbers, n)
		}
	}
	return s.Rebuild(c, s.names)
}

// named reports whether everything that n names is among them.
func named(n config.Number, trunk, agent func(name string) bool) bool {
	for _, r := range n.Routes {
		if !trunk(r.Trunk) {
			return false
		}
	}
	return trunk(n.Trunk) && (n.InboundAgent == "" || agent(n.InboundAgent)) && (n.OutboundAgent == "" || agent(n.OutboundAgent))
}
