package account

import (
	"context"
	"errors"
	"time"

	"trunkline/trunks/provider"
)

// Repository keeps what organizations have. Its errors are an *Unavailable where the database is in trouble, ErrNone where
// one object was asked for and none is there, ErrTaken where a unique name or number is, and whatever the function returned.
type Repository interface {
	// View lets f read from one consistent state.
	View(ctx context.Context, f func(Reader) error) error
	// Update lets f read and change in one transaction, all of it or nothing; only one runs at a time. When Update returns nil the
	// change is on the disk, so f must not wait for anything but the database.
	Update(ctx context.Context, f func(Tx) error) error
	// Digest is a digest that nobody without this installation's key can compute.
	Digest(ctx context.Context, data []byte) ([32]byte, error)
}

var (
	ErrNone  = errors.New("not found")
	ErrTaken = errors.New("already taken")
)

// Reader reads. What it is asked for by organization it does not show of another.
type Reader interface {
	Organization(id string) (Organization, error)
	Organizations() ([]Organization, error) // by name
	OrganizationNamed(name string) (Organization, error)
	UserNamed(name string) (User, error)
	Role(org, user string) (Role, error) // ErrNone: no member

	Keys(org string) ([]APIKey, error) // newest first
	Key(org, id string) (APIKey, error)
	KeysByPrefix(prefix string) ([]HashedKey, error) // of all organizations

	Connections(org string) ([]Connection, error) // newest first
	Connection(org string, id int64) (Connection, error)
	ConnectionCredentials(org string, id int64) (provider.Credentials, error)

	SIPCredentials(org string, skip, take int) (_ []SIPCredential, total int, _ error) // newest first
	SIPCredential(org, id string) (SIPCredential, error)
	SIPCredentialOf(org string, connection int64) (SIPCredential, error)
	AffectedAgents(org, credential string) ([]Agent, error) // those of numbers the credential carries

	Numbers(org string, f NumberFilter) ([]Number, error) // newest first, released ones left out
	Number(org string, id int64) (Number, error)          // a released one is ErrNone
	NumberOwner(number string) (Number, error)            // of any organization

	Agents(org string) ([]Agent, error) // newest first
	Agent(org string, id int64) (Agent, error)
	NumbersOfAgent(org string, id int64) (int, error)
	Sources() ([]SourceEntry, error)

	Evidence(id string) (Evidence, error) // of any organization
	Events(org string, f EventFilter) ([]Event, error)
	Audit(org string, f AuditFilter) ([]AuditEntry, error)

	Operations(org string) ([]Operation, error) // newest first
	Operation(org, id string) (Operation, error)
	Unfinished() ([]Operation, error) // of all organizations, oldest first
	OperationItems(operation string, state ItemState, limit int) ([]OperationItem, error)

	Replay(org, key string) (Replay, error)
	Inventory() (Inventory, error) // of all organizations
}

// SourceEntry is one address, network or host name that an agent or a trunk of some organization calls from.
type SourceEntry struct {
	Org        string
	Agent      int64  // 0: it is a trunk's
	Credential string // id; empty: it is an agent's
	Source     string // as written
}

// HashedKey is an APIKey with what is kept of the key itself.
type HashedKey struct {
	APIKey
	Hash [32]byte // SHA-256; the key has 176 random bits, so there is nothing to guess and no need to be slow
}

// Tx changes. Add methods fill in what the database chooses: ids that are numbers. Change methods expect an object
// that was read in the same transaction, and count its Version up.
type Tx interface {
	Reader

	AddOrganization(Organization) error
	AddUser(User) error
	SetMember(org, user string, r Role) error

	AddKey(HashedKey) error
	RevokeKey(org, id string, at time.Time) error
	TouchKeys(used map[string]time.Time) error // by id; those revoked meanwhile are left out

	AddConnection(*Connection, provider.Credentials) error
	ChangeConnection(*Connection) error
	SetConnectionCredentials(id int64, c provider.Credentials) error
	RemoveConnection(id int64) error // with its SIP credential; its numbers must have been detached

	AddSIPCredential(SIPCredential) error
	ChangeSIPCredential(*SIPCredential) error
	RemoveSIPCredential(id string) error

	AddNumber(*Number) error // ErrTaken: some organization has it
	ChangeNumber(*Number) error

	AddAgent(*Agent) error
	ChangeAgent(*Agent) error
	RemoveAgent(id int64) error

	AddEvidence(Evidence) error
	UseEvidence(id string, at time.Time) error // ErrTaken: it was used before

	AddEvent(*Event) error
	// TrimEvents deletes events of a type that are more than keep ids older than the newest event, at most limit of them.
	TrimEvents(what string, keep int64, limit int) error
	AddAudit(AuditEntry) error

	AddOperation(Operation, []int64) error // with one item for each number
	ChangeOperation(*Operation) error
	SetOperationItem(operation string, item OperationItem) error

	AddReplay(Replay) error // ErrTaken: the key is there
	FinishReplay(Replay) error
	RemoveReplay(org, key string) error

	// Forget deletes evidence and replays that ended before one time, and events, finished operations and released numbers
	// before another, audit entries a year later; a bounded number each time.
	Forget(expired, old time.Time) error
}
