package config

import (
	"fmt"
	"slices"
)

// validateNames finds two trunks, organizations, agents or numbers of one name.
func (l *loader) validateNames() {
	c := &l.config
	trunks, organizations, agents, users, numbers := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for i, t := range c.Trunks {
		l.unique("trunks", ".name", i, t.Name, trunks)
	}
	for i, o := range c.Organizations {
		l.unique("organizations", ".name", i, o.Name, organizations)
	}
	for i, a := range c.Agents {
		l.unique("agents", ".name", i, a.Name, agents)
		l.unique("agents", ".auth_user", i, a.AuthUser, users)
	}
	for i, n := range c.Numbers {
		l.unique("numbers", ".number", i, n.Number, numbers)
	}
}

func (l *loader) unique(list, key string, i int, name string, first map[string]int) {
	if name == "" {
		return
	}
	if j, twice := first[name]; twice {
		l.badAllowed(at(list, i)+key, "", "%s is taken by %s%s", quoteShort(name), at(list, j), inLine(l.place(at(list, j)+key)))
		return
	}
	first[name] = i
}

// inLine names the line of o for the middle of a sentence.
func inLine(o Origin) string {
	if o.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" in line %d", o.Line)
}

// validateSources finds an address that is both a trunk's and an agent's: nobody could tell an inbound call from an
// outbound one. Trunks may share addresses among each other, since the called number tells them apart, and so may agents.
func (l *loader) validateSources() {
	c := &l.config
	var index sourceIndex
	for i, t := range c.Trunks {
		for j, s := range t.SourceAddresses {
			index.add(s, i, j)
		}
	}
	for i, a := range c.Agents {
		for j, s := range a.SourceAddresses {
			if e, ok := index.overlapping(s); ok {
				path := at(at("agents", i)+".source_addresses", j)
				l.badAllowed(path, "addresses, transports or ports that no trunk has", "%s overlaps %s of trunk %s%s", s, e.source, quoteShort(c.Trunks[e.trunk].Name),
					inLine(l.place(at(at("trunks", e.trunk)+".source_addresses", e.position))))
			}
		}
	}
}

// validateReferences finds numbers that name a trunk or agent nobody has, and agents that name no organization.
func (l *loader) validateReferences() {
	c := &l.config
	trunks, agents := make([]string, len(c.Trunks)), make([]string, len(c.Agents))
	known := map[string]bool{}
	reachable := map[string]bool{}
	for i, t := range c.Trunks {
		trunks[i] = t.Name
		known["trunk "+t.Name] = true
	}
	for i, a := range c.Agents {
		agents[i] = a.Name
		known["agent "+a.Name] = true
		reachable[a.Name] = reachable[a.Name] || len(a.Destinations) > 0 || a.AuthUser != ""
	}
	l.validateOrganizations()
	for i, n := range c.Numbers {
		path := at("numbers", i)
		switch {
		case n.Trunk == "":
			l.bad(path+".trunk", "missing trunk")
		case !known["trunk "+n.Trunk]:
			l.bad(path+".trunk", "no trunk is called %s%s", quoteShort(n.Trunk), didYouMean(n.Trunk, firstOf(trunks)))
		}
		first := map[string]int{}
		for j, r := range n.Routes {
			route := at(path+".routes", j) + ".trunk"
			before, twice := first[r.Trunk]
			switch {
			case r.Trunk == "":
				l.bad(route, "missing trunk")
			case !known["trunk "+r.Trunk]:
				l.bad(route, "no trunk is called %s%s", quoteShort(r.Trunk), didYouMean(r.Trunk, firstOf(trunks)))
			case twice:
				l.badAllowed(route, "", "%s is listed already, as routes[%d]", quoteShort(r.Trunk), before)
			}
			first[r.Trunk] = j
		}
		switch {
		case n.InboundAgent == "":
		case !known["agent "+n.InboundAgent]:
			l.bad(path+".inbound_agent", "no agent is called %s%s", quoteShort(n.InboundAgent), didYouMean(n.InboundAgent, firstOf(agents)))
		case !reachable[n.InboundAgent]:
			l.badAllowed(path+".inbound_agent", "", "agent %s has neither destinations nor an auth_user to register with", quoteShort(n.InboundAgent))
		}
		if n.OutboundAgent != "" && !known["agent "+n.OutboundAgent] {
			l.bad(path+".outbound_agent", "no agent is called %s%s", quoteShort(n.OutboundAgent), didYouMean(n.OutboundAgent, firstOf(agents)))
		}
	}
}

// validateOrganizations finds agents that name an organization nobody has listed.
func (l *loader) validateOrganizations() {
	var names []string
	for _, o := range l.config.Organizations {
		if o.Name != AnyOrganization {
			names = append(names, o.Name)
		}
	}
	for i, a := range l.config.Agents {
		if a.Organization != "" && !slices.Contains(names, a.Organization) {
			l.bad(at("agents", i)+".organization", "no organization is called %s%s", quoteShort(a.Organization), didYouMean(a.Organization, firstOf(names)))
		}
	}
}

// firstOf is what is looked through for a similar name: enough for people, bounded for machines.
func firstOf(names []string) []string {
	names = slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" })
	return names[:min(len(names), 200)]
}
