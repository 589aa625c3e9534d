//go:build interop

package peers

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"trunkline/internal/carrier"
	"trunkline/store"
)

var soakFor = flag.Duration("soak", 20*time.Second, "how long TestSoak keeps its load up")

// The parties of a soak have addresses of their own, so that it can go on for hours beside other tests and other soaks.
var (
	soakEdge      = soakHost(1)
	soakCarrier   = soakHost(2)
	soakApp       = soakHost(3)
	soakRinging   = soakHost(4)  // an application that never answers
	soakSeller    = soakHost(5)  // an application that transfers its calls
	soakRegistrar = soakHost(6)  // Kamailio, and the network behind it
	soakTalker    = soakHost(7)  // a carrier whose calls have media
	soakListener  = soakHost(8)  // the application they go to
	soakTested    = soakHost(9)  // a carrier that trunk tests are made of
	soakPhones    = soakHost(10) // an edge whose trunks are agents of this one: they register on it
)

func soakHost(n int) string { return fmt.Sprintf("127.1.%d.%d", os.Getpid()%256, n) }

// soak is an edge among all its parties, under a mixed load.
type soak struct {
	*stage
	at         netip.AddrPort // where the edge takes SIP
	refusing   netip.AddrPort // a carrier's server that refuses every call
	taking     netip.AddrPort // a carrier's server that can be transferred to
	ringing    netip.AddrPort
	registrar  Kamailio
	talker     *carrier.Carrier
	listener   *carrier.App
	tested     *carrier.Carrier
	phones     *Edge
	generation int // of the configuration

	mu     sync.Mutex
	talks  int            // calls with media that were good
	failed int            // and those that were not
	tests  map[string]int // trunk tests over the API, by what came of them
}

// alone is an edge that knows nobody.
func (s *soak) alone() string {
	return fmt.Sprintf(`
sip: {listen: ["udp://%[1]s", "tcp://%[1]s"]}
media: {relay: true, ports: 10000-%[2]d}
trace: {memory: 2MiB}
log: {level: warn}
probe: {allow_private_targets: true, interval: 1m}
`, s.at, 10000+mediaPorts()-1)
}

// config is the soak's configuration; each generation differs in what a reload may change.
func (s *soak) config() string {
	return s.alone() + fmt.Sprintf(`
trunks:
  - {name: carrier, server: "%[1]s", source_addresses: ["%[2]s"], max_calls: %[3]d}
  - {name: refusing, server: "%[4]s"}
  - {name: taking, server: "%[5]s"}
  - {name: registrar, server: "%[6]s", domain: carrier.example, auth_user: customer, auth_password: s3cret, register: true, register_expires: 1m}
  - {name: talker, server: "%[7]s", source_addresses: ["%[8]s"], health: {interval: 5s}}
  - {name: came-and-went-%[3]d, server: "%[1]s"}
agents:
  - {name: app, destinations: [{uri: "sip:%[9]s"}], source_addresses: ["%[10]s"]}
  - {name: ringing, destinations: [{uri: "sip:%[11]s"}], source_addresses: ["%[12]s"]}
  - {name: seller, source_addresses: ["%[13]s"]}
  - {name: listener, destinations: [{uri: "sip:%[14]s"}], source_addresses: ["%[15]s"]}
%[16]s
numbers:
  - {number: "+15550000001", trunk: carrier, inbound_agent: app, outbound_agent: app}
  - {number: "+15550000002", trunk: carrier, inbound_agent: ringing}
  - {number: "+15550000003", trunk: carrier, outbound_agent: app, routes: [{trunk: refusing, priority: 1}, {trunk: carrier, priority: 2}]}
  - {number: "+15550000004", trunk: taking, outbound_agent: seller}
  - {number: "+15550000005", trunk: registrar, outbound_agent: app}
  - {number: "+15550000006", trunk: talker, inbound_agent: listener}
`, s.carrier, soakCarrier, 10000+s.generation, s.refusing, s.taking, s.registrar.Listen, s.talker.Addr(), soakTalker,
		s.app, soakApp, s.ringing, soakRinging, soakSeller, s.listener.Addr(), soakListener, phoneLines("  - {name: phone-%d, auth_user: user-%[1]d, auth_password: s3cret}"))
}

// phoneLines writes a line for each phone.
func phoneLines(line string) string {
	var lines []string
	for i := range phoneCount {
		lines = append(lines, fmt.Sprintf(line, i))
	}
	return strings.Join(lines, "\n")
}

const phoneCount = 100 // each registers for a minute, so that about two do each second

func newSoak(t *testing.T) *soak {
	t.Helper()
	Need(t, "sipp", "kamailio")
	s := &soak{stage: &stage{carrier: FreePort(t, soakCarrier), app: FreePort(t, soakApp)}, at: FreePort(t, soakEdge), refusing: FreePort(t, soakCarrier),
		taking: FreePort(t, soakCarrier), ringing: FreePort(t, soakRinging), tests: map[string]int{}}
	s.registrar = Kamailio{Listen: FreePort(t, soakRegistrar), Behind: FreePort(t, soakRegistrar), User: "customer", Password: "s3cret", MaxExpires: 60}
	s.registrar.Start(t)
	for file, at := range map[string]netip.AddrPort{"uas.xml": s.app, "uas-ring.xml": s.ringing, "uas-503.xml": s.refusing, "uas-transferred.xml": s.taking} {
		SIPp{Scenario: scenario(file), Local: at, Pause: time.Second}.Start(t)
	}
	SIPp{Scenario: scenario("uas.xml"), Local: s.carrier}.Start(t)
	SIPp{Scenario: scenario("uas.xml"), Local: s.registrar.Behind}.Start(t)
	var err error
	s.talker, err = carrier.Start(t.Context(), carrier.Options{Listen: FreePort(t, soakTalker), Contact: "sip:" + s.at.String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.talker.Close() })
	if s.listener, err = carrier.StartApp(t.Context(), carrier.AppOptions{Listen: FreePort(t, soakListener), Edge: s.at}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.listener.Close() })
	s.tested, err = carrier.Start(t.Context(), carrier.Options{Listen: FreePort(t, soakTested), User: "customer", Password: "s3cret", Contact: "sip:" + s.at.String(), DIDs: []string{testNumber}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.tested.Close() })
	s.Edge = StartEdge(t, EdgeOptions{Config: s.config(), Env: []string{"GOGC=" + fmt.Sprint(collectorPercent)}})
	s.phones = StartEdge(t, EdgeOptions{Config: fmt.Sprintf("sip: {listen: [\"udp://%s\"]}\nlog: {level: warn}\ntrunks:\n%s\n", FreePort(t, soakPhones),
		phoneLines(fmt.Sprintf("  - {name: trunk-%%d, server: %q, domain: trunkline, auth_user: user-%%[1]d, auth_password: s3cret, register: true, register_expires: 1m}", s.at)))})
	return s
}

// soakLoad is one kind of call of the mix, at a rate per second of its own.
type soakLoad struct {
	name, scenario string
	from           string // host
	to             string // called number
	caller         string
	rate           int
	pause          time.Duration
	transport      string // empty: udp
}

// soakLoads are 95 calls a second; five more a second have media.
var soakLoads = []soakLoad{
	{name: "in", scenario: "uac-hold.xml", from: soakCarrier, to: "+15550000001", caller: theirNumber, rate: 35, pause: 3 * time.Second},
	{name: "held and resumed", scenario: "uac-reinvite.xml", from: soakCarrier, to: "+15550000001", caller: theirNumber, rate: 15, pause: time.Second},
	{name: "cancelled", scenario: "uac-cancel.xml", from: soakCarrier, to: "+15550000002", caller: theirNumber, rate: 10, pause: 500 * time.Millisecond},
	{name: "out", scenario: "uac-hold.xml", from: soakApp, to: theirNumber, caller: "+15550000001", rate: 20, pause: 2 * time.Second, transport: "tcp"},
	{name: "second choice", scenario: "uac.xml", from: soakApp, to: theirNumber, caller: "+15550000003", rate: 5, pause: time.Second},
	{name: "transferred", scenario: "uac-refer.xml", from: soakSeller, to: theirNumber, caller: "+15550000004", rate: 5, pause: time.Second},
	{name: "challenged", scenario: "uac-hold.xml", from: soakApp, to: theirNumber, caller: "+15550000005", rate: 5, pause: time.Second},
}

const talksPerSecond, talkFor = 5, 8 * time.Second

// TestSoak: calls of every kind at a hundred a second, with holds, transfers, cancels, media, challenges, second choices, registrations
// both ways, trunk tests, health checks and reloads. Every call is good and has its record, and the edge takes no more at the end
// than at the beginning. `make soak` runs it for two hours.
func TestSoak(t *testing.T) {
	t.Parallel()
	s := newSoak(t)
	key := s.key(t)
	before := s.footprint()
	start := time.Now()
	type running struct {
		name       string
		process    *Process
		statistics string
		wanted     int
	}
	var callers []running
	for _, l := range soakLoads {
		wanted := l.rate * int(soakFor.Seconds())
		p, statistics := SIPp{Scenario: scenario(l.scenario), Local: FreePort(t, l.from), Remote: s.at, Service: l.to, Transport: l.transport, Calls: wanted,
			Rate: l.rate, Pause: l.pause, Keys: map[string]string{"caller": l.caller}, Limit: *soakFor + time.Minute}.start(t)
		callers = append(callers, running{l.name, p, statistics, wanted})
	}
	var beside sync.WaitGroup
	over := make(chan struct{})
	every := func(pause time.Duration, do func()) {
		beside.Go(func() {
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				select {
				case <-over:
					return
				case <-tick.C:
					do()
				}
			}
		})
	}
	every(time.Second/talksPerSecond, func() { beside.Go(func() { s.talk(t) }) })
	every(5*time.Second, func() { s.testTrunk(t, key) })
	every(max(*soakFor/240, 5*time.Second), func() {
		s.generation++
		s.Configure(EdgeOptions{Config: s.config()})
		s.Signal(syscall.SIGHUP)
	})
	var seen []footprint
	every(max(*soakFor/120, time.Second), func() { seen = append(seen, s.watch(t, time.Since(start))) })
	time.Sleep(*soakFor)
	close(over)
	beside.Wait()

	for _, c := range callers {
		c.process.Wait(90 * time.Second)
		r, err := readStatistics(c.statistics)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		t.Logf("%-17s %+v", c.name, r)
		if r.Good != c.wanted || r.Failed != 0 {
			t.Errorf("%s: %+v, want %d good", c.name, r, c.wanted)
		}
	}
	s.quiet(t)
	t.Logf("with media: %d good, %d not; trunk tests: %v; %d reloads", s.talks, s.failed, s.tests, s.generation)
	if s.failed > 0 || s.talks == 0 || s.tests["200 pass"] == 0 || len(s.tests) != 1 {
		t.Error("calls with media or trunk tests went wrong")
	}
	m := s.Metrics()
	if limit := m.Sum("trunkline_calls_limit", `trunk="carrier"`); int(limit) != 10000+s.generation {
		t.Errorf("the limit is %g after %d reloads", limit, s.generation)
	}
	if n := s.phones.Metrics().Sum("trunkline_registration_state", `state="registered"`); n != phoneCount {
		t.Errorf("%g of %d phones are registered", n, phoneCount)
	}
	s.phones.Stop()
	for series, n := range m {
		if strings.HasPrefix(series, "trunkline_sip_retransmissions_total") && n > 0 {
			t.Logf("%s %.0f", series, n)
		}
	}
	if n := m.Sum("trunkline_rtp_ports_in_use"); n != 0 {
		t.Errorf("%g ports are in use", n)
	}
	flat(t, seen)
	s.Configure(EdgeOptions{Config: s.alone()}) // no trunk is left whose health is asked for every few seconds
	s.Signal(syscall.SIGHUP)
	s.returnsTo(t, before, 16<<20)
	s.Stop()
	s.checkRecords(t)
}

// key is a new key of the API.
func (s *soak) key(t *testing.T) string {
	t.Helper()
	status, key, complaint := Command(t, "key", "create", "--name", "soak", "--config", s.File)
	if status != 0 {
		t.Fatalf("key create: %s", complaint)
	}
	return strings.TrimSpace(key)
}

// talk is one call with a tone each way.
func (s *soak) talk(t *testing.T) {
	good := func() bool {
		call, err := s.talker.Call(t.Context(), theirNumber, "+15550000006")
		if err != nil {
			t.Error(err)
			return false
		}
		time.Sleep(talkFor)
		if err := call.HangUp(t.Context()); err != nil {
			t.Error(err)
			return false
		}
		heard := call.Info().Media
		if heard.Hertz != appTone || heard.Received < uint64(talkFor/(20*time.Millisecond)/2) || heard.Lost > heard.Received/100 {
			t.Errorf("after %s: %+v", talkFor, heard)
			return false
		}
		return true
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	if good {
		s.talks++
	} else {
		s.failed++
	}
}

const testNumber = "+15550000099" // the tested carrier sends its calls back to the edge

// testTrunk asks the API to test a carrier: credentials, a call in and a call out.
func (s *soak) testTrunk(t *testing.T, key string) {
	body, err := json.Marshal(map[string]any{"provider": "manual", "credentials": map[string]any{"username": "customer", "password": "s3cret"},
		"sip_config": map[string]any{"server": s.tested.Addr().String(), "domain": "carrier.example", "transport": "udp", "register": true,
			"source_addresses": []string{soakTested}, "test_number": testNumber}})
	if err != nil {
		t.Error(err)
		return
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTP.String()+"/v1/voip-connections/test", bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Error(err)
		return
	}
	defer response.Body.Close()
	var answer struct {
		Status string
		Checks map[string]any
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tests[fmt.Sprintf("%d %s", response.StatusCode, answer.Status)]++
	if answer.Status != "pass" {
		t.Logf("trunk test: %+v", answer)
	}
}

// watch logs what the edge takes.
func (s *soak) watch(t *testing.T, since time.Duration) footprint {
	m, now := s.Metrics(), s.footprint()
	t.Logf("%7.0f s: %5.0f calls, %6.0f transactions, %5.0f ports, %4.0f goroutines, %5.0f files, %5.1f MiB heap, %5.1f MiB resident, %.0f repeated",
		since.Seconds(), m.Sum("trunkline_calls"), m.Sum("trunkline_sip_transactions"), m.Sum("trunkline_rtp_ports_in_use"), now.goroutines, now.files,
		now.heap/(1<<20), now.resident/(1<<20), m.Sum("trunkline_sip_retransmissions_total", `direction="tx"`))
	return now
}

// flat compares the last quarter of a long run with the second one; in a run of less than ten minutes what is pooled still grows.
func flat(t *testing.T, seen []footprint) {
	t.Helper()
	if *soakFor < 10*time.Minute {
		return
	}
	for name, of := range map[string]func(footprint) float64{
		"goroutines": func(f footprint) float64 { return f.goroutines }, "files": func(f footprint) float64 { return f.files },
		"live heap": func(f footprint) float64 { return f.heap }, "resident": func(f footprint) float64 { return f.resident },
	} {
		middle := func(part []footprint) float64 {
			values := make([]float64, len(part))
			for i, f := range part {
				values[i] = of(f)
			}
			slices.Sort(values)
			return values[len(values)/2]
		}
		quarter := len(seen) / 4
		early, late := middle(seen[quarter:2*quarter]), middle(seen[3*quarter:])
		t.Logf("%s: %.0f in the second quarter, %.0f in the last", name, early, late)
		if late > early*1.1+8 {
			t.Errorf("%s grew from %.0f to %.0f", name, early, late)
		}
	}
}

// checkRecords: each call left one record. A transfer leaves two, a call that found another trunk one.
func (s *soak) checkRecords(t *testing.T) {
	t.Helper()
	want := map[string]int{"answered": s.talks}
	for _, l := range soakLoads {
		n := l.rate * int(soakFor.Seconds())
		switch l.name {
		case "cancelled":
			want["cancelled"] += n
		case "transferred":
			want["answered"] += 2 * n
		default:
			want["answered"] += n
		}
	}
	got, ids := map[string]int{}, map[string]bool{}
	s.EachRecord(func(r store.Stored) {
		got[r.Outcome]++
		ids[r.ID] = true
	})
	t.Logf("records: %v", got)
	if fmt.Sprint(got) != fmt.Sprint(want) || len(ids) != got["answered"]+got["cancelled"] {
		t.Errorf("%v in %d records, want %v", got, len(ids), want)
	}
}
