package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Registration is how one trunk stands with its registrar, as /debug/registrations shows it. Empty and zero fields are not known, or
// there is none.
type Registration struct {
	Trunk    string    `json:"trunk"`
	State    string    `json:"state"` // disabled, registering, registered, auth_failed, rejected, unreachable
	Code     int       `json:"code,omitempty"`
	Cause    string    `json:"cause,omitempty"`
	Server   string    `json:"server,omitempty"`
	Contact  string    `json:"contact,omitempty"`
	SeenAs   string    `json:"seen_as,omitempty"`
	Routes   []string  `json:"service_route,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	Next     time.Time `json:"next,omitzero"`
}

// registrations lists every trunk, as text, or as JSON where that is accepted; ?state= those in one state.
func (s *Server) registrations(w http.ResponseWriter, r *http.Request) {
	state := r.URL.Query().Get("state")
	shown := slices.DeleteFunc(s.options.Registrations(), func(one Registration) bool { return state != "" && one.State != state })
	table := listing(w, r, shown)
	if table == nil {
		return
	}
	fmt.Fprintln(table, "TRUNK\tSTATE\tCODE\tSERVER\tSINCE\tEXPIRES IN\tNEXT IN\tFAILURES\tCONTACT\tCAUSE")
	now := time.Now()
	for _, one := range shown {
		code := "-"
		if one.Code > 0 {
			code = fmt.Sprint(one.Code)
		}
		since := "-"
		if !one.Since.IsZero() {
			since = one.Since.UTC().Format("2006-01-02T15:04:05Z")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", one.Trunk, one.State, code, orDash(one.Server), since,
			untilOrDash(now, one.Expires), untilOrDash(now, one.Next), one.Failures, orDash(one.Contact), orDash(one.Cause))
	}
	table.Flush()
}

// listing answers with all as JSON where that is accepted, and returns nil; else the table for it as text.
func listing[T any](w http.ResponseWriter, r *http.Request, all []T) *tabwriter.Writer {
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(append([]T{}, all...)) // [] where there are none
		return nil
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
}

func untilOrDash(now, at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return max(at.Sub(now), 0).Round(time.Second).String()
}
