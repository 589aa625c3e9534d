package main

import (
	"strings"
	"testing"
	"time"
)

// A call that was refused and one that is up, each explained by its Call-ID.
func TestExplainByCallID(t *testing.T) {
	e := startServe(t, "")
	refused := strings.ReplaceAll(invite(e, "refused"), "+15550001234", "+15550009999")
	e.carrier.send(e.sip, refused)
	e.carrier.send(e.sip, ack(e, e.carrier.expect("SIP/2.0 404"), "refused"))
	live := e.callIn("live")

	var status int
	var out string
	within(t, 10*time.Second, "the refused call is recorded", func() bool {
		status, out, _ = command(t, "explain", "--call-id", "call-refused", "--config", e.file)
		return status == 0
	})
	for _, want := range []string{
		"+14155550100 calls +15550009999", "outcome  local_error: 404, ended by edge (no_route)", "refusal  no_route",
		`✗ route    no_route: called number "+15550009999" is not listed`, "INVITE sip:+15550009999@", "404 Not Found (INVITE)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	status, out, _ = command(t, "explain", "--call-id", "call-live", "--url", "http://"+e.http+"/debug/explain")
	if status != 0 || !strings.Contains(out, "inbound, connected since") || !strings.Contains(out, "agent app, trunk carrier") {
		t.Errorf("status %d of the call that is up:\n%s", status, out)
	}
	id := strings.Fields(strings.ReplaceAll(out, ",", ""))[1]
	if status, byID, talk := command(t, "explain", "--call-id", id, "--config", e.file); status != 0 || !strings.Contains(byID, id+", inbound, connected since") {
		t.Errorf("status %d of the call that is up, by its id %s: %s%s", status, id, byID, talk)
	}
	live.hangUp(e)
	within(t, 10*time.Second, "the call that was up is recorded, and known by its id", func() bool {
		status, out, _ = command(t, "explain", "--call-id", id, "--config", e.file)
		return status == 0 && strings.Contains(out, "outcome  answered")
	})

	if status, out, talk := command(t, "explain", "--call-id", "call-unknown", "--config", e.file); status != 3 || out != "" || !strings.Contains(talk, "no call with this Call-ID") {
		t.Errorf("status %d of no call: %s%s", status, out, talk)
	}
	if status, _, talk := command(t, "explain", "--call-id", "x", "--source", "127.0.0.1:5060", "--config", e.file); status != 2 {
		t.Errorf("status %d of two questions at once: %s", status, talk)
	}
}

// RTE-10: explain names the routes of an outbound call, and how the call would be written on each.
func TestExplainNamesRoutes(t *testing.T) {
	file := writeFile(t, "sipgo.yaml", `
sip: {listen: ["udp://127.0.0.1:5060"]}
trunks:
  - {name: bell, server: "127.0.0.2:5070", domain: bell.example, number_format: national, country_code: "49", national_prefix: "0", user_phone: true, cps_limit: 2, cps_over: reject}
  - {name: digit, server: "127.0.0.4:5070", number_format: digits, tech_prefix: "77"}
  - {name: lost, server: gone.invalid}
agents: [{name: app, destinations: [{uri: "sip:127.0.0.3:5080"}], source_addresses: [127.0.0.3]}]
numbers: [{number: "+4930123456", trunk: bell, outbound_agent: app, routes: [{trunk: digit, priority: 2}, {trunk: bell, priority: 1}, {trunk: lost, priority: 3}]}]
`)
	text := writeFile(t, "invite", "INVITE sip:+4940654321@edge SIP/2.0\nVia: SIP/2.0/UDP 127.0.0.3:5080;branch=z9hG4bKx\nFrom: \"Shop\" <sip:+4930123456@inside>;tag=t\n"+
		"To: <sip:+4940654321@edge>\nCall-ID: 1\nCSeq: 1 INVITE\nMax-Forwards: 70\nContact: <sip:127.0.0.3:5080>\n")
	status, out, talk := command(t, "explain", "--invite", text, "--source", "127.0.0.3:5080", "--config", file)
	want := `✓ source   127.0.0.3:5080 over UDP is agent app
✓ message  valid
✓ route    app may use +4930123456: outbound to +4940654321 over trunk bell (priority 1, weight 1)
  target   127.0.0.2:5070 over udp, as sip:040654321@bell.example;user=phone from "Shop" <sip:030123456@bell.example;user=phone>
  limit    2 calls per second, above it a call is refused
✓ route    app may use +4930123456: outbound to +4940654321 over trunk digit (priority 2, weight 1)
  target   127.0.0.4:5070 over udp, as sip:774940654321@127.0.0.4:5070 from "Shop" <sip:4930123456@127.0.0.4>
✗ route    app may use +4930123456: outbound to +4940654321 over trunk lost (priority 3, weight 1): passed over, trunk lost has no address: gone.invalid did not resolve
`
	if status != 0 || out != want {
		t.Errorf("status %d\n%s\n%s\nwant\n%s", status, out, talk, want)
	}
}
