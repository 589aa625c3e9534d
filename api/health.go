package api

import (
	"encoding/json"
	"net/http"
)

// Readiness says whether new calls are welcome.
type Readiness struct {
	Ready bool
	Parts []Part // shown to whoever asks; a part may be in trouble while calls still flow
}

// Part is one thing the edge is made of: sip, media, store.
type Part struct {
	Name  string `json:"name"`
	State string `json:"state"` // "up", or what is wrong in words that carry no secret
}

// healthy answers as long as the process can answer anything: restart it when this is silent.
func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n"))
}

// ready answers 200 once SIP, media and store are up, and 503 before that and from the first SIGTERM on.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	state := Readiness{Ready: true}
	if s.options.Ready != nil {
		state = s.options.Ready()
	}
	answer := struct {
		Status string `json:"status"`
		Parts  []Part `json:"parts"`
	}{"ready", state.Parts}
	code := http.StatusOK
	if !state.Ready {
		answer.Status, code = "not ready", http.StatusServiceUnavailable
	}
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	w.Write(append(body, '\n'))
}
