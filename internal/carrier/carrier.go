package carrier

import (
	"context"
	"errors"
	"net/netip"
)

// Carrier is a simulated carrier. Its methods may be called concurrently.
type Carrier struct{ options Options }

// Start opens the sockets and answers until Close.
func Start(ctx context.Context, o Options) (*Carrier, error) {
	return nil, errors.New("carrier: not listening")
}

// Addr is the address listened on.
func (c *Carrier) Addr() netip.AddrPort { return c.options.Listen }

// Call places a call to the edge's contact and returns once it is answered.
func (c *Carrier) Call(ctx context.Context, from, to string) (*Call, error) { return nil, nil }

// Close ends every call and closes the sockets.
func (c *Carrier) Close() error { return nil }

// Call is one call of a Carrier or an App.
type Call struct{}
