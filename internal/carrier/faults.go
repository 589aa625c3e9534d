package carrier

import "time"

// Faults are what a Carrier does wrong on request, from the next request on. The zero value: nothing.
type Faults struct {
	// Silence, of requests outside calls.
	Silent         bool // nothing is answered at all
	SilentOptions  bool // OPTIONS gets no answer, as at many carriers
	SilentRegister bool
	SilentInvite   bool
	StuckInvite    bool // an INVITE gets 100 and nothing else

	// Answers that do not depend on what was asked. Retry is their Retry-After in whole seconds; 0: none.
	OptionsCode  int // final response to every OPTIONS; 0: as it should be
	RegisterCode int
	InviteCode   int
	Retry        time.Duration

	// Digest.
	WrongDigest bool   // the right password is taken for a wrong one
	UnknownUser bool   // User is not known here
	StaleNonces bool   // every nonce is stale at once, forever
	Algorithm   string // what challenges ask for in place of Options.Algorithm, such as "SHA-256" alone
	Realm       string // what challenges say in place of Options.Realm; passwords go on belonging to that

	// The switch and the registrar.
	ForbiddenSource bool                // the edge's address is not on the list
	Refuse          Refusal             // every call, with credentials that are right, is refused for this
	CPS             int                 // in place of Options.CPS
	Detours         map[string]*Carrier // DIDs whose calls come back from another carrier, or with nil are taken by somebody else
	DropBindings    bool                // REGISTER gets a 200 that shows the binding, which is forgotten at once
	NoContact       bool                // REGISTER gets a 200 without Contact, and nothing is bound

	// TLS.
	Certificate Certificate // which one is shown; 0: a good one
	OldTLS      bool        // nothing newer than TLS 1.1 is spoken
}

// SetFaults replaces the faults in force.
func (c *Carrier) SetFaults(f Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = f
}

func (c *Carrier) fault() Faults {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.faults
}
