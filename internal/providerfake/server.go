package providerfake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault makes requests go wrong.
type Fault struct {
	Path   string // only requests whose path begins so; empty: any
	Times  int    // how many of them; 0: all from now on
	Status int    // answered in place of the truth; 0: the truth, after Delay
	Header http.Header
	Body   string        // of Status; empty: the provider's own words for it
	Delay  time.Duration // before anything is said; ends with the request
	Cut    bool          // the connection ends in the middle of the body
}

// server is what the four fakes have in common.
type server struct {
	mux   *http.ServeMux
	words func(status int) any // the provider's error body

	mu       sync.Mutex
	faults   []*Fault
	requests []string
	refused  []string
}

func newServer(words func(int) any) *server {
	s := &server{mux: http.NewServeMux(), words: words}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.refuse(w, r, http.StatusNotFound, "no such path or method")
	})
	return s
}

// Fail makes requests go wrong as f says. Several faults hold in the order in which they were asked for.
func (s *server) Fail(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &f)
}

// Mend takes all faults back.
func (s *server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Requests returns what was asked so far, as "GET /v2/phone_numbers?page%5Bsize%5D=1"; secrets in a query are left out.
func (s *server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Refused returns what was asked that the provider does not know, with the reason.
func (s *server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.note(r)
	if fault == nil {
		s.mux.ServeHTTP(w, r)
		return
	}
	if fault.Delay > 0 {
		timer := time.NewTimer(fault.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
	}
	switch {
	case fault.Cut:
		w.Header().Set("Content-Length", "1000")
		w.Write([]byte(`{"data":[`))
		panic(http.ErrAbortHandler)
	case fault.Status == 0:
		s.mux.ServeHTTP(w, r)
		return
	}
	for name, values := range fault.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	if fault.Body != "" {
		w.WriteHeader(fault.Status)
		io.WriteString(w, fault.Body)
		return
	}
	answer(w, fault.Status, s.words(fault.Status))
}

// note remembers r and returns the fault it meets, or nil.
func (s *server) note(r *http.Request) *Fault {
	shown := *r.URL
	query := shown.Query()
	query.Del("api_secret")
	shown.RawQuery = query.Encode()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+shown.RequestURI())
	for i, f := range s.faults {
		if !strings.HasPrefix(r.URL.Path, f.Path) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f
	}
	return nil
}

// refuse answers what the provider would not understand, and remembers it.
func (s *server) refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	s.mu.Lock()
	s.refused = append(s.refused, fmt.Sprintf("%s %s: %s", r.Method, r.URL.Path, why))
	s.mu.Unlock()
	answer(w, status, s.words(status))
}

// say answers with the provider's own words for a status; nothing is wrong with the request's form.
func (s *server) say(w http.ResponseWriter, status int) { answer(w, status, s.words(status)) }

// handle serves pattern. Query parameters other than allowed are refused.
func (s *server) handle(pattern string, allowed []string, serve func(w http.ResponseWriter, r *http.Request)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		for name := range r.URL.Query() {
			if !slices.Contains(allowed, name) {
				s.refuse(w, r, http.StatusBadRequest, "unknown query parameter "+name)
				return
			}
		}
		if body := r.Header.Get("Content-Type"); body != "" && (r.Method == http.MethodGet || r.Method == http.MethodDelete) {
			s.refuse(w, r, http.StatusBadRequest, "a body where none belongs")
			return
		}
		serve(w, r)
	})
}

// decode reads a JSON body and refuses fields other than those of into.
func (s *server) decode(w http.ResponseWriter, r *http.Request, into any) bool {
	if r.Header.Get("Content-Type") != "application/json" {
		s.refuse(w, r, http.StatusBadRequest, "Content-Type is not application/json")
		return false
	}
	decoder := json.NewDecoder(io.LimitReader(r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		s.refuse(w, r, http.StatusUnprocessableEntity, err.Error())
		return false
	}
	return true
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// whole reads a whole number of the query within [low, high]; usual where it is missing. ok is false outside.
func whole(query url.Values, name string, low, high, usual int) (n int, ok bool) {
	text := query.Get(name)
	if text == "" {
		return usual, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= low && n <= high
}

// page cuts the page with that number, from 0, out of rows.
func page[T any](rows []T, number, size int) []T {
	first := min(number*size, len(rows))
	return rows[first:min(first+size, len(rows))]
}

// basic reports whether r carries user and password by HTTP Basic.
func basic(r *http.Request, user, password string) bool {
	u, p, ok := r.BasicAuth()
	return ok && u == user && p == password
}

// Listen serves a fake on a free port of 127.0.0.1 and returns its URL. end ends it and the requests in progress.
func Listen(fake http.Handler) (base string, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	web := &http.Server{Handler: fake, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { web.Serve(listener); close(done) }() // ends with end
	return "http://" + listener.Addr().String(), func() { web.Close(); <-done }, nil
}

// Transport hands requests to a fake without a socket. Host and scheme do not matter.
func Transport(fake http.Handler) http.RoundTripper { return transport{fake} }

type transport struct{ fake http.Handler }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	recorded := httptest.NewRecorder()
	done := make(chan bool, 1)
	go func() { // ends with the handler, which ends with ctx
		whole := false
		defer func() {
			recover() // http.ErrAbortHandler
			done <- whole
		}()
		t.fake.ServeHTTP(recorded, r.WithContext(ctx))
		whole = true
	}()
	select {
	case <-r.Context().Done():
		cancel()
		<-done
		return nil, context.Cause(r.Context())
	case finished := <-done:
		if !finished {
			return nil, errors.New("connection reset by the fake")
		}
	}
	response := recorded.Result()
	response.Request = r
	return response, nil
}
