package resolve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"trunkline/config"
)

// question is what one DNS look-up asks. The name is in lower case and ends with a dot.
type question struct {
	name string
	kind uint16 // dns.TypeA, TypeAAAA, TypeSRV or TypeNAPTR
}

// records is the answer to a question: the records of its kind, in an order of ours, or none.
type records struct {
	addrs  []netip.Addr
	srvs   []srv
	naptrs []naptr
	ttl    time.Duration // how long it holds, none as well
}

type srv struct {
	priority, weight, port uint16
	target                 string // in lower case, with its dot; "." alone: there is no such service
}

type naptr struct {
	order, preference uint16
	transport         config.Transport
	replacement       string // name of SRV records
}

func (r *records) empty() bool { return len(r.addrs)+len(r.srvs)+len(r.naptrs) == 0 }

// Bounds on what one answer may make us keep, and on how long. A TTL of 0 would have every call ask.
const (
	maxRecords  = 32
	maxChain    = 8 // aliases on the way to a record
	shortestTTL = time.Second
	longestTTL  = 24 * time.Hour
	// What a "there is none" without a SOA record counts for, and the most that one with it does (RFC 2308 §5).
	blindTTL        = 30 * time.Second
	longestNegative = 5 * time.Minute
)

// interpret reads what m says about q. Only records of q's name, or of a name that aliases lead to from there, count;
// whatever else a resolver sends is not looked at. If the aliases lead out of m, next is the name to ask for.
func interpret(m *dns.Msg, q question) (found records, next string, err error) {
	name, ttl := q.name, longestTTL
	for hop := 0; ; hop++ {
		alias := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && alias == "" {
				alias = dns.CanonicalName(c.Target)
				ttl = min(ttl, lifetime(h.Ttl))
			}
			if h.Rrtype == q.kind && found.add(rr) {
				ttl = min(ttl, lifetime(h.Ttl))
			}
		}
		if !found.empty() || alias == "" {
			break
		}
		if hop == maxChain || alias == q.name || alias == name {
			return records{}, "", ErrChain
		}
		name = alias
	}
	switch {
	case !found.empty():
		found.sort()
		found.ttl = ttl
	case name != q.name && m.Rcode == dns.RcodeSuccess && negative(m) == 0:
		return records{ttl: ttl}, name, nil
	default:
		found.ttl = min(ttl, cmp.Or(negative(m), blindTTL))
	}
	return found, "", nil
}

// lifetime is a TTL within our bounds. The highest bit makes it 0 (RFC 2181 §8).
func lifetime(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		ttl = 0
	}
	return min(max(time.Duration(ttl)*time.Second, shortestTTL), longestTTL)
}

// negative is how long "there is none" holds, by the SOA record that comes with it; 0: there is no such record.
func negative(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(lifetime(min(soa.Hdr.Ttl, soa.Minttl)), longestNegative)
		}
	}
	return 0
}

// add keeps a record, and reports false if it is of no use to us or one too many.
func (r *records) add(rr dns.RR) bool {
	if len(r.addrs)+len(r.srvs)+len(r.naptrs) >= maxRecords {
		return false
	}
	switch rr := rr.(type) {
	case *dns.A:
		return r.addAddr(netip.AddrFromSlice(rr.A.To4()))
	case *dns.AAAA:
		return r.addAddr(netip.AddrFromSlice(rr.AAAA))
	case *dns.SRV:
		if rr.Port == 0 && rr.Target != "." {
			return false
		}
		r.srvs = append(r.srvs, srv{rr.Priority, rr.Weight, rr.Port, dns.CanonicalName(rr.Target)})
		return true
	case *dns.NAPTR:
		transport, known := naptrServices[strings.ToUpper(rr.Service)]
		if !known || !strings.EqualFold(rr.Flags, "s") || rr.Regexp != "" || rr.Replacement == "." || rr.Replacement == "" {
			return false // RFC 3263 §4.1: a service we do not speak, or no way on to SRV
		}
		r.naptrs = append(r.naptrs, naptr{rr.Order, rr.Preference, transport, dns.CanonicalName(rr.Replacement)})
		return true
	}
	return false
}

var naptrServices = map[string]config.Transport{
	"SIP+D2U":  config.UDP,
	"SIP+D2T":  config.TCP,
	"SIPS+D2T": config.TLSTransport,
}

// addAddr keeps an address that something can be sent to.
func (r *records) addAddr(a netip.Addr, ok bool) bool {
	a = a.Unmap()
	if !ok || a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	r.addrs = append(r.addrs, a)
	return true
}

// sort makes answers comparable: resolvers turn theirs round at will.
func (r *records) sort() {
	slices.SortFunc(r.addrs, netip.Addr.Compare)
	r.addrs = slices.Compact(r.addrs)
	slices.SortFunc(r.srvs, func(a, b srv) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.target, b.target), cmp.Compare(a.port, b.port), cmp.Compare(b.weight, a.weight))
	})
	r.srvs = slices.CompactFunc(r.srvs, func(a, b srv) bool { return a.priority == b.priority && a.target == b.target && a.port == b.port })
	slices.SortFunc(r.naptrs, func(a, b naptr) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.preference, b.preference), cmp.Compare(a.transport, b.transport),
			cmp.Compare(a.replacement, b.replacement))
	})
	// Records of a higher order are there for clients that cannot use the lower (RFC 3403 §4.1).
	for i := range r.naptrs {
		if r.naptrs[i].order != r.naptrs[0].order {
			r.naptrs = r.naptrs[:i]
			break
		}
	}
}
