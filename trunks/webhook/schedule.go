package webhook

import "time"

// pauses before each attempt after the first, as the Standard Webhooks specification proposes: some 75 hours in all.
var pauses = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

const (
	disableAfter = 5 * 24 * time.Hour // of failures without a success in between
	longestRest  = 5 * time.Minute
)

// The reasons we switch a webhook off for.
const (
	ReasonGone    = "gone"    // it answered 410
	ReasonFailing = "failing" // it failed for five days
)

// settle decides what becomes of a delivery after an attempt at now. spread is from 0 to 1 and moves the next attempt by up to a tenth.
func settle(d Delivery, a Attempt, now time.Time, spread float64) Delivery {
	d.Attempts++
	d.Status, d.Error = a.Status, a.Error
	if a.Error == "" {
		d.State, d.DeliveredAt = Delivered, &now
		return d
	}
	if d.Attempts > len(pauses) {
		d.State = Failed
		return d
	}
	pause := pauses[d.Attempts-1]
	pause += time.Duration(spread * float64(pause) / 10)
	d.NextAt = now.Add(max(pause, a.RetryAfter))
	return d
}

// judge decides what becomes of a webhook after attempts at now.
func judge(w Webhook, attempts []Attempt, now time.Time) Webhook {
	succeeded, failed, gone := false, false, false
	for _, a := range attempts {
		succeeded = succeeded || a.Error == ""
		failed = failed || a.Error != ""
		gone = gone || a.Gone
	}
	switch {
	case gone:
		w.Enabled, w.DisabledReason = false, ReasonGone
	case succeeded:
		w.FailingSince = nil
	case failed && w.FailingSince == nil:
		w.FailingSince = &now
	case failed && now.Sub(*w.FailingSince) >= disableAfter:
		w.Enabled, w.DisabledReason = false, ReasonFailing
	}
	return w
}

// rest is how long a webhook is left alone that was down several times in a row, so that those that wait for it are not sent
// into the void one by one.
func rest(times int) time.Duration {
	if times <= 0 {
		return 0
	}
	return min(time.Second<<min(times-1, 10), longestRest)
}
