package resolve

import (
	"errors"
	"net/netip"
	"time"

	"trunkline/config"
)

// Query is a host to be found: the next hop of a request, or the host part of a SIP URI.
type Query struct {
	Host      string           // a name, or an address without brackets
	Port      uint16           // 0: none given, so SRV may be asked
	Transport config.Transport // empty: none given, so NAPTR may be asked
	Secure    bool             // of a sips: URI: only TLS will do
}

// Target is one place to send to.
type Target struct {
	Addr      netip.AddrPort
	Transport config.Transport
	Name      string // the host of the Query: what a TLS certificate must be for, whatever SRV says (RFC 5922 §7.1)

	Priority uint32 // lower is tried first; transports that NAPTR or we prefer less follow in steps of 65,536
	Weight   uint16 // share of the first tries among servers of one priority; 0: hardly any
	Server   uint16 // targets of one SRV record share it: they are addresses of one server
}

// Answer is what a Query led to.
type Answer struct {
	Targets []Target  // by priority, servers and their addresses in an order that does not change between look-ups; see Order
	Until   time.Time // when it is worth asking again
	Stale   bool      // some of it is older than its TTL: no resolver answers
}

// What Resolve fails with. ErrNotFound and ErrRefused are the DNS's own word; ErrUnavailable means that no resolver answered.
var (
	ErrNotFound    = errors.New("no such name, or no address for it")
	ErrRefused     = errors.New("the domain says it has no such service") // SRV target ".", RFC 2782
	ErrUnavailable = errors.New("no resolver answers")
	ErrChain       = errors.New("the chain of aliases is too long or a loop")
)

// maxTargets bounds one Answer; a call tries fewer.
const maxTargets = 64

// defaultPort is that of RFC 3261 §19.1.2.
func defaultPort(t config.Transport) uint16 {
	if t == config.TLSTransport {
		return 5061
	}
	return 5060
}

// transport is what a Query without SRV is sent over (RFC 3263 §4.1).
func (q Query) transport() config.Transport {
	switch {
	case q.Secure:
		return config.TLSTransport
	case q.Transport != "":
		return q.Transport
	}
	return config.UDP
}

// service is one kind of SRV record and what it means.
type service struct {
	prefix    string // before the domain
	transport config.Transport
}

// services are the SRV records to ask for, most wanted first (RFC 3263 §4.1 and §4.2).
func (q Query) services() []service {
	var (
		udp = service{"_sip._udp.", config.UDP}
		tcp = service{"_sip._tcp.", config.TCP}
		tls = service{"_sips._tcp.", config.TLSTransport}
	)
	switch {
	case q.Secure || q.Transport == config.TLSTransport:
		return []service{tls}
	case q.Transport == config.UDP:
		return []service{udp}
	case q.Transport == config.TCP:
		return []service{tcp}
	}
	return []service{udp, tcp}
}
