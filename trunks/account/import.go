package account

import (
	"context"
	"errors"
	"fmt"

	"trunkline/trunks/provider"
)

const importAtMost = 1000 // numbers of one import

// AvailableNumbers lists what the connection's credentials can see and no organization has (TP-31). A manual connection
// has nobody to ask, and so none.
func (s *Service) AvailableNumbers(ctx context.Context, who Caller, id int64) ([]AvailableNumber, error) {
	if err := who.may(Member, "listing available numbers"); err != nil {
		return nil, err
	}
	seen, _, err := s.seenNumbers(ctx, who, id)
	if err != nil {
		return nil, err
	}
	free := []AvailableNumber{}
	err = s.o.Repository.View(ctx, func(r Reader) error {
		free = free[:0]
		for _, n := range seen {
			switch taken, err := s.taken(r, n.Number); {
			case err != nil:
				return err
			case !taken:
				free = append(free, AvailableNumber{n.Number, n.Label})
			}
		}
		return nil
	})
	return free, err
}

// seenNumbers asks the provider for the numbers that take calls.
func (s *Service) seenNumbers(ctx context.Context, who Caller, id int64) ([]provider.Number, Connection, error) {
	var conn Connection
	var credentials provider.Credentials
	var credential SIPCredential
	err := s.o.Repository.View(ctx, func(r Reader) (err error) {
		if conn, err = r.Connection(who.Org, id); err != nil {
			return err
		}
		if credentials, err = r.ConnectionCredentials(who.Org, id); err != nil {
			return err
		}
		credential, err = r.SIPCredentialOf(who.Org, id)
		return err
	})
	if err != nil {
		return nil, conn, missing(err, "connection", id)
	}
	if conn.Provider == provider.Manual {
		return nil, conn, nil
	}
	if s.o.Providers == nil {
		return nil, conn, errors.New("account: no Providers to ask")
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.TestLimit)
	defer cancel()
	account, err := s.o.Providers.Open(conn.Provider, provider.Complete(conn.Provider, credentials, credential.Domain))
	if err != nil {
		return nil, conn, providerFailed(conn.Provider, "open the account", err)
	}
	var seen []provider.Number
	for n, err := range account.Numbers(ctx) {
		if err != nil {
			return nil, conn, providerFailed(conn.Provider, "list numbers", err)
		}
		if n.Voice && n.Active && isE164(n.Number) {
			seen = append(seen, n)
		}
	}
	return seen, conn, nil
}

// taken reports whether some organization, or the file, has a number.
func (s *Service) taken(r Reader, number string) (bool, error) {
	if s.inFile(number) {
		return true, nil
	}
	_, err := r.NumberOwner(number)
	if errors.Is(err, ErrNone) {
		return false, nil
	}
	return err == nil, err
}

// inFile reports whether the file lists a number.
func (s *Service) inFile(number string) bool {
	if s.o.Engine == nil {
		return false
	}
	for _, n := range s.o.Engine.File().Numbers {
		if n.Number == number {
			return true
		}
	}
	return false
}

// ImportNumbers makes numbers of the organization of what the connection's provider has; for a manual connection it is the
// caller who knows. What cannot be imported is skipped with a reason, and nothing is said about other organizations. A number of the
// organization that has lost its connection is taken up again.
func (s *Service) ImportNumbers(ctx context.Context, who Caller, id int64, numbers []string) (Import, error) {
	if err := checkImport(who, numbers); err != nil {
		return Import{}, err
	}
	listed, conn, err := s.seenNumbers(ctx, who, id)
	if err != nil {
		return Import{}, err
	}
	seen := make(map[string]bool, len(listed))
	for _, n := range listed {
		seen[n.Number] = true
	}
	available := func(number string) bool { return conn.Provider == provider.Manual || seen[number] }
	return s.importAll(ctx, who, numbers, available, func(c *changing) (string, error) {
		credential, err := c.SIPCredentialOf(who.Org, id)
		return credential.ID, missing(err, "connection", id)
	})
}

// ImportToSIPCredential makes numbers of the organization that a SIP credential carries which no connection owns.
func (s *Service) ImportToSIPCredential(ctx context.Context, who Caller, id string, numbers []string) (Import, error) {
	if err := checkImport(who, numbers); err != nil {
		return Import{}, err
	}
	return s.importAll(ctx, who, numbers, func(string) bool { return true }, func(c *changing) (string, error) {
		found, err := c.ownCredential(id)
		return found.ID, err
	})
}

func checkImport(who Caller, numbers []string) error {
	if err := who.may(Admin, "importing numbers"); err != nil {
		return err
	}
	if len(numbers) == 0 || len(numbers) > importAtMost {
		return invalid("numbers", fmt.Sprintf("has %d numbers", len(numbers)), fmt.Sprintf("1 to %d are allowed", importAtMost))
	}
	return nil
}

// importAll is one transaction: every number is imported or skipped.
func (s *Service) importAll(ctx context.Context, who Caller, numbers []string, available func(string) bool, carrier func(*changing) (string, error)) (Import, error) {
	var done Import
	err := s.change(ctx, who, "importing numbers", func(c *changing) error {
		done = Import{Imported: []Number{}, Skipped: []Skipped{}}
		credential, err := carrier(c)
		if err != nil {
			return err
		}
		inRequest := map[string]bool{}
		for _, number := range numbers {
			n, reason, err := s.importOne(c, credential, number, inRequest, available)
			switch {
			case err != nil:
				return err
			case reason != "":
				done.Skipped = append(done.Skipped, Skipped{number, reason})
			default:
				done.Imported = append(done.Imported, n)
			}
		}
		return nil
	})
	return done, err
}

func (s *Service) importOne(c *changing, credential, number string, inRequest map[string]bool, available func(string) bool) (Number, SkipReason, error) {
	switch {
	case !isE164(number):
		return Number{}, SkipMalformed, nil
	case inRequest[number]:
		return Number{}, SkipDuplicate, nil
	}
	inRequest[number] = true
	n, err := c.NumberOwner(number)
	switch {
	case err != nil && !errors.Is(err, ErrNone):
		return Number{}, "", err
	case err == nil && n.Org == c.who.Org && n.SIPCredential != "":
		return Number{}, SkipAlreadyOurs, nil
	case err == nil && n.Org != c.who.Org, s.inFile(number), !available(number):
		return Number{}, SkipUnavailable, nil
	case err == nil: // it lost its connection, or came from another organization
		n.SIPCredential, n.Status, n.Verification, n.Failures, n.UpdatedAt = credential, NumberProvisioning, Unverified, 0, c.now
		err = c.ChangeNumber(&n)
	default:
		n = Number{Org: c.who.Org, Number: number, Source: sourceVoIP, SIPCredential: credential, Status: NumberProvisioning, Verification: Unverified, CreatedAt: c.now, UpdatedAt: c.now}
		err = c.AddNumber(&n)
	}
	if err != nil {
		return Number{}, "", err
	}
	return n, "", c.happened("number.imported", subject("number", n.ID), "", n.told())
}

const sourceVoIP = "voip"

// isE164 reports whether number is a plus and 7 to 15 digits, the first of them not 0 (E.164 §6).
func isE164(number string) bool {
	if len(number) < 8 || len(number) > 16 || number[0] != '+' || number[1] == '0' {
		return false
	}
	for _, c := range []byte(number[1:]) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
