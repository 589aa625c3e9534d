package account

import (
	"fmt"

	"trunkline/config"
)

// guardSources refuses sources that would blur who a request is from. An address belongs to trunks or to agents, and to the agents of
// one organization only: the address is all that tells whose numbers a caller may use. Trunks may share addresses, since many
// organizations have the same carrier; there the number decides. Nothing is said of whose the other one is.
func (c *changing) guardSources(field string, written []string, agent bool) error {
	ours, err := parseSources(written)
	if err != nil {
		return invalid(field, err.Error(), "addresses, networks or host names")
	}
	all, err := c.Sources()
	if err != nil {
		return err
	}
	for _, e := range append(all, c.fileSources...) {
		isAgent := e.Agent != 0
		if agent == isAgent && (!agent || e.Org == c.who.Org) {
			continue
		}
		var theirs config.Source
		if theirs.UnmarshalText([]byte(e.Source)) != nil {
			continue // a host name or address that a later version of ours may have written
		}
		for i := range ours {
			if ours[i].Overlaps(theirs) {
				return &Conflict{Field: field, Message: fmt.Sprintf("%s is in use", written[i]), Fix: "a source address belongs either to trunks or to the agents of one organization"}
			}
		}
	}
	return nil
}

// fileSources are those of the trunks and agents that the file manages.
func fileSources(c config.Config) (all []SourceEntry) {
	for _, t := range c.Trunks {
		for _, s := range t.SourceAddresses {
			all = append(all, SourceEntry{Credential: t.Name, Source: s.String()})
		}
	}
	for _, a := range c.Agents {
		for _, s := range a.SourceAddresses {
			all = append(all, SourceEntry{Agent: -1, Source: s.String()})
		}
	}
	return all
}
