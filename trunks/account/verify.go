package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"trunkline/trunks/provider"
)

// VerifyNumber makes the round trip of a number: a call to it comes back in on its trunk, and a call with it as caller is let out
// (TP-37). A verification that failed is no error and may be repeated.
func (s *Service) VerifyNumber(ctx context.Context, who Caller, id int64, report func(Step)) (Verification, error) {
	if err := who.may(Admin, "verifying a number"); err != nil {
		return Verification{}, err
	}
	return s.verify(ctx, who, id, report, nil)
}

// verify keeps what came out in one transaction with also, which may be nil.
func (s *Service) verify(ctx context.Context, who Caller, id int64, report func(Step), also func(*changing, Verification) error) (Verification, error) {
	if s.o.Prober == nil || s.o.Engine == nil {
		return Verification{}, errors.New("account: no Prober or Engine to verify with")
	}
	unlock, err := s.lock(id)
	if err != nil {
		return Verification{}, err
	}
	defer unlock()
	n, credential, err := s.verifiable(ctx, who, id)
	if err != nil {
		return Verification{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.TestLimit)
	defer cancel()
	log := &steps{report: report}
	began := time.Now()
	if err := s.inForce(ctx, also != nil); err != nil {
		log.finding("", "trunk", began, provider.Finding{Verdict: provider.Fail, Code: "not_applied", Message: err.Error()})
	} else {
		found, err := s.o.Prober.Verify(ctx, VerifyTarget{Trunk: credential.Trunk, Number: n.Number}, log.add)
		if log.probed(found, err); err != nil {
			return Verification{}, err
		}
	}
	if err := context.Cause(ctx); errors.Is(err, context.Canceled) {
		return Verification{}, err // interrupted: that says nothing about the number
	}
	v := Verification{Checks: log.answers.checks()}
	v.Checks.CredentialsValid = !hasFailed(log.answers, CredentialsValid)
	if !v.Checks.InboundReachable {
		s.askWhy(ctx, who, n, credential, log) // TP-40: the usual cause is a setting in the provider's dashboard
	}
	v.Steps = log.all
	err = s.update(ctx, who, func(c *changing) error {
		c.hurried = also != nil // one of many
		v.Number, err = c.verified(n, v.Checks.Passed())
		if err == nil && also != nil {
			err = also(c, v)
		}
		return err
	})
	return v, err
}

// inForce waits until the trunk is: it may be seconds old. For one number of many that is done once for all of them.
func (s *Service) inForce(ctx context.Context, done bool) error {
	if done {
		return nil
	}
	return s.o.Engine.Apply(ctx)
}

func hasFailed(a answers, check string) bool {
	return slices.Contains(a[check], provider.Fail)
}

// verifiable reads a number that can be verified, and its trunk.
func (s *Service) verifiable(ctx context.Context, who Caller, id int64) (n Number, credential SIPCredential, err error) {
	err = s.o.Repository.View(ctx, func(r Reader) error {
		if n, err = r.Number(who.Org, id); err != nil {
			return missing(err, "number", id)
		}
		if n.Source != sourceVoIP || n.SIPCredential == "" {
			return &Conflict{Message: fmt.Sprintf("number %d has no connection to verify it on", id), Fix: "import it into a connection"}
		}
		credential, err = r.SIPCredential(who.Org, n.SIPCredential)
		return err
	})
	return n, credential, err
}

// askWhy lets the provider say whether it sends calls of the number to us.
func (s *Service) askWhy(ctx context.Context, who Caller, n Number, credential SIPCredential, log *steps) {
	if n.Connection == 0 || s.o.Providers == nil {
		return
	}
	var conn Connection
	var credentials provider.Credentials
	err := s.o.Repository.View(ctx, func(r Reader) (err error) {
		if conn, err = r.Connection(who.Org, n.Connection); err == nil {
			credentials, err = r.ConnectionCredentials(who.Org, n.Connection)
		}
		return err
	})
	if err != nil || conn.Provider == provider.Manual {
		return
	}
	trunk, err := credential.engineTrunk()
	if err != nil {
		return
	}
	began := time.Now()
	account, err := s.o.Providers.Open(conn.Provider, provider.Complete(conn.Provider, credentials, credential.Domain))
	if err != nil {
		return
	}
	found, err := account.Inbound(ctx, s.line(trunk, n.Number, ""))
	if err != nil {
		found = softened(provider.FindingOf(err))
	}
	log.add(Step{Check: InboundReachable, Name: "inbound routing", Verdict: found.Verdict, Code: found.Code, Message: found.Message, Fix: found.Fix,
		At: began.UTC(), Duration: time.Since(began)})
}

// verified notes how the verification of a number went, unless the number has gone elsewhere in the meantime. A failed one keeps an
// active number active for inbound calls; that it may not call out any more follows from its verification state.
func (c *changing) verified(tested Number, passed bool) (Number, error) {
	n, err := c.Number(c.who.Org, tested.ID)
	if err != nil {
		return n, missing(err, "number", tested.ID)
	}
	if n.SIPCredential != tested.SIPCredential {
		return n, &Conflict{Message: fmt.Sprintf("number %d has got another connection while it was verified", n.ID), Fix: "verify it again"}
	}
	what := "number.verified"
	n.UpdatedAt = c.now
	if passed {
		n.Verification, n.Status, n.Failures, n.LastVerifiedAt = VerifiedOK, NumberActive, 0, &c.now
	} else {
		what = "number.verification_failed"
		n.Verification = VerificationFailed
		n.Failures++
		if n.Status == NumberProvisioning && n.Failures >= failuresToFailed {
			n.Status = NumberFailed
		}
	}
	if err := c.ChangeNumber(&n); err != nil {
		return n, err
	}
	c.engine = true
	return n, c.happened(what, subject("number", n.ID), "voip_verification_status, status", n.told())
}
