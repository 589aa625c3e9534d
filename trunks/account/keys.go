package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"
)

const (
	keyScheme    = "sk_live_"
	keyBytes     = 22
	keyLength    = len(keyScheme) + 2*keyBytes
	prefixLength = 15
	defaultKey   = "Default key"
)

// Authenticate tells who a key belongs to. Any other string than an active key of ours is Unauthorized; a key whose creator is
// no member any more is Forbidden.
func (s *Service) Authenticate(ctx context.Context, raw Secret, address string) (Caller, error) {
	refused := &Unauthorized{Message: "no such key; send Authorization: Bearer sk_live_…"}
	key := raw.Reveal()
	if len(key) != keyLength || !strings.HasPrefix(key, keyScheme) {
		return Caller{}, refused
	}
	hash := sha256.Sum256([]byte(key))
	var who Caller
	err := s.o.Repository.View(ctx, func(r Reader) error {
		candidates, err := r.KeysByPrefix(key[:prefixLength])
		if err != nil {
			return err
		}
		found, ok := matching(candidates, hash)
		if !ok {
			return refused
		}
		role, err := r.Role(found.Org, found.User)
		if errors.Is(err, ErrNone) {
			return &Forbidden{Message: "the creator of this key is no member of its organization any more"}
		}
		who = Caller{Org: found.Org, User: found.User, Key: found.ID, Role: role, Address: address}
		return err
	})
	if err != nil {
		return Caller{}, err
	}
	s.used.note(who.Key, now())
	return who, nil
}

// matching compares in constant time, and with every candidate.
func matching(candidates []HashedKey, hash [32]byte) (found HashedKey, ok bool) {
	for _, k := range candidates {
		if subtle.ConstantTimeCompare(k.Hash[:], hash[:]) == 1 && k.Active() {
			found, ok = k, true
		}
	}
	return found, ok
}

// Keys lists active and revoked keys, newest first.
func (s *Service) Keys(ctx context.Context, who Caller) (keys []APIKey, err error) {
	if err := who.may(Admin, "listing keys"); err != nil {
		return nil, err
	}
	err = s.o.Repository.View(ctx, func(r Reader) error { keys, err = r.Keys(who.Org); return err })
	return keys, err
}

// CreateKey makes a key with the rights of the caller's user. This is the only time its text is told. An empty name is
// "Default key".
func (s *Service) CreateKey(ctx context.Context, who Caller, name string) (APIKey, Secret, error) {
	key, raw, err := newKey(who, name)
	if err != nil {
		return APIKey{}, "", err
	}
	err = s.change(ctx, who, "creating a key", func(c *changing) error { return c.addKey(key) })
	if err != nil {
		return APIKey{}, "", err
	}
	return key.APIKey, raw, nil
}

func newKey(who Caller, name string) (HashedKey, Secret, error) {
	if name == "" {
		name = defaultKey
	}
	var p problems
	if text(&p, "name", name, 1, 120); len(p) > 0 {
		return HashedKey{}, "", p.err()
	}
	random := make([]byte, keyBytes)
	rand.Read(random) // never fails
	raw := keyScheme + hex.EncodeToString(random)
	return HashedKey{
		APIKey: APIKey{ID: newUUID(), Org: who.Org, User: who.User, Name: name, Prefix: raw[:prefixLength], CreatedAt: now()},
		Hash:   sha256.Sum256([]byte(raw)),
	}, Secret(raw), nil
}

func (c *changing) addKey(key HashedKey) error {
	if err := c.AddKey(key); err != nil {
		return err
	}
	return c.happened("key.created", "key/"+key.ID, "name", map[string]any{"id": key.ID, "name": key.Name, "key_prefix": key.Prefix})
}

// RevokeKey ends a key for good, everywhere at once. Revoking it again changes nothing. A key may revoke itself.
func (s *Service) RevokeKey(ctx context.Context, who Caller, id string) error {
	return s.change(ctx, who, "revoking a key", func(c *changing) error {
		key, err := c.Key(who.Org, id)
		if err != nil {
			return missing(err, "key", id)
		}
		if !key.Active() {
			return nil
		}
		if err := c.RevokeKey(who.Org, id, c.now); err != nil {
			return err
		}
		return c.happened("key.revoked", "key/"+id, "", map[string]any{"id": id, "name": key.Name, "key_prefix": key.Prefix})
	})
}

// Bootstrap says whom a key is for when it is made beside the API.
type Bootstrap struct {
	Organization string // its name or id; made when there is none of that name
	User         string // made when there is none of that name
	Role         Role   // the user gets in the organization; empty: owner in a new organization, else the one there is, else admin
	KeyName      string
}

// Bootstrap makes a key for an organization and a user, and both of them if need be (M-10). It is for whoever may write to the
// database anyhow.
func (s *Service) Bootstrap(ctx context.Context, b Bootstrap) (key APIKey, raw Secret, err error) {
	var p problems
	text(&p, "organization", b.Organization, 1, 120)
	text(&p, "user", b.User, 1, 120)
	if b.Role != "" && !b.Role.Valid() {
		p.add("role", "owner, admin, member", "%q is no role", b.Role)
	}
	if err := p.err(); err != nil {
		return APIKey{}, "", err
	}
	err = s.update(ctx, Caller{}, func(c *changing) error {
		if err := c.settle(b); err != nil {
			return err
		}
		hashed, text, err := newKey(c.who, b.KeyName)
		if err != nil {
			return err
		}
		key, raw = hashed.APIKey, text
		return c.addKey(hashed)
	})
	if err != nil {
		return APIKey{}, "", err
	}
	return key, raw, nil
}

// settle finds or makes organization, user and membership, and makes them the caller.
func (c *changing) settle(b Bootstrap) error {
	org, err := c.organization(b.Organization)
	created := errors.Is(err, ErrNone)
	if created {
		org = Organization{ID: newUUID(), Name: b.Organization, CreatedAt: c.now}
		err = c.AddOrganization(org)
	}
	if err != nil {
		return err
	}
	user, err := c.UserNamed(b.User)
	if errors.Is(err, ErrNone) {
		user = User{ID: newUUID(), Name: b.User, CreatedAt: c.now}
		err = c.AddUser(user)
	}
	if err != nil {
		return err
	}
	role, err := c.Role(org.ID, user.ID)
	if err != nil && !errors.Is(err, ErrNone) {
		return err
	}
	had := role
	switch {
	case b.Role != "":
		role = b.Role
	case created:
		role = Owner
	case role == "":
		role = Admin
	}
	c.who = Caller{Org: org.ID, User: user.ID, Role: role}
	if role == had {
		return nil
	}
	if err := c.SetMember(org.ID, user.ID, role); err != nil {
		return err
	}
	return c.happened("member.set", "user/"+user.ID, "role", map[string]any{"user": user.ID, "role": role})
}

func (c *changing) organization(nameOrID string) (Organization, error) {
	org, err := c.OrganizationNamed(nameOrID)
	if errors.Is(err, ErrNone) {
		return c.Organization(nameOrID)
	}
	return org, err
}

// Organization returns the caller's.
func (s *Service) Organization(ctx context.Context, who Caller) (org Organization, err error) {
	err = s.view(ctx, who, "reading the organization", func(r Reader) error { org, err = r.Organization(who.Org); return err })
	return org, missing(err, "organization", who.Org)
}

// FindOrganization returns one by name or id, or with an empty name the only one there is. It is for whoever may write to the
// database anyhow.
func (s *Service) FindOrganization(ctx context.Context, nameOrID string) (org Organization, err error) {
	err = s.o.Repository.View(ctx, func(r Reader) error {
		all, err := r.Organizations()
		if err != nil {
			return err
		}
		var names []string
		for _, o := range all {
			if o.Name == nameOrID || o.ID == nameOrID || nameOrID == "" && len(all) == 1 {
				org = o
				return nil
			}
			names = append(names, o.Name)
		}
		switch {
		case len(all) == 0:
			return invalid("organization", "there is none yet", "create the first key")
		case nameOrID == "":
			return invalid("organization", "is missing, and there are several", "one of "+strings.Join(names[:min(len(names), 20)], ", "))
		}
		return &NotFound{"organization", nameOrID}
	})
	return org, err
}

// usedKeys gathers when keys were used, so that a request does not write.
type usedKeys struct {
	mu      sync.Mutex
	at      map[string]time.Time // to be written
	written map[string]time.Time // lately
}

const (
	useInterval = time.Second      // between writes
	useSpacing  = 10 * time.Second // between two writes of one key
	usedAtMost  = 10_000           // keys between two writes; the use of more is not noted
)

func (u *usedKeys) note(key string, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.at == nil {
		u.at, u.written = map[string]time.Time{}, map[string]time.Time{}
	}
	if _, ok := u.at[key]; ok || at.Sub(u.written[key]) >= useSpacing && len(u.at) < usedAtMost {
		u.at[key] = at
	}
}

// take returns what is to be written now.
func (u *usedKeys) take(at time.Time) map[string]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.DeleteFunc(u.written, func(_ string, written time.Time) bool { return at.Sub(written) >= useSpacing })
	if len(u.at) == 0 {
		return nil
	}
	taken := u.at
	maps.Copy(u.written, taken)
	u.at = map[string]time.Time{}
	return taken
}

// noteUses writes the time of last use, best effort, until ctx ends.
func (s *Service) noteUses(ctx context.Context) {
	tick := time.NewTicker(useInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			if used := s.used.take(at); used != nil {
				if err := s.o.Repository.Update(ctx, func(tx Tx) error { return tx.TouchKeys(used) }); err != nil && ctx.Err() == nil {
					s.o.Log.Warn("the last use of keys could not be noted", "error", err)
				}
			}
		}
	}
}
