package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// stepShown is a step of a test or a verification, as the API tells it.
type stepShown struct {
	Check      string  `json:"check"`
	Step       string  `json:"step"`
	Verdict    string  `json:"verdict"`
	Message    string  `json:"message"`
	Fix        *string `json:"fix"`
	DurationMS int64   `json:"duration_ms"`
}

// checksShown are the three answers.
type checksShown struct {
	CredentialsValid   bool `json:"credentials_valid"`
	InboundReachable   bool `json:"inbound_reachable"`
	OutboundAuthorized bool `json:"outbound_authorized"`
}

var verdictMarks = map[string]string{"pass": "✓", "fail": "✗", "inconclusive": "?", "skipped": "-"}

// stepHearer prints steps as they arrive and returns the result of the stream.
type stepHearer struct {
	talk   io.Writer
	result json.RawMessage
}

func (h *stepHearer) hear(event string, data json.RawMessage) error {
	switch event {
	case "step":
		var s stepShown
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		fmt.Fprintf(h.talk, "%s %-22s %s (%d ms)\n", verdictMarks[s.Verdict], s.Step, s.Message, s.DurationMS)
		if s.Fix != nil {
			fmt.Fprintf(h.talk, "    fix: %s\n", *s.Fix)
		}
	case "result":
		h.result = data
	case "error":
		return errorEvent(data)
	}
	return nil
}

// errorEvent is the end of a stream that came to nothing.
func errorEvent(data json.RawMessage) error {
	var told struct {
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}
	if json.Unmarshal(data, &told) != nil || told.Detail == "" {
		return errors.New("it could not be done: " + string(data))
	}
	status := http.StatusInternalServerError
	if told.Code == "timeout" {
		status = http.StatusGatewayTimeout
	}
	return &apiError{Status: status, Message: told.Detail}
}

// printAnswers prints the three answers.
func printAnswers(talk io.Writer, c checksShown) {
	for _, check := range []struct {
		name   string
		passed bool
	}{{"credentials_valid", c.CredentialsValid}, {"inbound_reachable", c.InboundReachable}, {"outbound_authorized", c.OutboundAuthorized}} {
		mark := "✗"
		if check.passed {
			mark = "✓"
		}
		fmt.Fprintf(talk, "%s %s\n", mark, check.name)
	}
}
