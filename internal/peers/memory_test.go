//go:build interop

package peers

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMemoryOutlivesTheProcess: an edge that is killed knows again, when it starts, where a telephone has registered, and how much of its minutes
// of today it has used, the call that was cut off included. A call reaches the telephone before it registers again. The same after SIGTERM.
func TestMemoryOutlivesTheProcess(t *testing.T) {
	Need(t, "sipp", "baresip", "sqlite3")
	at, carrier := FreePort(t, EdgeHost), FreePort(t, CarrierHost)
	o := EdgeOptions{Data: filepath.Join(t.TempDir(), "data"), Config: fmt.Sprintf(`sip: {listen: ["udp://%s"], registrar: {digest: md5}}
trunks: [{name: carrier, server: "%s", source_addresses: [127.0.0.2]}]
organizations: [{name: acme, toll: {minutes_per_day: 600}}]
agents: [{name: phone, organization: acme, auth_user: "%[3]s", auth_password: secret, toll: {minutes_per_day: 600}}]
numbers: [{number: "%[3]s", trunk: carrier, inbound_agent: phone, outbound_agent: phone}]
`, at, carrier, ourNumber)}
	e := StartEdge(t, o)
	phone := Baresip{Listen: FreePort(t, AppHost), User: ourNumber, Domain: at.String(), Password: "secret", Register: true}.Start(t)
	e.WaitFor(10*time.Second, "the telephone registers", func() bool { return e.Metrics().Sum("trunkline_agent_bindings") == 1 })

	answering := SIPp{Scenario: scenario("uas.xml"), Local: carrier}.Start(t)
	defer answering.Stop()
	phone.Dial("sip:" + theirNumber + "@" + at.String())
	remembered := func(query string) string {
		out, err := exec.Command("sqlite3", "-readonly", "-cmd", ".timeout 2000", filepath.Join(o.Data, "trunkline.db"), query).CombinedOutput()
		if err != nil {
			t.Logf("%s: %s", query, out)
		}
		return strings.TrimSpace(string(out))
	}
	used := 0
	e.WaitFor(30*time.Second, "three seconds of a call in progress are written", func() bool {
		used, _ = strconv.Atoi(remembered("SELECT min(used_ms) FROM tolls HAVING count(*) = 2"))
		return used >= 3000 && e.Metrics().Sum("trunkline_calls", `state="answered"`) == 1
	})
	if got := remembered("SELECT count(*) FROM agent_bindings"); got != "1" {
		t.Fatalf("%s bindings are written", got)
	}
	e.Kill()
	phone.HangUp()

	for _, stop := range []string{"SIGKILL", "SIGTERM"} {
		e = StartEdge(t, o)
		m := e.Metrics()
		if n := m.Sum("trunkline_agent_bindings"); n != 1 {
			t.Errorf("after %s: %v bindings", stop, n)
		}
		for _, payer := range []string{"agent", "organization"} {
			if s := m.Sum("trunkline_toll_used_seconds", `payer="`+payer+`"`); s < float64(used)/1000 {
				t.Errorf("after %s: %s has used %v s of %v", stop, payer, s, float64(used)/1000)
			}
		}
		r := SIPp{Scenario: scenario("uac.xml"), Local: FreePort(t, CarrierHost), Remote: at, Service: ourNumber, Calls: 1, Pause: 200 * time.Millisecond,
			Keys: map[string]string{"caller": theirNumber}, Limit: 20 * time.Second}.Run(t)
		if r.Good != 1 {
			t.Errorf("after %s: the call does not reach the telephone: %+v", stop, r)
		}
		if n := e.Metrics().Sum("trunkline_agent_registrations_total", `result="accepted"`); n != 0 {
			t.Logf("after %s: the telephone had registered again", stop)
		}
		e.Signal(syscall.SIGTERM)
		if status := e.Wait(20 * time.Second); status != 0 {
			t.Errorf("exit status %d", status)
		}
	}
}
