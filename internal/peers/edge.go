package peers

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"trunkline/store"
)

// Edge is `trunkline serve`, the program as it ships, in a process of its own.
type Edge struct {
	*Process
	HTTP netip.AddrPort
	Data string // its storage.directory
	File string // its configuration

	t  testing.TB
	in *Namespace
}

// EdgeOptions are what an edge is started with. The zero value of the rest takes what the configuration's default is.
type EdgeOptions struct {
	Config string     // sipgo.yaml without http and storage, which are ours
	HTTP   string     // further keys of http, as "rate_limit: 0"
	Data   string     // storage.directory; empty: a new folder
	Store  string     // further keys of storage, as "commit_interval: 1s"
	Env    []string   // in addition to the test's own
	In     *Namespace // the network it runs in; nil: the test's own
}

// StartEdge starts an edge and waits until it takes calls.
func StartEdge(t testing.TB, o EdgeOptions) *Edge {
	t.Helper()
	e := NewEdge(t, o)
	t.Cleanup(e.bugs)
	e.WaitFor(20*time.Second, "it takes calls", func() bool {
		code, _ := e.Get("/readyz")
		return code == http.StatusOK
	})
	return e
}

// NewEdge starts an edge that may fail to come up.
func NewEdge(t testing.TB, o EdgeOptions) *Edge {
	t.Helper()
	dir := t.TempDir()
	e := &Edge{HTTP: FreePort(t, EdgeHost), Data: o.Data, File: filepath.Join(dir, "sipgo.yaml"), t: t, in: o.In}
	if e.Data == "" {
		e.Data = filepath.Join(dir, "data")
	}
	e.Configure(o)
	e.Process = Start(t, Spec{Name: "trunkline", Dir: dir, Env: o.Env, In: o.In, Args: []string{Binary(t), "serve", "--config", e.File}})
	return e
}

// bugs fails the test when the edge has met one: a panic, a data race in a binary that looks for them.
func (e *Edge) bugs() {
	e.Stop()
	for _, sign := range []string{"panic", "DATA RACE", "fatal error:"} {
		if strings.Contains(e.Log(), sign) {
			e.t.Errorf("the edge's log has %q", sign)
		}
	}
}

// Configure writes the configuration anew, for a reload. Data of the options is not looked at.
func (e *Edge) Configure(o EdgeOptions) {
	e.t.Helper()
	text := fmt.Sprintf("http: {listen: %q, %s}\nstorage: {directory: %q, %s}\n%s", e.HTTP, o.HTTP, e.Data, o.Store, o.Config)
	if err := os.WriteFile(e.File, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// Get returns the status and body of an HTTP path, 0 while nobody answers.
func (e *Edge) Get(path string) (int, string) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: e.in.Dial}}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + e.HTTP.String() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// Metrics scrapes the edge; the test fails when that does not work.
func (e *Edge) Metrics() Metrics {
	e.t.Helper()
	code, body := e.Get("/metrics")
	if code != http.StatusOK {
		e.t.Fatalf("/metrics: %d %s", code, body)
	}
	return parseMetrics(body)
}

// Records returns the call records, newest first. The edge must have ended: its file has one owner.
func (e *Edge) Records() (all []store.Stored) {
	e.t.Helper()
	e.EachRecord(func(r store.Stored) { all = append(all, r) })
	return all
}

// EachRecord is Records for more of them than memory should hold.
func (e *Edge) EachRecord(visit func(store.Stored)) {
	e.t.Helper()
	records, err := store.OpenRecords(e.Data, store.Options{})
	if err != nil {
		e.t.Fatal(err)
	}
	const page = 10_000
	for before := int64(0); ; {
		some, err := records.Recent(context.Background(), page, before)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, r := range some {
			visit(r)
		}
		if len(some) < page {
			break
		}
		before = some[len(some)-1].Seq
	}
	if err := records.Close(context.Background()); err != nil {
		e.t.Fatal(err)
	}
}

// build makes the binary once for all tests of a process.
var build = sync.OnceValues(func() (string, error) {
	if binary := os.Getenv("TRUNKLINE_TEST_BINARY"); binary != "" {
		return filepath.Abs(binary)
	}
	dir, err := os.MkdirTemp("", "trunkline-test-*")
	if err != nil {
		return "", err
	}
	builtIn = dir
	binary := filepath.Join(dir, "trunkline")
	args := []string{"build", "-o", binary, "-tags", "sqlite_omit_load_extension"}
	if raceDetector {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, "trunkline/cmd/trunkline")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
})

var builtIn string // folder of the binary; empty: not built

// Binary returns the path of the trunkline binary, built from this tree when it is first asked for. TRUNKLINE_TEST_BINARY names
// another one, as the static build of a release.
func Binary(t testing.TB) string {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// Main runs the tests of a package that uses Binary, and removes it afterwards. TestMain calls it. When all tests have ended well it
// asks each of after, whose errors fail the run as well.
func Main(m *testing.M, after ...func() error) {
	status := m.Run()
	for _, check := range after {
		if status != 0 {
			break
		}
		if err := check(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	if builtIn != "" {
		os.RemoveAll(builtIn)
	}
	os.Exit(status)
}

// Command runs a trunkline command that ends by itself and returns its exit status, stdout and stderr.
func Command(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, talk strings.Builder
	cmd := exec.CommandContext(ctx, Binary(t), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &out, &talk
	err := cmd.Run()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), talk.String()
}
