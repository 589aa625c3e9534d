package probe

// checks answers the user's questions from the steps.
func checks(steps []Step, o Options) []Check {
	return []Check{credentials(steps, o), outbound(steps)}
}

// credentials are proven by REGISTER where the trunk registers, else by an
// INVITE that got past the challenge.
func credentials(steps []Step, o Options) Check {
	c := Check{Name: "credentials_valid"}
	for _, name := range [...]string{"REGISTER", "INVITE"} {
		s := find(steps, name)
		if s == nil {
			continue
		}
		switch {
		case s.Verdict == Pass, name == "INVITE" && pastChallenge(s.Cause):
			c.Verdict = Pass
		case s.Cause == WrongCredentials, s.Cause == MissingCredentials, s.Cause == UnknownUser, s.Cause == WrongRealm, s.Cause == UnsupportedDigest, s.Cause == Forbidden:
			c.Verdict, c.Cause, c.Detail, c.Fix = Fail, s.Cause, s.Detail, s.Fix
		default:
			c.Verdict, c.Cause, c.Detail, c.Fix = Inconclusive, s.Cause, s.Detail, s.Fix
			if s.Cause == NoResponse || s.Cause == Unreachable {
				c.Verdict = Fail
			}
		}
		return c
	}
	return unproven(c, steps, "nothing was sent that the carrier would challenge", "give --register, or a number to call with --to")
}

// pastChallenge: refusals that a carrier gives only to callers it knows.
func pastChallenge(c Cause) bool { return c == NumberNotFound || c == RateLimited }

// outbound is proven by an INVITE that the carrier took up.
func outbound(steps []Step) Check {
	c := Check{Name: "outbound_authorized"}
	s := find(steps, "INVITE")
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
