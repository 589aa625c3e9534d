package account

import (
	"errors"
	"fmt"

	"trunkline/config"
)

// Inventory is what the engine makes trunks, agents and numbers of, of all organizations.
type Inventory struct {
	Trunks  []SIPCredential
	Agents  []Agent
	Numbers []Number // active ones with a trunk

	Organizations []Organization
}

// Join returns file with the trunks, agents and numbers of the inventory behind its own. The file wins where both have the
// same number. A row that does not fit is left out, and the error says so; the rest is of use all the same.
//
// Only active numbers are routed, and only verified ones may be used as caller ID (contract 7.4, Q-13).
func (v Inventory) Join(file config.Config) (config.Config, error) {
	var wrong []error
	trunks, agents := map[string]string{}, map[int64]string{}
	joined := file
	joined.Trunks = append([]config.Trunk(nil), file.Trunks...)
	for _, c := range v.Trunks {
		t, err := c.engineTrunk()
		if err != nil {
			wrong = append(wrong, fmt.Errorf("trunk %s: %w", c.Trunk, err))
			continue
		}
		trunks[c.ID] = t.Name
		joined.Trunks = append(joined.Trunks, t)
	}
	joined.Agents = append([]config.Agent(nil), file.Agents...)
	payers := v.payers(file)
	for _, row := range v.Agents {
		a, err := row.engineAgent()
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		a.Organization = payers[row.Org]
		agents[row.ID] = a.Name
		joined.Agents = append(joined.Agents, a)
	}
	inFile := make(map[string]bool, len(file.Numbers))
	for _, n := range file.Numbers {
		inFile[n.Number] = true
	}
	joined.Numbers = append([]config.Number(nil), file.Numbers...)
	for _, n := range v.Numbers {
		trunk, ok := trunks[n.SIPCredential]
		switch {
		case !ok || n.Status != NumberActive:
			continue
		case inFile[n.Number]:
			wrong = append(wrong, fmt.Errorf("number %d is in the configuration file too, which wins", n.ID))
			continue
		}
		c := config.Number{Number: n.Number, Trunk: trunk, InboundAgent: agents[n.InboundAgent]}
		if n.OutboundEligible() {
			c.OutboundAgent = agents[n.OutboundAgent]
		}
		joined.Numbers = append(joined.Numbers, c)
	}
	return joined, errors.Join(wrong...)
}

// payers are the names by which the file bounds what organizations spend, by id: the id itself where the file lists that.
func (v Inventory) payers(file config.Config) map[string]string {
	listed := map[string]bool{}
	for _, o := range file.Organizations {
		listed[o.Name] = true
	}
	names := make(map[string]string, len(v.Organizations))
	for _, o := range v.Organizations {
		names[o.ID] = o.Name
		if listed[o.ID] {
			names[o.ID] = o.ID
		}
	}
	return names
}

// OnlyOurs are the host names that the inventory brings and the file does not: the operator has not vouched for them.
func (v Inventory) OnlyOurs(file config.Config) map[string]bool {
	hosts := map[string]bool{}
	for _, c := range v.Trunks {
		if t, err := c.engineTrunk(); err == nil {
			hosts[t.Server.Host] = true
		}
	}
	for _, t := range file.Trunks {
		delete(hosts, t.Server.Host)
		delete(hosts, t.OutboundProxy.Host)
	}
	return hosts
}
