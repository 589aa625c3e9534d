//go:build interop

package peers

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestRegisteredPhoneBehindNAT: an agent's telephone in a private network, behind a NAT with another port for each place, registers, is
// called, calls, holds, and is heard and hung up on, over UDP; also when the NAT is started anew in the middle of a call (AUTH-08, MED-02,
// MED-03). Nothing it says of itself can be reached from outside.
func TestRegisteredPhoneBehindNAT(t *testing.T) {
	t.Parallel()
	Need(t, "baresip")
	inside, outside, nat, err := JoinBehindNAT(t)
	if err != nil {
		t.Skip(err)
	}
	edge, near := netip.AddrPortFrom(outside.Addr, 5060), FreePort(t, EdgeHost)
	carrierAt := FreePort(t, CarrierHost)
	e := StartEdge(t, EdgeOptions{In: outside, Config: fmt.Sprintf(`
sip: {listen: ["udp://%s", "udp://%s"], registrar: {realm: trunkline.test, digest: md5, keep_alive: 5s}}
media: {relay: true, ports: 30000-30199}
trunks: [{name: line, server: "%s", listener: "udp://%[2]s", source_addresses: ["%[4]s"], media: {latch: any}}]
agents: [{name: phone, auth_user: "%[5]s", auth_password: s3cret}]
numbers: [{number: "%[5]s", trunk: line, inbound_agent: phone, outbound_agent: phone}]
`, edge, near, carrierAt, carrierAt.Addr(), ourNumber)})
	carrier := Baresip{Listen: carrierAt, User: theirNumber, Proxy: near.String(), Hertz: toneOfCarrier, In: outside}.Start(t)
	phone := Baresip{Listen: netip.AddrPortFrom(inside.Addr, 5070), User: ourNumber, Domain: edge.String(), Password: "s3cret", Register: true,
		Hertz: toneOfAgent, In: inside}.Start(t)
	Eventually(t, 10*time.Second, "the telephone is registered", func() bool { return e.Metrics().Sum("trunkline_agent_bindings") == 1 })

	if _, page := e.Get("/debug/agents"); !strings.Contains(page, "@192.168.7.2:5070") || !strings.Contains(page, "203.0.113.7:") || !strings.Contains(page, "  yes  ") || !strings.Contains(page, "baresip") {
		t.Errorf("/debug/agents says\n%s", page)
	}
	Eventually(t, 10*time.Second, "it answers a keep-alive", func() bool { return e.Metrics().Sum("trunkline_agent_keepalives_total", `result="answered"`) > 0 })

	talk := func() {
		t.Helper()
		hear(t, ear{carrier, toneOfAgent}, ear{phone, toneOfCarrier})
	}
	calls := 0
	connected := func() {
		t.Helper()
		calls++
		Eventually(t, 10*time.Second, "both telephones are connected", func() bool {
			return carrier.Count("CALL_ESTABLISHED") == calls && phone.Count("CALL_ESTABLISHED") == calls
		})
		talk()
	}
	over := func() {
		t.Helper()
		Eventually(t, 10*time.Second, "both telephones have hung up", func() bool {
			return carrier.Count("CALL_CLOSED") == calls && phone.Count("CALL_CLOSED") == calls
		})
	}

	carrier.Dial("sip:" + ourNumber + "@" + near.String())
	connected()
	phone.Hold()
	silent(t, carrier, phone)
	phone.Resume()
	talk()
	carrier.HangUp()
	over()

	phone.Dial("sip:" + theirNumber + "@" + edge.String())
	connected()
	nat.Forget()
	phone.Reinvite()
	talk()
	carrier.Reinvite()
	talk()
	carrier.HangUp()
	over()

	if n := e.Metrics().Sum("trunkline_agent_keepalives_total", `result="silent"`); n > 1 { // one may meet the NAT that has just forgotten
		t.Errorf("%g keep-alives were not answered", n)
	}
	e.Stop()
	records := e.Records()
	for _, r := range records {
		if r.Outcome != "answered" || r.Code != 200 {
			t.Errorf("%+v", r)
		}
	}
	if len(records) != calls {
		t.Errorf("%d records", len(records))
	}
}
