package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// serve starts a server on a free loopback port and returns its base URL.
func serve(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, "http://" + s.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestHealthAndReadiness(t *testing.T) {
	var ready atomic.Bool
	_, url := serve(t, Options{Ready: func() Readiness {
		return Readiness{Ready: ready.Load(), Parts: []Part{{"sip", "up"}, {"store", "disk full"}}}
	}})

	if code, _ := get(t, url+"/healthz"); code != 200 {
		t.Errorf("a process that is not ready is still alive: /healthz gave %d", code)
	}
	if code, body := get(t, url+"/readyz"); code != 503 || !strings.Contains(body, `"not ready"`) {
		t.Errorf("before it is ready: %d %s", code, body)
	}
	ready.Store(true)
	code, body := get(t, url+"/readyz")
	if code != 200 || body != `{"status":"ready","parts":[{"name":"sip","state":"up"},{"name":"store","state":"disk full"}]}`+"\n" {
		t.Errorf("once it is ready: %d %s", code, body)
	}
}

func TestMetricsAreLintedAndCountRoutes(t *testing.T) {
	m := NewMetrics(Build{Version: "v1", Commit: "abc", Go: "go1.26"}, nil)
	_, url := serve(t, Options{Metrics: m})

	problems, err := testutil.GatherAndLint(m.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	get(t, url+"/healthz?secret=1")
	get(t, url+"/unknown/path")
	code, body := get(t, url+"/metrics")
	if code != 200 {
		t.Fatalf("/metrics: %d", code)
	}
	for _, want := range []string{
		`trunkline_build_info{commit="abc",go="go1.26",version="v1"} 1`,
		`trunkline_http_requests_total{code="2xx",method="GET",route="/healthz"} 1`,
		`trunkline_http_requests_total{code="5xx",method="GET",route="/readyz"} 0`,
		`trunkline_config_last_reload_successful 0`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, never := range []string{"unknown/path", "secret"} {
		if strings.Contains(body, never) {
			t.Errorf("/metrics has a label made of what somebody asked for: %s", never)
		}
	}
	m.Reloaded(time.UnixMilli(1_700_000_000_500), true)
	if _, body := get(t, url+"/metrics"); !strings.Contains(body, "trunkline_config_last_reload_success_timestamp_seconds 1.7000000005e+09") {
		t.Error("the time of the last good reload is not shown")
	}
}

func TestUsedPortIsAnErrorAtOnce(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := Listen(Options{Listen: taken.Addr().String()}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v", err)
	}
}

func TestShutdownLetsARequestFinish(t *testing.T) {
	s, err := Listen(Options{Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	begun, release := make(chan struct{}), make(chan struct{})
	s.Handle("GET /slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		io.WriteString(w, "whole")
	}))
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	answer := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + s.Addr().String() + "/slow")
		if err != nil {
			answer <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answer <- string(body)
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(context.Background()) }()
	close(release)
	if got := <-answer; got != "whole" {
		t.Errorf("the request in progress got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}
