package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	neturl "net/url"
	"strings"
	"time"

	"trunkline/sip"
	"trunkline/store"
	"trunkline/trunks"
)

// Explain tells the story of each call with that SIP Call-ID on either side, or our own id, which logs show: who called whom, what was tried, how it ended and why
// it was refused, with its messages while they are remembered. It is empty when nobody knows such a call.
func (c calls) Explain(ctx context.Context, callID string) (string, error) {
	var b strings.Builder
	if c.d.ready.Load() {
		live, err := c.d.edge.ByCallID(ctx, callID)
		if err != nil {
			return "", err
		}
		for _, l := range live {
			tellLive(&b, l)
			if err := c.tellMessages(ctx, &b, l.ID, ""); err != nil {
				return "", err
			}
		}
	}
	ended, err := c.d.records.ByCallID(ctx, callID, storiesToldAtOnce)
	if err != nil {
		return "", err
	}
	for _, r := range ended {
		tellEnded(&b, r)
		source := ""
		if r.Refusal != trunks.NoReason {
			source = r.Source
		}
		if err := c.tellMessages(ctx, &b, r.ID, source); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// storiesToldAtOnce bounds the calls told of one Call-ID: more share it by mistake.
const storiesToldAtOnce = 5

func tellLive(b *strings.Builder, l sip.LiveCall) {
	fmt.Fprintf(b, "call     %s, %s, %s since %s\n", l.ID, l.Direction, l.State, clock(l.Started))
	tellWay(b, l.Caller, l.Called, l.Agent, l.Trunk)
	tellTries(b, l.Tries)
}

func tellEnded(b *strings.Builder, r store.Stored) {
	fmt.Fprintf(b, "call     %s, %s, begun %s, ended after %s\n", r.ID, r.Direction, clock(r.Started), r.Ended.Sub(r.Started).Round(time.Millisecond))
	tellWay(b, r.Caller, r.Called, r.Agent, r.Trunk)
	tellTries(b, r.Tries)
	fmt.Fprintf(b, "outcome  %s: %d, ended by %s (%s)\n", r.Outcome, r.Code, r.EndedBy, r.Reason)
	if r.Refusal != trunks.NoReason {
		fmt.Fprintf(b, "refusal  %s\n", r.Refusal)
	}
	if !r.Answered.IsZero() {
		fmt.Fprintf(b, "talked   %s\n", r.Ended.Sub(r.Answered).Round(time.Millisecond))
	}
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func tellWay(b *strings.Builder, caller, called, agent, trunk string) {
	if caller == "" {
		caller = "(withheld)"
	}
	fmt.Fprintf(b, "way      %s calls %s", caller, called)
	if agent != "" {
		fmt.Fprintf(b, ", agent %s", agent)
	}
	if trunk != "" {
		fmt.Fprintf(b, ", trunk %s", trunk)
	}
	b.WriteByte('\n')
}

func tellTries(b *strings.Builder, tries []trunks.Try) {
	for i, t := range tries {
		fmt.Fprintf(b, "try %-4d %s after %s\n", i+1, t, t.After.Round(time.Millisecond))
	}
}

// tellMessages draws a call's messages. Of a call that was refused, whose source is given, it says too what the edge would do with
// its INVITE now.
func (c calls) tellMessages(ctx context.Context, b *strings.Builder, id, source string) error {
	if !c.d.ready.Load() {
		return nil
	}
	messages, err := c.d.edge.Messages(ctx, id)
	if err != nil {
		return err
	}
	if len(messages) == 0 {
		b.WriteString("messages are not remembered: newer calls took their place (trace.memory), or tracing is off\n\n")
		return nil
	}
	if first := messages[0]; source != "" && bytes.HasPrefix(first.Bytes, []byte("INVITE ")) {
		b.WriteString("now      the same INVITE would pass these gates:\n")
		gates, _ := c.d.edge.Explain(c.d.edge.Trunks(), first.Flow.Proto.String(), first.Flow.Remote, first.Bytes)
		writeGates(b, gates)
	}
	b.WriteString("\n" + sip.Ladder(messages, sip.NameIn(c.d.edge.Trunks())) + "\n")
	return nil
}

// explainCall asks the daemon of the configuration, or the one at url, about a Call-ID.
func explainCall(ctx context.Context, file, url, callID string) (string, error) {
	if url == "" {
		c, err := loadConfig(file)
		if err != nil {
			return "", err
		}
		if url, err = daemonURL(c.HTTP.Listen, "/debug/explain"); err != nil {
			return "", err
		}
	}
	return askDaemon(ctx, url+"?call_id="+neturl.QueryEscape(callID))
}

// askDaemon returns what the daemon answers with 200; 404 is errNoSuchCall.
func askDaemon(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, storyLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the daemon: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	switch {
	case err != nil:
		return "", fmt.Errorf("ask the daemon: %w", err)
	case response.StatusCode == http.StatusNotFound:
		return "", errNoSuchCall
	case response.StatusCode != http.StatusOK:
		return "", fmt.Errorf("the daemon answers %s: %s", response.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}

// storyLimit: the records are read backwards until the call is found.
const storyLimit = 30 * time.Second

var errNoSuchCall = errors.New("no call with this Call-ID or id is running or recorded")
