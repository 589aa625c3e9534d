package probe

// checks answers the user's questions from the steps.
func checks(steps []Step, o Options) []Check {
	return []Check{credentials(steps, o), outbound(steps, o)}
}

// credentials are proven by REGISTER where the trunk registers, else by an
// INVITE that got past the challenge. The first of them that proves or disproves
// them decides.
func credentials(steps []Step, o Options) Check {
	var open *Check
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
	return unproven(Check{Name: "credentials_valid"}, steps, "nothing was sent that the carrier would challenge", "give --register, or a number to call with --to")
}

// proof is what one step says of the credentials; without any the carrier knows
// us by our address, and that is what is proven.
func proof(s *Step, credentials bool) Check {
	c := Check{Name: "credentials_valid", Cause: s.Cause, Detail: s.Detail, Fix: s.Fix}
	took := s.Verdict == Pass || pastChallenge(s.Cause)
	switch s.Cause {
	case WrongCredentials, MissingCredentials, UnknownUser, WrongRealm, UnsupportedDigest, NoResponse, Unreachable:
		c.Verdict = s.Verdict
		return c
	}
	switch {
	case took && s.proven, s.Verdict == Pass && !credentials:
		return Check{Name: c.Name, Verdict: Pass}
	case s.Verdict == Pass:
		return Check{Name: c.Name, Verdict: Inconclusive, Cause: NotChallenged, Detail: "the carrier takes it without asking for credentials", Fix: fixes[NotChallenged]}
	case s.Cause == Forbidden && !credentials:
		c.Verdict = Fail
		return c
	}
	c.Verdict = Inconclusive
	return c
}

// pastChallenge: refusals that a carrier gives only to callers it knows.
func pastChallenge(c Cause) bool { return c == NumberNotFound || c == RateLimited }

// outbound is proven by an INVITE that the carrier took up.
func outbound(steps []Step, o Options) Check {
	c := Check{Name: "outbound_authorized"}
	s := find(steps, "INVITE")
	if s == nil && o.To != "" {
		return unproven(c, steps, "no call was tried, since the step before it failed", "see there")
	}
	if s == nil {
		return unproven(c, steps, "no call was tried", "give a number to call with --to")
	}
	c.Verdict, c.Cause, c.Detail, c.Fix = s.Verdict, s.Cause, s.Detail, s.Fix
	if c.Verdict == Pass {
		c.Detail = ""
	}
	return c
}

// unproven is a check that no step speaks to; a server that cannot be found
// fails it all the same.
func unproven(c Check, steps []Step, why, fix string) Check {
	if s := find(steps, "resolve"); s != nil && s.Verdict == Fail {
		c.Verdict, c.Cause, c.Detail, c.Fix = Fail, s.Cause, s.Detail, s.Fix
		return c
	}
	c.Verdict, c.Detail, c.Fix = Skipped, why, fix
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
