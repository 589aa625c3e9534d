package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"trunkline/config"
	"trunkline/trunks"
)

// edgeUnderTest is a daemon in this process, with a trunk and an agent that are sockets of the test.
type edgeUnderTest struct {
	t       *testing.T
	file    string // its configuration
	sip     string // host:port
	http    string // host:port
	signals chan os.Signal
	ended   chan error
	log     *lockedLog

	carrier, agent *phone
}

// settings fills the configuration file of a test.
type settings struct{ sip, http, directory, carrier, agent, more string }

func (s settings) write(t *testing.T, file string) {
	t.Helper()
	media := "media: {relay: false}"
	if strings.Contains(s.more, "media:") {
		media = "" // the test has its own
	}
	text := fmt.Sprintf(`sip: {listen: ["udp://%s"]}
%[7]s
http: {listen: "%[2]s"}
storage: {directory: %[3]s}
trunks: [{name: carrier, server: "%[4]s", source_addresses: ["%[4]s"]}]
agents: [{name: app, destinations: [{uri: "sip:%[5]s;transport=udp"}], source_addresses: ["%[5]s"]}]
numbers: [{number: "+15550001234", trunk: carrier, inbound_agent: app, outbound_agent: app}]
%[6]s
`, s.sip, s.http, s.directory, s.carrier, s.agent, s.more, media)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startServe runs serve in this process until the test ends it, and waits until it is ready.
func startServe(t *testing.T, more string) *edgeUnderTest {
	t.Helper()
	e := idleServe(t)
	e.write(more)
	e.start()
	return e
}

// idleServe is an edge whose file is not written yet.
func idleServe(t *testing.T) *edgeUnderTest {
	t.Helper()
	return &edgeUnderTest{
		t: t, file: filepath.Join(t.TempDir(), "sipgo.yaml"), sip: freePort(t, "udp"), http: freePort(t, "tcp"),
		signals: make(chan os.Signal, 4), ended: make(chan error, 1), log: new(lockedLog),
		carrier: newPhone(t), agent: newPhone(t),
	}
}

// start runs serve with the file.
func (e *edgeUnderTest) start() {
	t := e.t
	t.Helper()
	c, err := loadConfig(e.file)
	if err != nil {
		t.Fatal(err)
	}
	level := new(slog.LevelVar)
	log, flush, err := newLog(e.log, config.LogText, level)
	if err != nil {
		t.Fatal(err)
	}
	go func() { e.ended <- serve(context.Background(), c, e.file, log, level, e.signals) }() // ends by a signal
	t.Cleanup(func() {
		defer flush()
		select {
		case <-e.ended:
			return
		default:
		}
		e.signals <- syscall.SIGTERM
		e.signals <- syscall.SIGTERM
		select {
		case <-e.ended:
		case <-time.After(10 * time.Second):
			t.Error("the daemon does not end")
		}
	})
	within(t, 5*time.Second, "it is ready", func() bool { code, _ := e.get("/readyz"); return code == http.StatusOK })
}

func (e *edgeUnderTest) write(more string) {
	e.t.Helper()
	settings{e.sip, e.http, filepath.Join(filepath.Dir(e.file), "data"), e.carrier.address(), e.agent.address(), more}.write(e.t, e.file)
}

// get returns the status and body of a path, 0 while nobody answers.
func (e *edgeUnderTest) get(path string) (int, string) {
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("http://" + e.http + path)
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

// end waits for serve to return.
func (e *edgeUnderTest) end() error {
	e.t.Helper()
	select {
	case err := <-e.ended:
		e.ended <- err // for the cleanup
		return err
	case <-time.After(10 * time.Second):
		e.t.Fatal("the daemon does not end")
		return nil
	}
}

func TestDrainLetsACallEndAndRefusesNewOnes(t *testing.T) {
	e := startServe(t, "drain: {deadline: 30s}")
	call := e.callIn("1")
	e.signals <- syscall.SIGTERM
	within(t, 5*time.Second, "readiness is off", func() bool { code, _ := e.get("/readyz"); return code == http.StatusServiceUnavailable })

	e.carrier.send(e.sip, invite(e, "2"))
	refusal := e.carrier.expect("SIP/2.0 503")
	if header(refusal, "Retry-After") == "" {
		t.Errorf("a 503 for a drain says when to come back:\n%s", refusal)
	}
	e.carrier.send(e.sip, ack(e, refusal, "2"))
	call.hangUp(e)
	if err := e.end(); err != nil {
		t.Errorf("a drain that ended its calls is no failure: %v", err)
	}
}

// OVL-04: the binding stays while a call is up, and goes behind the BYE of a call that outlasts the deadline.
func TestDrainTakesRegistrationsBackLast(t *testing.T) {
	e := startServe(t, "drain: {deadline: 500ms}")
	text, err := os.ReadFile(e.file)
	if err != nil {
		t.Fatal(err)
	}
	registering := strings.Replace(string(text), "name: carrier,", "name: carrier, register: true, auth_user: u, auth_password: p,", 1)
	if err := os.WriteFile(e.file, []byte(registering), 0o600); err != nil {
		t.Fatal(err)
	}
	e.signals <- syscall.SIGHUP
	e.carrier.answer(e.sip, e.carrier.expect("REGISTER "), "200 OK", "")
	within(t, 5*time.Second, "it is registered", func() bool {
		_, page := e.get("/readyz")
		return strings.Contains(page, `"registrations","state":"up"`)
	})
	e.callIn("1")
	e.signals <- syscall.SIGTERM
	e.agent.answer(e.sip, e.agent.expect("BYE "), "200 OK", "")
	next := e.carrier.expect("")
	if !strings.HasPrefix(next, "BYE ") {
		t.Errorf("before the BYE comes\n%s", next)
	}
	e.carrier.answer(e.sip, next, "200 OK", "")
	gone := e.carrier.expect("REGISTER ")
	if header(gone, "Expires") != "0" {
		t.Errorf("not taken back:\n%s", gone)
	}
	e.carrier.answer(e.sip, gone, "200 OK", "")
	if err := e.end(); err != nil {
		t.Error(err)
	}
}

func TestSecondSignalEndsCallsAtOnce(t *testing.T) {
	e := startServe(t, "drain: {deadline: 1h}")
	e.callIn("1")
	e.signals <- syscall.SIGTERM
	within(t, 5*time.Second, "readiness is off", func() bool { code, _ := e.get("/readyz"); return code == http.StatusServiceUnavailable })
	start := time.Now()
	e.signals <- syscall.SIGTERM
	e.carrier.expect("BYE ")
	e.agent.expect("BYE ")
	if err := e.end(); exitStatus(err) != exitInterrupted {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("it took %s", took)
	}
}

func TestReloadAppliesTheDifferenceAndKeepsTheCall(t *testing.T) {
	e := startServe(t, "")
	call := e.callIn("1")
	stranger := newPhone(t)
	stranger.send(e.sip, invite(e, "9"))
	stranger.expect("SIP/2.0 403")

	// A file with a mistake changes nothing but the gauge.
	e.write("nonsense: 1")
	e.signals <- syscall.SIGHUP
	within(t, 5*time.Second, "the mistake is told", func() bool { return strings.Contains(e.log.String(), "nonsense") })
	if _, metrics := e.get("/metrics"); !strings.Contains(metrics, "trunkline_config_last_reload_successful 0") {
		t.Error("the gauge does not say that the reload failed")
	}

	// A good one lets the stranger in.
	e.write("")
	text := strings.Replace(read(t, e.file), `numbers: [`, `numbers: [{number: "+15550009999", trunk: second, inbound_agent: app}, `, 1)
	text = strings.Replace(text, `trunks: [`, fmt.Sprintf(`trunks: [{name: second, server: %q, source_addresses: [%[1]q]}, `, stranger.address()), 1)
	if err := os.WriteFile(e.file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e.signals <- syscall.SIGHUP
	within(t, 5*time.Second, "the reload succeeds", func() bool {
		_, metrics := e.get("/metrics")
		return strings.Contains(metrics, "trunkline_config_last_reload_successful 1")
	})
	stranger.send(e.sip, strings.ReplaceAll(invite(e, "10"), "+15550001234", "+15550009999"))
	stranger.expect("SIP/2.0 100")
	e.agent.expect("INVITE ")
	call.hangUp(e)
}

func TestEachThingThatIsMissingIsOneClearLine(t *testing.T) {
	takenUDP, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer takenUDP.Close()
	takenTCP, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer takenTCP.Close()
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name   string
		change func(*settings)
		want   []string // parts of the line
	}{
		{"the SIP port is taken", func(s *settings) { s.sip = takenUDP.LocalAddr().String() },
			[]string{"sip.listen", takenUDP.LocalAddr().String(), "in use"}},
		{"the HTTP port is taken", func(s *settings) { s.http = takenTCP.Addr().String() },
			[]string{"http.listen", takenTCP.Addr().String(), "in use"}},
		{"an address that is not ours", func(s *settings) { s.sip = "192.0.2.1:5060" }, []string{"sip.listen", "192.0.2.1:5060"}},
		{"the data folder is a file", func(s *settings) { s.directory = file("plain", "") }, []string{"storage.directory", "plain", "not a directory"}},
		{"the configuration database is damaged", func(s *settings) {
			s.directory = filepath.Dir(file("a/trunkline.db", "no database, only text of some length"))
		},
			[]string{"trunkline.db"}},
		{"the call records are damaged", func(s *settings) {
			s.directory = filepath.Dir(file("b/records.db", "no database, only text of some length"))
		},
			[]string{"records.db"}},
		{"the certificate is missing", func(s *settings) { s.more = "" }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := settings{freePort(t, "udp"), freePort(t, "tcp"), t.TempDir(), "127.0.0.2:5070", "127.0.0.3:5080", ""}
			test.change(&s)
			path := filepath.Join(t.TempDir(), "sipgo.yaml")
			s.write(t, path)
			want := test.want
			if want == nil {
				text := strings.Replace(read(t, path), `"udp://`, `"tls://`+freePort(t, "tcp")+`", "udp://`, 1)
				text = strings.Replace(text, `sip: {`, `sip: {tls: {certificate: nowhere.pem, key: nowhere.key}, `, 1)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				want = []string{"certificate", "nowhere.pem"}
			}
			status, out, talk := command(t, "serve", "--config", path)
			if status != exitError || out != "" {
				t.Errorf("status %d, stdout %q", status, out)
			}
			line := lastLine(talk)
			for _, part := range append(want, "trunkline: ") {
				if !strings.Contains(talk, part) {
					t.Errorf("%q does not say %q", line, part)
				}
			}
		})
	}
}

func TestDivideCores(t *testing.T) {
	relay, signalling := config.Default(), config.Default()
	signalling.Media.Relay = false
	fixed := config.Default()
	fixed.Media.Threads, fixed.SIP.Shards = 3, 5
	for _, test := range []struct {
		name            string
		cores           int
		c               config.Config
		threads, shards int
	}{
		{"one core does both", 1, relay, 1, 1},
		{"two cores share", 2, relay, 1, 1},
		{"eight cores share", 8, relay, 4, 4},
		{"signalling has all cores when media goes past us", 2, signalling, 0, 2},
		{"the configuration rules", 8, fixed, 3, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			if threads, shards := divideCores(test.cores, test.c); threads != test.threads || shards != test.shards {
				t.Errorf("got %d threads and %d shards, want %d and %d", threads, shards, test.threads, test.shards)
			}
		})
	}
}

func TestResolveKeepsWhatItCanFind(t *testing.T) {
	here, nowhere := trunks.Host{Name: "localhost", Transport: config.UDP}, trunks.Host{Name: "no-such-host.invalid"}
	r := newResolver(config.Default())
	defer r.Close()
	found := lookUp(t.Context(), r, []trunks.Host{here, nowhere})
	if servers := found.names[here]; len(servers) == 0 || servers[0].Addr.String() != "127.0.0.1:5060" {
		t.Errorf("localhost is %v", servers)
	}
	if got, ok := found.names[nowhere]; ok {
		t.Errorf("an unknown name has servers: %v", got)
	}
	if wait := time.Until(found.until); wait < earliestRefresh-time.Second || wait > latestRefresh {
		t.Errorf("looked up again in %s", wait)
	}
	d := &daemon{names: found.names}
	later := lookUp(t.Context(), r, nil).names
	d.keepLastGood(later)
	if len(later[here]) == 0 {
		t.Error("a name lost its addresses because the resolver is down")
	}
}

func TestExitStatusOfErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), 1},
		{fmt.Errorf("a: %w", &usageError{"trunkline", errors.New("x")}), 2},
		{fmt.Errorf("a: %w", &checkError{errors.New("x")}), 3},
		{fmt.Errorf("%w by a second signal", errInterrupted), 130},
	} {
		if got := exitStatus(test.err); got != test.want {
			t.Errorf("%v: %d, want %d", test.err, got, test.want)
		}
	}
}
