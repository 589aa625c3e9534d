package siptest

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"trunkline/config"
	"trunkline/trunks"
)

// parseNames reads the part names: what host names of the configuration stand for, as if DNS had said so. Two lines of one host and
// priority are two SRV records.
func (f *flow) parseNames(at int, text string) error {
	f.names = trunks.Names{}
	for i, line := range strings.Split(text, "\n") {
		line, _ = cutComment(line)
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 3 && len(fields) != 5 {
			return f.errAt(at+i+1, "want HOST udp|tcp|tls ADDRESS:PORT [PRIORITY WEIGHT]")
		}
		if _, err := parseProto(fields[1]); err != nil {
			return f.errAt(at+i+1, "%v", err)
		}
		addr, err := netip.ParseAddrPort(fields[2])
		if err != nil {
			return f.errAt(at+i+1, "%v", err)
		}
		host := trunks.Host{Name: fields[0], Transport: config.Transport(fields[1])}
		server := trunks.Server{Addr: addr, Record: uint16(len(f.names[host]))}
		if len(fields) == 5 {
			priority, errPriority := strconv.ParseUint(fields[3], 10, 16)
			weight, errWeight := strconv.ParseUint(fields[4], 10, 16)
			if errPriority != nil || errWeight != nil {
				return f.errAt(at+i+1, "priority and weight are numbers up to 65535")
			}
			server.Priority, server.Weight = uint32(priority), uint16(weight)
		}
		f.names[host] = append(f.names[host], server)
		slices.SortStableFunc(f.names[host], func(a, b trunks.Server) int { return int(a.Priority) - int(b.Priority) })
	}
	return nil
}

// addrOf is where a host without a port is: itself, or the first place its name stands for.
func (f *flow) addrOf(host string, t config.Transport) (netip.AddrPort, bool) {
	if servers := f.names[trunks.Host{Name: host, Transport: t}]; len(servers) > 0 {
		return servers[0].Addr, true
	}
	return netip.AddrPort{}, false
}
