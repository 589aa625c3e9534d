package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"trunkline/store"
)

// ladder draws the last outbound call, as HTTP shows it to anybody on this host.
func (d *demonstration) ladder(ctx context.Context) error {
	text, err := d.get(ctx, "/debug/calls/"+d.shown.ID)
	if err != nil {
		return err
	}
	fmt.Fprintln(&indented{to: d.out}, text)
	for _, line := range []string{"407 Proxy Authentication Required", "200 OK (INVITE)", "200 OK (BYE)"} {
		if !strings.Contains(text, line) {
			return fmt.Errorf("the ladder has no %q", line)
		}
	}
	d.saw("from challenge to BYE, from the edge's memory of recent messages")
	return nil
}

// readRecords reads the records of all calls.
func (d *demonstration) readRecords(ctx context.Context) error {
	var records []store.Stored
	err := eventually(ctx, "the call records", func() bool {
		found, err := d.daemon.records.Recent(ctx, 10, 0)
		records = found
		return err != nil || len(found) >= d.calls
	})
	if err != nil {
		return err
	}
	if len(records) != d.calls {
		return fmt.Errorf("%d records, not %d", len(records), d.calls)
	}
	slices.Reverse(records)
	table := tabwriter.NewWriter(&indented{to: d.out}, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "direction\ttrunk\tcaller\tcalled\toutcome\tended by\tcode\tINVITEs\tanswered after\ttalked\tRTP → / ←")
	for _, r := range records {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d ms\t%d ms\t%d / %d\n", r.Direction, r.Trunk, r.Caller, r.Called, r.Outcome, r.EndedBy, r.Code,
			r.Attempts, r.Answered.Sub(r.Started).Milliseconds(), r.Ended.Sub(r.Answered).Milliseconds(), r.Caller2Callee.Packets, r.Callee2Caller.Packets)
	}
	table.Flush()
	for _, r := range records {
		// The call of the rotation is only there to be up; the edge hangs up the one that it made.
		if r.Outcome != "answered" || r.EndedBy != "caller" && r.EndedBy != "edge" {
			return fmt.Errorf("this is not what happened: %+v", r)
		}
	}
	d.saw("one record for each of the %d calls", len(records))
	return nil
}

// demoMetrics are what the demo shows of /metrics, as far as they are not zero.
var demoMetrics = []string{"trunkline_call_results_total", "trunkline_registration_state", "trunkline_sip_requests_total", "trunkline_rtp_packets_total"}

// readMetrics reads a few metrics as Prometheus would.
func (d *demonstration) readMetrics(ctx context.Context) error {
	text, err := d.get(ctx, "/metrics")
	if err != nil {
		return err
	}
	shown := []string(nil)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, _, _ := strings.Cut(lines.Text(), "{")
		if slices.Contains(demoMetrics, name) && !strings.HasSuffix(lines.Text(), " 0") {
			shown = append(shown, lines.Text())
		}
	}
	fmt.Fprintln(&indented{to: d.out}, strings.Join(shown, "\n"))
	for _, want := range []string{
		`trunkline_call_results_total{direction="inbound",outcome="answered",trunk="connection:1"} 1`,
		`trunkline_call_results_total{direction="outbound",outcome="answered",trunk="connection:1"} 5`,
		`trunkline_registration_state{state="registered",trunk="connection:1"} 1`,
	} {
		if !slices.Contains(shown, want) {
			return errors.New("missing: " + want)
		}
	}
	d.saw("1 inbound call, 5 outbound calls, the trunk registered")
	return nil
}

// get reads a page of the edge.
func (d *demonstration) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.daemon.http.Addr().String()+path, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", path, response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), err
}
