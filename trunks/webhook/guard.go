package webhook

import (
	"fmt"
	"net/netip"
	"syscall"

	"trunkline/trunks/account"
)

// errNotAllowed is an attempt to reach an address that is not public.
type errNotAllowed struct{ address netip.Addr }

func (e errNotAllowed) Error() string {
	return fmt.Sprintf("%s is no public address; probe.allow_private_targets would allow it", e.address)
}

// onlyPublic is net.Dialer.Control: it looks at the address that is about to be connected to, after the name was resolved,
// so that a name cannot change its mind between the look and the connection.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !account.Public(to.Addr()) {
		return errNotAllowed{to.Addr()}
	}
	return nil
}
