package probe

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"trunkline/config"
	"trunkline/trunks"
)

// lookAround follows up on a server that cannot be reached: the usual mistakes are
// the wrong transport and the wrong port, and both can be told by asking once at
// the neighbouring places.
func (p *Prober) lookAround(ctx context.Context, r Request, report Report, tell func(Step)) Report {
	at := slices.IndexFunc(report.Steps, func(s Step) bool {
		return s.Verdict != Pass && (s.Code == NoResponse || s.Code == PortClosed || s.Code == ConnectionFailed || s.Code == TLSFailed)
	})
	answered := slices.ContainsFunc(report.Steps, func(s Step) bool { return s.Status != 0 })
	if at < 0 || answered || r.only || r.sweep != nil || ctx.Err() != nil || r.Trunk == nil || len(r.Trunk.Servers) == 0 {
		return report
	}
	s := Step{Name: "look around", At: time.Now().UTC()}
	f := p.neighbours(ctx, r, report.Steps[at].Code)
	f.into(&s)
	s.Duration = Duration(time.Since(s.At))
	report.Steps = append(report.Steps, s)
	tell(s)
	if f.code == WrongTransport || f.code == WrongPort {
		for i := range report.Checks {
			if c := &report.Checks[i]; c.Code.unreachable() {
				c.Verdict, c.Code, c.Message, c.Fix = Fail, s.Code, s.Message, s.Fix
			}
		}
	}
	report.Verdict = verdict(report.Checks)
	report.Duration = Duration(time.Since(report.Started))
	return report
}

// lookWait is how long a neighbouring place may take to answer.
const lookWait = time.Second

// neighbours asks the other transports at the same port, then the usual ports.
func (p *Prober) neighbours(ctx context.Context, r Request, found Cause) finding {
	t, server := r.Trunk, r.Trunk.Servers[0]
	others := [...]config.Transport{config.UDP, config.TCP, config.TLSTransport}
	if t.Transport == config.TLSTransport { // something took the connection
		others = [...]config.Transport{config.TCP, config.UDP, config.TLSTransport}
	}
	for _, other := range others {
		if other != t.Transport && p.answersAt(ctx, t, server, other) {
			f := fails(WrongTransport, "%s does not answer over %s, but over %s it does", server, t.Transport, other)
			f.fix = fmt.Sprintf("set transport to %s", other)
			return f
		}
	}
	for _, other := range [...]config.Transport{t.Transport, config.UDP, config.TCP, config.TLSTransport} {
		usual := netip.AddrPortFrom(server.Addr(), usualPort(other))
		if usual.Port() == server.Port() || !p.answersAt(ctx, t, usual, other) {
			continue
		}
		f := fails(WrongPort, "nothing answers at port %d over %s, but port %d over %s does", server.Port(), t.Transport, usual.Port(), other)
		f.fix = fmt.Sprintf("set the server's port to %d", usual.Port())
		if other != t.Transport {
			f.fix += fmt.Sprintf(" and transport to %s", other)
		}
		return f
	}
	return leavesOpen(found, "no other transport answers at port %d, nor anything at the usual ports", server.Port())
}

// answersAt asks by OPTIONS, over TLS by a handshake.
func (p *Prober) answersAt(ctx context.Context, t *trunks.Trunk, a netip.AddrPort, over config.Transport) bool {
	if over != config.UDP {
		tcp, overTLS := p.streamSpeaks(ctx, a, lookWait)
		if over == config.TLSTransport || !tcp || overTLS {
			return tcp && overTLS && over == config.TLSTransport
		}
	}
	other := *t
	other.Transport, other.Servers, other.Register = over, []netip.AddrPort{a}, false
	other.Name, other.TLS = t.Name+" over "+string(over), config.TrunkTLS{}
	answered := false
	_, err := p.Run(ctx, Request{Trunk: &other, Timeout: lookWait, only: true, Progress: func(s Step) {
		answered = answered || s.Name == "OPTIONS" && s.Status != 0
	}})
	return err == nil && answered
}
