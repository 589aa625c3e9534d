package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestDemoWorksAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("TRUNKLINE_SIP__LISTEN", "[udp://192.0.2.1:5060]") // settings of a real edge must not reach the demo
	before := runtime.NumGoroutine()
	var out, talk bytes.Buffer
	status := execute(t.Context(), []string{"demo"}, streams{nil, &out, &talk})
	if status != exitOK {
		t.Fatalf("exit status %d\n%s%s", status, out.String(), talk.String())
	}
	for _, want := range []string{
		`✓ REGISTER    200 OK`,
		`✓ credentials_valid: pass`,
		`✓ outbound_authorized: pass`,
		`cause: wrong_password`,
		`✓ registered as edge-1 for 5m0s; the carrier will call sip:[0-9a-z]{16}@127.0.0.1:\d+`,
		`✓ 10 calls placed at once, all answered; [1-5] went out in the busiest second, \d+ waited for their turn`,
		`curl -H "Authorization: Bearer \$KEY" -X POST .* http://\S+/v1/voip-connections/test`,
		`✓ connection 1 is connected`,
		`✓ number \+15550001234: provisioning, unverified`,
		`the number is verified and active`,
		`✓ the application was called, then \+14155550100`,
		`✓ the call went on through it`,
		`✓ \+14155550100 calls \+15550001234; the application answered`,
		`✓ RTP through the edge: the application heard \d\d packets of the carrier's 400 Hz \(0 lost\), the carrier \d\d of the application's 620 Hz \(0 lost\)`,
		`✓ 2 INVITEs went to the carrier`,
		`✓ 1 INVITE went to the carrier`,
		`<- 407 Proxy Authentication Required \(INVITE\) -`,
		`(?m)^   outbound +connection:1 +\+15550001234 +\+14155550100 +answered +caller +200 +2 `,
		`✓ one record for each of the 6 calls`,
		`trunkline_call_results_total\{direction="outbound",outcome="answered",trunk="connection:1"\} 5`,
		`✓ the carrier has no registration of us any more`,
		`Every step worked`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %q in the output", want)
		}
	}
	if talk.Len() > 0 {
		t.Errorf("warnings in an orderly demo:\n%s", talk.String())
	}
	for _, secret := range []string{demoPassword, demoNewPassword, "hunter2"} {
		if strings.Contains(out.String()+talk.String(), secret) {
			t.Errorf("the password %q is shown", secret)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	within(t, 5*time.Second, "goroutines end", func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before+1 // os/signal keeps one
	})
}

func TestDemoKeptRunsUntilASignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, talk := new(lockedLog), new(lockedLog)
	ended := make(chan error, 1)
	go func() { ended <- runDemo(ctx, out, talk, true) }() // ends with ctx
	page := regexp.MustCompile(`curl (http://\S+)/debug/calls/(\S+)`)
	within(t, 20*time.Second, "the demo says how to look", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("ended early: %v\n%s%s", err, out, talk)
		default:
		}
		return page.MatchString(out.String())
	})
	found := page.FindStringSubmatch(out.String())
	for path, want := range map[string]string{
		"/readyz":                  `{"name":"registrations","state":"up"}`,
		"/debug/calls":             found[2],
		"/debug/calls/" + found[2]: "407 Proxy Authentication Required",
	} {
		if body := fetch(t, found[1]+path); !strings.Contains(body, want) {
			t.Errorf("%s has no %q:\n%s", path, want, body)
		}
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Fatalf("%v\n%s%s", err, out, talk)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("still running ten seconds after the signal")
	}
}

func TestDemoNamesTheStepThatFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out, talk bytes.Buffer
	d, err := newDemonstration(t.Context(), &out, &talk)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.carrier.Close()
	if err := d.run(t.Context()); err == nil || !strings.Contains(err.Error(), "demo, step 1: trunk test ended with status 3") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(out.String(), "✗ trunk test ended with status 3") {
		t.Errorf("not shown:\n%s", out.String())
	}
}

// fetch reads a page.
func fetch(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
