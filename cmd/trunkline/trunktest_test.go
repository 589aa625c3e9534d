package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trunkline/internal/carrier"
	"trunkline/sip/digest"
	"trunkline/sip/probe"
	"trunkline/sip/wire"
)

const (
	ownNumber    = "+15550001234"
	friendNumber = "+14155550100"
)

// broken is one way in which a trunk does not work, and what `trunk test` must say of it.
type broken struct {
	name    string
	options carrier.Options
	faults  carrier.Faults
	args    []string // beside server, domain and credentials
	user    string   // empty: alice
	secret  string   // empty: the right one
	server  func(c *carrier.Carrier) string
	check   probe.Check // that must fail
	code    probe.Cause
	message string // part of it
	fix     string // part of it
}

// TestBrokenTrunks: each kind of broken trunk has its own cause and fix, and nothing that the test does is billed.
func TestBrokenTrunks(t *testing.T) {
	registering := []string{"--register"}
	calling := []string{"--from", ownNumber, "--to", friendNumber}
	dialling := []string{"--inbound", ownNumber, "--register"}
	seen := map[string]string{}
	for _, test := range []broken{
		{name: "a wrong password, by REGISTER", secret: "guess", args: registering,
			check: probe.Credentials, code: probe.WrongPassword, message: "403 Forbidden", fix: "check user name and password"},
		{name: "a wrong password, challenged again", options: carrier.Options{ChallengesAll: true}, secret: "guess", args: calling,
			check: probe.Credentials, code: probe.WrongPassword, message: "once more", fix: "check user name and password"},
		{name: "an unknown user", faults: carrier.Faults{UnknownUser: true}, args: registering,
			check: probe.Credentials, code: probe.UnknownUser, message: "404", fix: "check auth_user and domain"},
		{name: "a user that Telnyx does not know", options: carrier.Options{Dialect: carrier.Telnyx}, faults: carrier.Faults{UnknownUser: true}, args: calling,
			check: probe.Credentials, code: probe.UnknownUser, message: "R14", fix: "connection's user name"},
		{name: "another realm", faults: carrier.Faults{Realm: "other.example"}, args: []string{"--register", "--realm", "carrier.example"},
			check: probe.Credentials, code: probe.WrongRealm, message: `realm "other.example"`, fix: "correct realm"},
		{name: "nonces that are always stale", faults: carrier.Faults{StaleNonces: true}, args: registering,
			check: probe.Credentials, code: probe.NonceLoop, message: "stale", fix: "share nonces"},
		{name: "the wrong transport", options: carrier.Options{Transport: "tcp"}, args: registering,
			check: probe.Credentials, code: probe.WrongTransport, message: "over tcp it does", fix: "set transport to tcp"},
		{name: "TLS where there is none", options: carrier.Options{TLS: true}, args: append([]string{"--transport", "tls"}, registering...),
			server: func(c *carrier.Carrier) string { return c.Addr().String() },
			check:  probe.Credentials, code: probe.WrongTransport, message: "over tcp it does", fix: "set transport to tcp"},
		{name: "the wrong port", server: func(c *carrier.Carrier) string { return netip.AddrPortFrom(c.Addr().Addr(), 1).String() }, args: registering,
			check: probe.Credentials, code: probe.PortClosed, message: "nothing listens there", fix: "check port and transport"},
		{name: "a certificate for another name", options: carrier.Options{TLS: true}, faults: carrier.Faults{Certificate: carrier.WrongName}, args: append([]string{"--transport", "tls"}, registering...),
			check: probe.Credentials, code: probe.TLSName, message: "other.example and not for carrier.example", fix: "tls.server_name"},
		{name: "a certificate that has ended", options: carrier.Options{TLS: true}, faults: carrier.Faults{Certificate: carrier.Expired}, args: append([]string{"--transport", "tls"}, registering...),
			check: probe.Credentials, code: probe.TLSExpired, message: "ended on", fix: "renew its certificate"},
		{name: "a certificate that nobody signed", options: carrier.Options{TLS: true}, faults: carrier.Faults{Certificate: carrier.SelfSigned}, args: append([]string{"--transport", "tls"}, registering...),
			check: probe.Credentials, code: probe.TLSUntrusted, message: "nobody that is trusted", fix: "tls.ca"},
		{name: "an old TLS", options: carrier.Options{TLS: true}, faults: carrier.Faults{OldTLS: true}, args: append([]string{"--transport", "tls"}, registering...),
			check: probe.Credentials, code: probe.TLSVersion, message: "no TLS version", fix: "TLS 1.2"},
		{name: "an address that is not on the list", faults: carrier.Faults{ForbiddenSource: true}, args: calling,
			check: probe.Outbound, code: probe.IPNotAllowed, message: "it sees us as 127.0.0.1", fix: "have 127.0.0.1 added"},
		{name: "an address that is not on Twilio's list", options: carrier.Options{Dialect: carrier.Twilio}, faults: carrier.Faults{ForbiddenSource: true}, args: calling,
			check: probe.Outbound, code: probe.IPNotAllowed, message: "32201", fix: "Twilio console"},
		{name: "a refused caller ID", faults: carrier.Faults{Refuse: carrier.CallerRefused}, args: calling,
			check: probe.Outbound, code: probe.CallerIDRefused, message: "Caller ID Not Allowed", fix: "show a number that belongs"},
		{name: "a caller ID that Telnyx refuses", options: carrier.Options{Dialect: carrier.Telnyx}, faults: carrier.Faults{Refuse: carrier.CallerRefused}, args: calling,
			check: probe.Outbound, code: probe.CallerIDRefused, message: "D35", fix: "number_format"},
		{name: "a country that is not allowed", options: carrier.Options{Dialect: carrier.Telnyx}, faults: carrier.Faults{Refuse: carrier.CountryRefused}, args: calling,
			check: probe.Outbound, code: probe.DestinationNotAllowed, message: "whitelisted_destinations", fix: "add the country"},
		{name: "no money", faults: carrier.Faults{Refuse: carrier.NoCredit}, args: calling,
			check: probe.Outbound, code: probe.NoCredit, message: "402", fix: "top the account up"},
		{name: "no route", options: carrier.Options{Dialect: carrier.Telnyx}, faults: carrier.Faults{Refuse: carrier.NoRoute}, args: calling,
			check: probe.Outbound, code: probe.NoRoute, message: "PE1", fix: "another carrier"},
		{name: "a number that does not exist", faults: carrier.Faults{Refuse: carrier.NumberInvalid}, args: calling,
			check: probe.Outbound, code: probe.NumberNotFound, message: "404", fix: "called number's form"},
		{name: "too many calls a second", options: carrier.Options{CPSChallenged: true, CPS: 1}, args: calling,
			check: probe.Outbound, code: probe.CPSExceeded, message: "503", fix: "cps_limit"},
		{name: "too many calls a second at Twilio", options: carrier.Options{Dialect: carrier.Twilio, CPSChallenged: true, CPS: 1}, args: calling,
			check: probe.Outbound, code: probe.CPSExceeded, message: "32001", fix: "cps_limit"},
		{name: "silence", faults: carrier.Faults{Silent: true}, args: registering,
			check: probe.Credentials, code: probe.NoResponse, message: "does not answer", fix: "firewall"},
		{name: "a number that somebody else has", options: carrier.Options{DIDs: []string{ownNumber}, Numbers: map[string]carrier.Behavior{ownNumber: carrier.Unanswered}},
			faults: carrier.Faults{Detours: map[string]*carrier.Carrier{ownNumber: nil}}, args: dialling,
			check: probe.Inbound, code: probe.RoutedElsewhere, message: "rings somewhere else", fix: "point the number at this trunk"},
		{name: "a number that somebody else answers", options: carrier.Options{DIDs: []string{ownNumber}, Numbers: map[string]carrier.Behavior{ownNumber: carrier.Busy}},
			faults: carrier.Faults{Detours: map[string]*carrier.Carrier{ownNumber: nil}}, args: dialling,
			check: probe.Inbound, code: probe.RoutedElsewhere, message: "busy somewhere else", fix: "point the number at this trunk"},
		{name: "a number without a place", options: carrier.Options{DIDs: []string{ownNumber}}, faults: carrier.Faults{DropBindings: true}, args: dialling,
			check: probe.Inbound, code: probe.DidNotArrive, message: "cannot deliver", fix: "point the number at this host"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, c := runBroken(t, test)
			got := r.Result(test.check)
			if got.Verdict != probe.Fail || got.Code != test.code || !strings.Contains(got.Message, test.message) || !strings.Contains(got.Fix, test.fix) {
				t.Errorf("%s: %s/%s: %s\nfix: %s", test.check, got.Verdict, got.Code, got.Message, got.Fix)
			}
			if other := seen[got.Fix]; other != "" && other != string(got.Code) {
				t.Errorf("the fix of %s is that of %s too", got.Code, other)
			}
			seen[got.Fix] = string(got.Code)
			time.Sleep(10 * time.Millisecond)
			if billed := c.Billed(); billed != 0 {
				t.Errorf("billed %s: %+v", billed, c.Calls())
			}
		})
	}
}

// runBroken runs `trunk test` as a user would, against a carrier with a fault, and returns the report.
func runBroken(t *testing.T, test broken) (probe.Report, *carrier.Carrier) {
	t.Helper()
	o := test.options
	o.Listen, o.User, o.Password, o.TLSNames = netip.MustParseAddrPort("127.0.0.2:0"), "alice", "secret", []string{"carrier.example"}
	c, err := carrier.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetFaults(test.faults)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	user, secret, server := "alice", "secret", c.Addr().String()
	if test.user != "" {
		user = test.user
	}
	if test.secret != "" {
		secret = test.secret
	}
	if o.TLS {
		server = c.TLSAddr().String()
	}
	if test.server != nil {
		server = test.server(c)
	}
	args := append([]string{"trunk", "test", "--server", server, "--domain", "carrier.example", "--auth-user", user,
		"--auth-password-file", write("password", secret+"\n"), "--timeout", "1s", "-o", "json"}, test.args...)
	if o.TLS {
		args = append(args, "--tls-ca", write("ca.pem", string(c.Authority())))
	}
	status, out, talk := command(t, args...)
	if status != exitCheckFailed {
		t.Errorf("exit status %d\n%s%s", status, out, talk)
	}
	if strings.Contains(out+talk, secret+`"`) || strings.Contains(out+talk, " "+secret) {
		t.Error("the password is shown")
	}
	var report probe.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s%s", err, out, talk)
	}
	t.Log(talk)
	return report, c
}

// TestWorkingTrunk: the whole proof of a registering trunk, the dial-in with it; afterwards the registrar has what it had.
func TestWorkingTrunk(t *testing.T) {
	for _, shape := range []carrier.NumberShape{carrier.AsDialled, carrier.NoPlus, carrier.National, carrier.InTo} {
		c, err := carrier.Start(t.Context(), carrier.Options{Listen: netip.MustParseAddrPort("127.0.0.2:0"), User: "alice", Password: "secret",
			DIDs: []string{ownNumber}, Inbound: shape})
		if err != nil {
			t.Fatal(err)
		}
		password := writeFile(t, "password", "secret\n")
		status, out, talk := command(t, "trunk", "test", "--server", c.Addr().String(), "--domain", "carrier.example", "--auth-user", "alice",
			"--auth-password-file", password, "--register", "--inbound", ownNumber, "--to", friendNumber, "--country-code", "1", "-o", "json")
		if status != exitOK {
			t.Errorf("shape %d: exit status %d\n%s%s", shape, status, out, talk)
		}
		var report probe.Report
		if err := json.Unmarshal([]byte(out), &report); err != nil {
			t.Fatal(err)
		}
		if report.Facts.Inbound == nil || report.Facts.Inbound.Source != c.Addr().String() || len(report.Facts.Inbound.Headers) < 6 {
			t.Errorf("shape %d: arrived as %+v", shape, report.Facts.Inbound)
		}
		if contact, ok := c.Registered("alice"); ok {
			t.Errorf("shape %d: %s is left bound", shape, contact)
		}
		if c.Billed() != 0 {
			t.Errorf("shape %d: billed %s", shape, c.Billed())
		}
		c.Close()
	}
}

// TestDiscover: transport and number format are found, and what is printed can be saved and works.
func TestDiscover(t *testing.T) {
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: netip.MustParseAddrPort("127.0.0.2:0"), User: "alice", Password: "secret",
		Transport: "tcp", Callers: []string{ownNumber[1:]}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	args := []string{"trunk", "test", "--server", c.Addr().String(), "--domain", "carrier.example", "--auth-user", "alice",
		"--auth-password-file", writeFile(t, "password", "secret\n"), "--from", ownNumber, "--to", friendNumber, "--timeout", "500ms", "--discover"}
	status, out, talk := command(t, args...)
	if status != exitOK || !strings.Contains(out, "transport: tcp\n") || !strings.Contains(out, "number_format: digits\n") || strings.Contains(out, "secret\"") {
		t.Errorf("exit status %d\n%s%s", status, out, talk)
	}
	if c.Billed() != 0 {
		t.Errorf("billed %s", c.Billed())
	}
	account, err := carrier.Start(t.Context(), carrier.Options{Listen: netip.MustParseAddrPort("127.0.0.2:0"), User: "alice", Password: "secret", FromUser: true, Callers: []string{ownNumber}})
	if err != nil {
		t.Fatal(err)
	}
	defer account.Close()
	status, out, talk = command(t, "trunk", "test", "--server", account.Addr().String(), "--domain", "carrier.example", "--auth-user", "alice",
		"--auth-password-file", writeFile(t, "password", "secret\n"), "--from", ownNumber, "--to", friendNumber, "--timeout", "500ms", "--discover")
	if status != exitOK || !strings.Contains(out, "from_user: auth_user\n    trusted: true\n") {
		t.Errorf("exit status %d\n%s%s", status, out, talk)
	}
	c.SetFaults(carrier.Faults{WrongDigest: true, UnknownUser: true})
	if status, out, talk = command(t, args...); status != exitCheckFailed {
		t.Errorf("exit status %d\n%s%s", status, out, talk)
	}
	if n := strings.Count(out, "- try"); n > 4 { // one over UDP, where nobody answers; three over TCP, where a 403 may mean the password
		t.Errorf("%d settings are tried with a password that is refused: that may lock the account\n%s", n, out)
	}
}

// TestLadder: what is sent for a call that is given up stands in the ladder, the CANCEL and the ACK too.
func TestLadder(t *testing.T) {
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: netip.MustParseAddrPort("127.0.0.2:0"), User: "alice", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	status, out, talk := command(t, "trunk", "test", "--server", c.Addr().String(), "--auth-user", "alice",
		"--auth-password-file", writeFile(t, "password", "secret\n"), "--to", friendNumber, "-o", "ladder")
	at := 0
	for _, want := range []string{"OPTIONS", "INVITE", "407", "ACK", "INVITE", "180", "CANCEL", "200 OK (CANCEL)", "487", "ACK"} {
		i := strings.Index(out[at:], want)
		if i < 0 {
			t.Fatalf("exit status %d, no %s in the rest of the ladder\n%s%s", status, want, out, talk)
		}
		at += i + len(want)
	}
}

// TestBindingIsPutBack: who was bound before the test is bound after it, and calls go there.
func TestBindingIsPutBack(t *testing.T) {
	c, err := carrier.Start(t.Context(), carrier.Options{Listen: netip.MustParseAddrPort("127.0.0.2:0"), User: "alice", Password: "secret", DIDs: []string{ownNumber}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	bind(t, c.Addr(), "<sip:phone@127.0.0.3:5999>")
	before, ok := c.Registered("alice")
	if !ok {
		t.Fatal("the other device is not bound")
	}
	status, out, talk := command(t, "trunk", "test", "--server", c.Addr().String(), "--domain", "carrier.example", "--auth-user", "alice",
		"--auth-password-file", writeFile(t, "password", "secret\n"), "--register", "--inbound", ownNumber)
	if status != exitOK {
		t.Errorf("exit status %d\n%s%s", status, out, talk)
	}
	if after, _ := c.Registered("alice"); after != before {
		t.Errorf("bound is %q, was %q\n%s", after, before, out)
	}
}

// bind registers a contact as another device of alice's.
func bind(t *testing.T, registrar netip.AddrPort, contact string) {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(registrar))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cache, attempt := digest.NewCache(digest.Credentials{Username: "alice", Password: "secret"}, 0), digest.Attempt{}
	for seq := range 2 {
		b := fmt.Appendf(nil, "REGISTER sip:carrier.example SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKphone%d;rport\r\nMax-Forwards: 70\r\n"+
			"From: <sip:alice@carrier.example>;tag=p\r\nTo: <sip:alice@carrier.example>\r\nCall-ID: phone\r\nCSeq: %[2]d REGISTER\r\nContact: %s\r\nExpires: 600\r\n",
			conn.LocalAddr(), seq+1, contact)
		b = wire.AppendBody(cache.Authorize(b, time.Now(), "REGISTER", []byte("sip:carrier.example"), &attempt), "", nil)
		if _, err := conn.Write(b); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		buf, m := make([]byte, 4096), new(wire.Message)
		n, err := conn.Read(buf)
		if err != nil || m.Parse(buf[:n]) != nil {
			t.Fatalf("%v: %s", err, buf[:n])
		}
		if m.Status == 401 {
			if err := cache.Challenged(time.Now(), m, &attempt); err != nil {
				t.Fatal(err)
			}
		}
	}
}
