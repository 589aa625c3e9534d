package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"trunkline/store"
	"trunkline/trunks"
)

// Calls is what there is to ask about calls. Its methods are called concurrently.
type Calls interface {
	// Recent returns up to limit records of calls that have ended, newest first: those before the record with Seq before, or
	// the newest for 0.
	Recent(ctx context.Context, limit int, before int64) ([]store.Stored, error)
	// Ladder draws the SIP messages of a call by its id; empty when none is remembered.
	Ladder(ctx context.Context, id string) (string, error)
	// Explain tells the story of the calls with a SIP Call-ID, running or ended; empty when there is none.
	Explain(ctx context.Context, callID string) (string, error)
}

const (
	usualCalls = 50
	mostCalls  = 1000
)

// call is a record as /debug/calls shows it: enough to find a call by, no numbers.
type call struct {
	ID        string    `json:"id"`
	Started   time.Time `json:"started"`
	Direction string    `json:"direction"`
	Trunk     string    `json:"trunk,omitempty"`
	Agent     string    `json:"agent,omitempty"`
	Outcome   string    `json:"outcome"`
	Code      int       `json:"code"`
	Refusal   string    `json:"refusal,omitempty"`
	Talked    float64   `json:"talked_seconds"`
}

func (s *Server) handleCalls() {
	s.handle("GET /debug/calls", fromHere(http.HandlerFunc(s.recentCalls)))
	s.handle("GET /debug/explain", fromHere(http.HandlerFunc(s.explainCall)))
	s.handle("GET /debug/calls/{id}", fromHere(http.HandlerFunc(s.callLadder)))
}

// fromHere answers only callers on this host: ladders carry numbers, and whoever opens the listener for metrics does not mean
// to publish them.
func fromHere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !from.Addr().Unmap().IsLoopback() {
			http.Error(w, "only for callers on this host", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// recentCalls lists the newest calls that have ended, ?limit= of them, as text, or as JSON where that is accepted.
func (s *Server) recentCalls(w http.ResponseWriter, r *http.Request) {
	limit := usualCalls
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostCalls {
			http.Error(w, fmt.Sprintf("limit: 1 to %d is allowed", mostCalls), http.StatusBadRequest)
			return
		}
		limit = n
	}
	found, err := s.options.Calls.Recent(r.Context(), limit, 0)
	if err != nil {
		s.options.Log.Error("call records cannot be read", "error", err)
		http.Error(w, "call records cannot be read", http.StatusInternalServerError)
		return
	}
	calls := make([]call, len(found))
	for i := range found {
		calls[i] = shown(found[i])
	}
	table := listing(w, r, calls)
	if table == nil {
		return
	}
	fmt.Fprintln(table, "ID\tSTARTED\tDIRECTION\tTRUNK\tAGENT\tOUTCOME\tCODE\tTALKED")
	for _, c := range calls {
		outcome := c.Outcome
		if c.Refusal != "" {
			outcome += " (" + c.Refusal + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%.1fs\n", c.ID, c.Started.UTC().Format("2006-01-02T15:04:05.000Z"),
			c.Direction, orDash(c.Trunk), orDash(c.Agent), outcome, c.Code, c.Talked)
	}
	table.Flush()
}

func shown(s store.Stored) call {
	c := call{ID: s.ID, Started: s.Started, Direction: s.Direction.String(), Trunk: s.Trunk, Agent: s.Agent, Outcome: s.Outcome, Code: s.Code}
	if s.Refusal != trunks.NoReason {
		c.Refusal = s.Refusal.String()
	}
	if !s.Answered.IsZero() {
		c.Talked = s.Ended.Sub(s.Answered).Seconds()
	}
	return c
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// explainCall tells the story of the calls with ?call_id=.
func (s *Server) explainCall(w http.ResponseWriter, r *http.Request) {
	callID := r.URL.Query().Get("call_id")
	if callID == "" {
		http.Error(w, "call_id: the SIP Call-ID of a call, or its id, is required", http.StatusBadRequest)
		return
	}
	story, err := s.options.Calls.Explain(r.Context(), callID)
	switch {
	case err != nil:
		s.options.Log.Error("a call cannot be explained", "error", err)
		http.Error(w, "the call cannot be explained", http.StatusInternalServerError)
	case story == "":
		http.Error(w, "no call with this Call-ID or id is running or recorded", http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte(story))
	}
}

// callLadder draws one call, running or ended.
func (s *Server) callLadder(w http.ResponseWriter, r *http.Request) {
	ladder, err := s.options.Calls.Ladder(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		s.options.Log.Error("messages of a call cannot be read", "error", err)
		http.Error(w, "messages of the call cannot be read", http.StatusInternalServerError)
	case ladder == "":
		http.Error(w, "no message of this call is remembered: the id is wrong, newer calls took its place (trace.memory), or tracing is off", http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Write([]byte(ladder))
	}
}
