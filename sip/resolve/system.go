package resolve

import (
	"bufio"
	"cmp"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// system is what the host says about names: resolvers, search list and hosts file. Its files are read again when they have
// changed, at most every reread.
type system struct {
	servers []string // as configured; empty: those of resolvConf

	mu       sync.Mutex
	conf     watched[*dns.ClientConfig]
	hosts    watched[map[string][]netip.Addr]
	troubled map[string]time.Time // resolvers that failed, and when last
}

// watched is a file and what was read from it.
type watched[T any] struct {
	path    string
	parse   func(io.Reader) (T, error)
	value   T
	checked time.Time
	changed time.Time // the file's own time
	size    int64
}

const reread = 5 * time.Second

func newSystem(o Options) *system {
	s := &system{troubled: map[string]time.Time{}}
	for _, a := range o.Servers {
		if a.Port() == 0 {
			a = netip.AddrPortFrom(a.Addr(), 53)
		}
		s.servers = append(s.servers, a.String())
	}
	s.conf = watched[*dns.ClientConfig]{path: cmp.Or(o.resolvConf, "/etc/resolv.conf"), parse: dns.ClientConfigFromReader, value: new(dns.ClientConfig)}
	s.hosts = watched[map[string][]netip.Addr]{path: cmp.Or(o.hosts, "/etc/hosts"), parse: parseHosts}
	return s
}

// resolvers returns addresses to ask, those that failed within the last minute after the others.
func (s *system) resolvers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	servers := slices.Clone(s.servers)
	if len(servers) == 0 {
		conf := s.conf.read()
		for _, host := range conf.Servers {
			if _, err := netip.ParseAddr(host); err == nil && len(servers) < maxResolvers {
				servers = append(servers, net.JoinHostPort(host, conf.Port))
			}
		}
	}
	now := time.Now()
	slices.SortStableFunc(servers, func(a, b string) int {
		return boolean(now.Sub(s.troubled[a]) < time.Minute) - boolean(now.Sub(s.troubled[b]) < time.Minute)
	})
	return servers
}

// maxResolvers is how many the C library reads from resolv.conf.
const maxResolvers = 3

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// failed notes that a resolver did not answer.
func (s *system) failed(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.troubled[server] = time.Now()
}

// names returns the names that host may stand for, in the order to try them: with configured resolvers host alone, else
// with the search list of resolv.conf. All are in lower case with their dot.
func (s *system) names(host string) []string {
	if len(s.servers) > 0 {
		return []string{dns.CanonicalName(host)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	names := s.conf.read().NameList(host)
	for i, name := range names {
		names[i] = dns.CanonicalName(name)
	}
	return names
}

// listed returns the addresses that the hosts file has for host. localhost is this host without any file (RFC 6761 §6.3).
func (s *system) listed(host string) []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addrs := s.hosts.read()[host]; len(addrs) > 0 {
		return addrs
	}
	if host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	return nil
}

// read returns what the file says. One that cannot be read changes nothing.
func (w *watched[T]) read() T {
	now := time.Now()
	if !w.checked.IsZero() && now.Sub(w.checked) < reread {
		return w.value
	}
	w.checked = now
	file, err := os.Open(w.path)
	if err != nil {
		return w.value
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.ModTime().Equal(w.changed) && info.Size() == w.size {
		return w.value
	}
	if value, err := w.parse(file); err == nil {
		w.value, w.changed, w.size = value, info.ModTime(), info.Size()
	}
	return w.value
}

// parseHosts reads hosts(5): an address and its names on each line.
func parseHosts(file io.Reader) (map[string][]netip.Addr, error) {
	listed := map[string][]netip.Addr{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.TrimSuffix(strings.ToLower(name), ".")
			if a := a.Unmap().WithZone(""); len(listed[name]) < maxRecords && !slices.Contains(listed[name], a) {
				listed[name] = append(listed[name], a)
			}
		}
	}
	return listed, lines.Err()
}
