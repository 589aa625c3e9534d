package account

import (
	"context"

	"trunkline/config"
	"trunkline/trunks/provider"
)

// Engine is the edge, as far as this package cares. Its methods may be called from any goroutine.
type Engine interface {
	// Changed says that the Inventory is another now. It does not wait; the engine reads it soon, once for many changes.
	Changed()
	// Apply returns when everything committed before the call is in force. The error says what could not be applied.
	Apply(ctx context.Context) error
	// Registration of a trunk.
	Registration(trunk string) Registration
	// File is the configuration in force without the Inventory: what it lists is managed by the file alone.
	File() config.Config
}

// Prober sends the SIP requests of tests. Its methods report each step as it ends, return the verdict of each check they
// speak to, and end soon after ctx. A check that does not apply, as credentials where there are none, passes. An error is a
// request that cannot be carried out, an *Invalid or a *Busy, and never what is wrong with a trunk. No step holds a secret.
type Prober interface {
	// Test proves a trunk that may not be in force yet. Nothing is answered and nothing left behind.
	Test(ctx context.Context, t ProbeTarget, report func(Step)) (map[string]Verdict, error)
	// Verify makes the round trip of one number: it dials number out, waits for the INVITE to come back in on the same
	// trunk, and asks for a call with number as caller. It keeps the pace of the trunk's key.
	Verify(ctx context.Context, t VerifyTarget, report func(Step)) (map[string]Verdict, error)
}

// ProbeTarget is a trunk to test.
type ProbeTarget struct {
	Provider        provider.Kind
	Trunk           config.Trunk
	TestNumber      string // own number, E.164 with plus; empty: none is known
	TestDestination string // E.164 with plus or SIP URI to call; empty: TestNumber
}

// VerifyTarget is a number to verify.
type VerifyTarget struct {
	Trunk       string // its name in the engine
	Number      string // E.164 with plus
	Destination string // whom the outbound probe calls; empty: Number
}

// Providers opens accounts at providers; *provider.Directory is one.
type Providers interface {
	Open(kind provider.Kind, c provider.Credentials) (provider.Provider, error)
}
