package probe

// checks answers the user's questions from the steps.
func checks(steps []Step, o Request) []Result {
	return []Result{credentials(steps, o), {Check: Inbound, Verdict: Skipped, Message: "no number was dialled in", Fix: "name a number of the trunk"}, outbound(steps, o)}
}

// credentials are proven by REGISTER where the trunk registers, else by an
// INVITE that got past the challenge. The first of them that proves or disproves
// them decides.
func credentials(steps []Step, o Request) Result {
	var open *Result
	for _, name := range [...]string{"REGISTER", "INVITE"} {
		s := find(steps, name)
		if s == nil {
			continue
		}
		c := proof(s, o.Trunk.AuthUser != "")
		if c.Verdict != Inconclusive {
			return c
		}
		if open == nil {
			open = &c
		}
	}
	if open != nil {
		return *open
	}
	return unproven(Result{Check: Credentials}, steps, "nothing was sent that the carrier would challenge", "give --register, or a number to call with --to")
}

// proof is what one step says of the credentials; without any the carrier knows
// us by our address, and that is what is proven.
func proof(s *Step, credentials bool) Result {
	c := Result{Check: Credentials, Code: s.Code, Message: s.Message, Fix: s.Fix}
	took := s.Verdict == Pass || pastChallenge(s.Code)
	switch s.Code {
	case WrongPassword, MissingCredentials, UnknownUser, WrongRealm, UnsupportedDigest, NoResponse, Unreachable:
		c.Verdict = s.Verdict
		return c
	}
	switch {
	case took && s.proven, s.Verdict == Pass && !credentials:
		return Result{Check: c.Check, Verdict: Pass}
	case s.Verdict == Pass:
		return Result{Check: c.Check, Verdict: Inconclusive, Code: NotChallenged, Message: "the carrier takes it without asking for credentials", Fix: fixes[NotChallenged]}
	case s.Code == Forbidden && !credentials:
		c.Verdict = Fail
		return c
	}
	c.Verdict = Inconclusive
	return c
}

// pastChallenge: refusals that a carrier gives only to callers it knows.
func pastChallenge(c Cause) bool { return c == NumberNotFound || c == RateLimited }

// outbound is proven by an INVITE that the carrier took up.
func outbound(steps []Step, o Request) Result {
	c := Result{Check: Outbound}
	s := find(steps, "INVITE")
	if s == nil && o.To != "" {
		return unproven(c, steps, "no call was tried, since the step before it failed", "see there")
	}
	if s == nil {
		return unproven(c, steps, "no call was tried", "give a number to call with --to")
	}
	c.Verdict, c.Code, c.Message, c.Fix = s.Verdict, s.Code, s.Message, s.Fix
	if c.Verdict == Pass {
		c.Message = ""
	}
	return c
}

// unproven is a check that no step speaks to; a server that cannot be found
// fails it all the same.
func unproven(c Result, steps []Step, why, fix string) Result {
	if s := find(steps, "resolve"); s != nil && s.Verdict == Fail {
		c.Verdict, c.Code, c.Message, c.Fix = Fail, s.Code, s.Message, s.Fix
		return c
	}
	c.Verdict, c.Message, c.Fix = Skipped, why, fix
	return c
}

func find(steps []Step, name string) *Step {
	for i := range steps {
		if steps[i].Name == name {
			return &steps[i]
		}
	}
	return nil
}
