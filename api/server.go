package api

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Options of a Server. Listen is required; everything else may be zero.
type Options struct {
	Listen   string           // host:port; port 0 takes a free one
	TLS      *tls.Config      // nil: plain HTTP
	Ready    func() Readiness // asked at each /readyz; nil: ready from the start
	Metrics  *Metrics         // nil: no /metrics
	Calls    Calls            // nil: no /debug/calls
	Accounts Accounts         // nil: no API
	Traffic  Traffic          // nil: the API has neither calls nor keys of pace
	Webhooks Webhooks         // nil: the API has none
	Limit    Limit            // of each API key; zero: none
	// Settle returns when every change that was committed before is in force; nil: changes are answered as soon as they are
	// committed.
	Settle func(ctx context.Context) error
	Log    *slog.Logger // nil: nothing is logged

	Registrations func() []Registration // by name of trunk; called concurrently; nil: no /debug/registrations
	Bindings      func() []Binding      // of every agent that may register; called concurrently; nil: no /debug/agents
}

// Limits of one HTTP exchange. A scrape of a large edge is the slowest answer there is; the API sets its own.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 30 * time.Second
	writeTimeout  = 60 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10 // bytes
)

// Server answers HTTP. Its methods may be called from any goroutine.
type Server struct {
	listener net.Listener
	http     *http.Server
	mux      *http.ServeMux
	options  Options
	ending   chan struct{} // closed by Shutdown, so that streams end
}

// Listen opens the socket, so that a used port is known before anything else starts; nothing is answered before Serve.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, err
	}
	if o.TLS != nil {
		listener = tls.NewListener(listener, o.TLS)
	}
	s := &Server{listener: listener, mux: http.NewServeMux(), options: o, ending: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	s.http.RegisterOnShutdown(func() { close(s.ending) })
	s.handle("GET /healthz", http.HandlerFunc(healthy))
	s.handle("GET /readyz", http.HandlerFunc(s.ready))
	if o.Metrics != nil {
		s.handle("GET /metrics", o.Metrics.handler())
	}
	if o.Calls != nil {
		s.handleCalls()
	}
	if o.Accounts != nil {
		if err := s.openDoor(); err != nil {
			return nil, errors.Join(fmt.Errorf("OpenAPI document: %w", err), listener.Close())
		}
	}
	if o.Registrations != nil {
		s.handle("GET /debug/registrations", fromHere(http.HandlerFunc(s.registrations)))
	}
	if o.Bindings != nil {
		s.handle("GET /debug/agents", fromHere(http.HandlerFunc(s.bindings)))
	}
	return s, nil
}

// Handle adds a resource under a pattern of http.ServeMux. It is called before Serve.
func (s *Server) Handle(pattern string, handler http.Handler) { s.handle(pattern, handler) }

func (s *Server) handle(pattern string, handler http.Handler) {
	if s.options.Metrics != nil {
		handler = s.options.Metrics.counted(pattern, handler)
	}
	s.mux.Handle(pattern, handler)
}

// Addr is the address listened on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers until Shutdown or Close; it then returns nil.
func (s *Server) Serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown ends streams, lets running requests finish until ctx ends, and cuts off the rest.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.http.Close())
	}
	return nil
}
