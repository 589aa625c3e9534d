package store

import (
	"encoding/json"
	"fmt"
	"time"

	"trunkline/trunks"
)

// try is a trunks.Try as it stands in the column tries.
type try struct {
	Trunk   string `json:"trunk,omitempty"`
	Target  string `json:"target,omitempty"`
	Code    int    `json:"code,omitempty"`
	Cause   string `json:"cause,omitempty"`
	Refusal string `json:"refusal,omitempty"`
	AfterMS int64  `json:"after_ms"`
}

func triesText(tries []trunks.Try) string {
	list := make([]try, len(tries))
	for i, t := range tries {
		list[i] = try{Trunk: t.Trunk, Target: t.Target, Code: t.Code, Cause: t.Cause, AfterMS: t.After.Milliseconds()}
		if t.Refusal != trunks.NoReason {
			list[i].Refusal = t.Refusal.String()
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // strings and numbers can always be written
	}
	return string(text)
}

func triesOf(text string) ([]trunks.Try, error) {
	var list []try
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, fmt.Errorf("tries: %w", err)
	}
	tries := make([]trunks.Try, len(list))
	for i, t := range list {
		tries[i] = trunks.Try{Trunk: t.Trunk, Target: t.Target, Code: t.Code, Cause: t.Cause,
			Refusal: reasonOf(t.Refusal), After: time.Duration(t.AfterMS) * time.Millisecond}
	}
	return tries, nil
}
