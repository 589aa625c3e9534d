package probe

import (
	"context"
	"fmt"
	"time"

	"trunkline/config"
)

// Discovery is what a sweep over settings came to.
type Discovery struct {
	Trunk *config.Trunk `json:"-"`               // the first that works; nil: none did
	Found *Settings     `json:"found,omitempty"` // what it is made of
	Cells int           `json:"cells"`           // settings there were to try
	Tried int           `json:"tried"`
	Best  Result        `json:"best"` // of the last one that got furthest: what stood in its way, or that it passed
	Tries []Try         `json:"tries"`
}

// Settings are what carriers differ in.
type Settings struct {
	Server       string              `json:"server"` // without a port: found by SRV
	Transport    config.Transport    `json:"transport"`
	NumberFormat config.NumberFormat `json:"number_format"`
	From         string              `json:"from"` // number or user
}

// Try is one set of settings and what became of it.
type Try struct {
	Settings Settings `json:"settings"`
	Verdict  Verdict  `json:"verdict"`
	Code     Cause    `json:"code,omitempty"`
	Message  string   `json:"message,omitempty"`
}

// cell is one set of settings to try.
type cell struct {
	transport config.Transport
	server    config.HostPort
	format    config.NumberFormat
	user      bool // From has the user, not the number
}

// mostCells bounds a sweep.
const mostCells = 24

// mostRefused is how many tries may be refused without a reason: each may have been
// the password, and more of them lock accounts.
const mostRefused = 3

// Discover tries transport × SRV or address × number format × From, and stops at
// the first set that passes; a wrong password ends it at once, since repeating it
// may lock the account. Where a server does not answer at all nothing more is tried
// there. The request must have a Config; its Transport and NumberFormat go first.
// The error is as that of Run.
func (p *Prober) Discover(ctx context.Context, r Request) (Discovery, error) {
	if r.Config == nil {
		return Discovery{}, &RequestError{"Config", "a sweep needs the settings to begin with"}
	}
	cells := cellsOf(*r.Config, r.From != "" || r.Number != "", r.To != "" || r.Number != "" || p.options.Target != "")
	d := Discovery{Cells: len(cells), Best: Result{Verdict: Skipped, Code: NotRun, Message: "nothing was tried"}}
	refused := 0
	dead := map[cell]bool{} // places where nobody answers
	for _, c := range cells {
		place := cell{transport: c.transport, server: c.server}
		if dead[place] || ctx.Err() != nil {
			continue
		}
		one := *r.Config
		one.Transport, one.Server, one.NumberFormat = c.transport, c.server, c.format
		asked := r
		asked.Config, asked.sweep = &one, &d
		if c.user {
			one.FromUser, one.Trusted = config.FromAuthUser, true
		}
		settings := Settings{Server: c.server.String(), Transport: c.transport, NumberFormat: c.format, From: "number"}
		if c.user {
			settings.From = "user"
		}
		if r.Progress != nil {
			r.Progress(Step{Name: "try", Verdict: Skipped, At: time.Now().UTC(), Message: fmt.Sprintf("%s over %s, numbers as %s, From has the %s",
				settings.Server, settings.Transport, settings.NumberFormat, settings.From)})
		}
		report, err := p.Run(ctx, asked)
		if err != nil {
			return d, err
		}
		d.Tried++
		worst := worstOf(report)
		d.Tries = append(d.Tries, Try{settings, report.Verdict, worst.Code, worst.Message})
		if further(worst, d.Best) {
			d.Best = worst
		}
		switch {
		case report.Verdict == Pass:
			d.Trunk, d.Found = &one, &settings
			return d, nil
		case worst.Code.locks():
			return d, nil
		case worst.Code == Forbidden: // some carriers refuse a password like that
			if refused++; refused == mostRefused {
				return d, nil
			}
		case worst.Code.unreachable():
			dead[place] = true
		}
	}
	return d, nil
}

// worstOf is the check that stood in the way; a passed one when none did.
func worstOf(r Report) Result {
	worst := Result{Verdict: Inconclusive, Code: NotRun, Message: "no check could be done"}
	for _, v := range [...]Verdict{Fail, Inconclusive, Pass} {
		for _, c := range r.Checks {
			if c.Verdict == v && (v != Inconclusive || c.Code != NotRun) {
				return c
			}
		}
	}
	return worst
}

// further reports whether a got further than b: past an unreachable server.
func further(a, b Result) bool {
	return a.Verdict == Pass || b.Code == NotRun || b.Code.unreachable() || !a.Code.unreachable()
}

// cellsOf are the settings to try, the likeliest first: what was asked for, then
// other transports, then other forms of numbers and From where a call is made.
func cellsOf(c config.Trunk, number, call bool) (cells []cell) {
	transports := []config.Transport{c.Transport}
	for _, t := range [...]config.Transport{config.UDP, config.TCP, config.TLSTransport} {
		if t != c.Transport {
			transports = append(transports, t)
		}
	}
	type place struct {
		transport config.Transport
		server    config.HostPort
	}
	var places []place
	for _, t := range transports {
		places = append(places, place{t, c.Server})
	}
	for _, t := range transports { // SRV found nothing that works, or the port was wrong
		if at := (config.HostPort{Host: c.Server.Host, Port: usualPort(t)}); at != c.Server {
			places = append(places, place{t, at})
		}
	}
	formats := []config.NumberFormat{c.NumberFormat}
	froms := []bool{false}
	if call || number {
		formats = formats[:0]
		for _, f := range [...]config.NumberFormat{c.NumberFormat, config.FormatE164, config.FormatDigits} {
			if f != "" && (len(formats) == 0 || formats[0] != f) && (len(formats) < 2 || formats[1] != f) {
				formats = append(formats, f)
			}
		}
		if number && c.AuthUser != "" {
			froms = append(froms, true)
		}
	}
	for _, at := range places {
		for _, user := range froms {
			for _, f := range formats {
				cells = append(cells, cell{at.transport, at.server, f, user})
			}
		}
	}
	return cells[:min(len(cells), mostCells)]
}
