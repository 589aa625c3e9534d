package probe

import (
	"fmt"
	"slices"
	"time"

	"trunkline/trunks"
)

// checks answers the user's questions from the steps.
func checks(steps []Step, r Request, t *trunks.Trunk) []Result {
	return []Result{
		asked(r, Credentials, func() Result { return credentials(steps, t) }),
		asked(r, Inbound, func() Result { return inbound(steps, r, t) }),
		asked(r, Outbound, func() Result { return outbound(steps, r) }),
	}
}

func asked(r Request, c Check, answer func() Result) Result {
	if !r.wants(c) {
		return Result{Check: c, Verdict: Skipped, Code: NotRun, Message: "it was not asked for", Fix: fixes[NotRun]}
	}
	return answer()
}

func resultOf(c Check, s *Step) Result {
	return Result{Check: c, Verdict: s.Verdict, Code: s.Code, Message: s.Message, Fix: s.Fix}
}

// credentials are proven by REGISTER where the trunk registers, else by an
// INVITE that got past the challenge. The first of them that proves or disproves
// them decides; a refusal without a challenge does not where another step was
// challenged and taken.
func credentials(steps []Step, t *trunks.Trunk) Result {
	open := Result{}
	for _, name := range [...]string{"REGISTER", "bind", "INVITE"} {
		s := lastOf(steps, name)
		if s == nil {
			continue
		}
		r := proof(s, t.AuthUser != "")
		switch {
		case r.Verdict == Pass, r.Verdict == Fail && r.Code != IPNotAllowed && r.Code != Forbidden && open.Verdict != Fail:
			return r
		case open.Check == "" || open.Verdict != Fail && r.Verdict == Fail:
			open = r
		}
	}
	switch {
	case open.Check != "":
		return open
	case t.AuthUser == "" && blocking(steps) == nil:
		return Result{Check: Credentials, Verdict: Skipped, Code: NotApplicable, Message: "the trunk has no credentials: the carrier knows it by its address", Fix: fixes[NotApplicable]}
	}
	return unproven(Credentials, steps, "nothing was sent that the carrier would challenge", "have the trunk register, or name a number to call")
}

// proof is what one step says of the credentials; without any the carrier knows
// us by our address, and that is what is proven.
func proof(s *Step, credentials bool) Result {
	r := resultOf(Credentials, s)
	if s.Code.unreachable() || s.Code.locks() || s.Verdict == Inconclusive {
		return r
	}
	switch s.Code {
	case MissingCredentials, WrongRealm, UnsupportedDigest, NonceLoop, IPNotAllowed:
		return r
	}
	took := s.Verdict == Pass || behindChallenge(s.Code)
	switch {
	case took && s.proven, s.Verdict == Pass && !credentials:
		if s.Verdict != Pass {
			return Result{Check: Credentials, Verdict: Pass, Message: "the carrier asked for the credentials and took them; it refused the call for another reason"}
		}
		return Result{Check: Credentials, Verdict: Pass, Message: s.Message}
	case s.Verdict == Pass:
		return Result{Check: Credentials, Verdict: Inconclusive, Code: NotChallenged, Message: "the carrier takes it without asking for credentials", Fix: fixes[NotChallenged]}
	case s.Code == Forbidden && !credentials:
		return r
	}
	r.Verdict = Inconclusive
	return r
}

// inbound is proven by a call that came in; without a number, by the binding that
// the registrar has, or by what the carrier sent lately.
func inbound(steps []Step, r Request, t *trunks.Trunk) Result {
	for _, name := range [...]string{"dial-in", "bind", "binding"} {
		if s := lastOf(steps, name); s != nil {
			return resultOf(Inbound, s)
		}
	}
	if heard := t.LastHeard(); r.Number == "" && !t.Register && time.Since(heard) < heardWithin {
		return Result{Check: Inbound, Verdict: Pass, Message: fmt.Sprintf("the carrier sent a request %s ago", time.Since(heard).Round(time.Second))}
	}
	if r.Number != "" {
		return unproven(Inbound, steps, "the number was not dialled, since a step before it failed", fixes[NotRun])
	}
	return unproven(Inbound, steps, "no number was dialled in", "name a number of the trunk: --inbound +E164")
}

// heardWithin is how long a request of the carrier counts as proof.
const heardWithin = 24 * time.Hour

// outbound is proven by an INVITE that the carrier took up.
func outbound(steps []Step, r Request) Result {
	for i := range steps {
		if s := &steps[i]; s.Name == "INVITE" && s.Check == Outbound {
			out := resultOf(Outbound, s)
			return out
		}
	}
	if r.To != "" || r.Number != "" {
		return unproven(Outbound, steps, "no call was tried, since the step before it failed", fixes[NotRun])
	}
	return unproven(Outbound, steps, "no call was tried", "name a number to call: --to, or probe.target")
}

// unproven is a check that no step speaks to; what kept every step from working
// fails it all the same.
func unproven(c Check, steps []Step, why, fix string) Result {
	if s := blocking(steps); s != nil && !slices.ContainsFunc(steps, func(s Step) bool { return s.Status != 0 }) {
		return resultOf(c, s)
	}
	return Result{Check: c, Verdict: Skipped, Code: NotRun, Message: why, Fix: fix}
}

// blocking is the step that shows that the server cannot be reached at all.
func blocking(steps []Step) *Step {
	for i := range steps {
		if s := &steps[i]; s.Verdict == Fail && s.Code.unreachable() {
			return s
		}
	}
	return nil
}
