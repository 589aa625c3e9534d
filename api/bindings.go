package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Binding is where an agent that is known by digest has registered, as /debug/agents shows it. An agent that is nowhere has one without
// a contact.
type Binding struct {
	Agent     string    `json:"agent"`
	Contact   string    `json:"contact,omitempty"`
	Source    string    `json:"source,omitempty"` // where its REGISTER came from, which is where calls go
	Transport string    `json:"transport,omitempty"`
	NAT       bool      `json:"nat,omitempty"` // the contact is another place than the source
	Q         float64   `json:"q,omitempty"`   // preference, 0 to 1
	Device    string    `json:"device,omitempty"`
	Expires   time.Time `json:"expires,omitzero"`
}

// bindings lists every agent that may register, as text, or as JSON where that is accepted; ?agent= one of them.
func (s *Server) bindings(w http.ResponseWriter, r *http.Request) {
	agent := r.URL.Query().Get("agent")
	shown := slices.DeleteFunc(s.options.Bindings(), func(one Binding) bool { return agent != "" && one.Agent != agent })
	table := listing(w, r, shown)
	if table == nil {
		return
	}
	fmt.Fprintln(table, "AGENT\tCONTACT\tSOURCE\tTRANSPORT\tNAT\tQ\tEXPIRES IN\tDEVICE")
	now := time.Now()
	for _, one := range shown {
		if one.Contact == "" {
			fmt.Fprintf(table, "%s\t-\t-\t-\t-\t-\t-\t-\n", one.Agent)
			continue
		}
		nat := "no"
		if one.NAT {
			nat = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%g\t%s\t%s\n", one.Agent, one.Contact, one.Source, one.Transport, nat, one.Q, untilOrDash(now, one.Expires), orDash(one.Device))
	}
	table.Flush()
}
