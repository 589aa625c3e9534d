package trunks

import (
	"errors"
	"net/netip"

	"trunkline/config"
)

// Snapshot is everything the call path reads about trunks, agents and numbers. It is immutable and may be used by any
// number of goroutines; only the counts of calls in progress change.
type Snapshot struct {
	Trunks  []*Trunk  // in the order of the configuration
	Agents  []*Agent  // in the order of the configuration
	Numbers []*Number // in the order of the configuration
}

// Hosts returns the host names in cfg that must be resolved before Build: of servers, outbound proxies, destinations
// and sources, sorted, each once.
func Hosts(cfg config.Config) []string { return nil }

// Build makes a Snapshot of cfg. hosts holds the addresses of each name from Hosts; a name without an entry leaves its
// trunk or destination without addresses (see Snapshot.Unresolved) and is no error. The error tells of a configuration
// that config.Load would have refused.
func Build(cfg config.Config, hosts map[string][]netip.Addr) (*Snapshot, error) {
	return nil, errors.ErrUnsupported
}

// Rebuild is Build for a running edge: trunks and agents that keep their name keep their count of calls in progress.
// s itself is unchanged.
func (s *Snapshot) Rebuild(cfg config.Config, hosts map[string][]netip.Addr) (*Snapshot, error) {
	return nil, errors.ErrUnsupported
}

// Unresolved returns the names that Build had no address for, sorted.
func (s *Snapshot) Unresolved() []string { return nil }

// Trunk returns the trunk of that name, or nil.
func (s *Snapshot) Trunk(name string) *Trunk { return nil }

// Agent returns the agent of that name, or nil.
func (s *Snapshot) Agent(name string) *Agent { return nil }

// Number returns the number with that E.164 form, or nil.
func (s *Snapshot) Number(e164 []byte) *Number { return nil }
