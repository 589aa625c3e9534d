package peers

import (
	_ "embed"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed kamailio.cfg
var kamailioConfig string

// Kamailio is Kamailio as a carrier: it registers one user by digest and takes calls from that user, challenged, to the public
// network; what comes from there goes to the user's registered contact, with the called number. Listen, Network, User and Password are required.
type Kamailio struct {
	Listen    netip.AddrPort // over UDP and TCP
	Network   netip.AddrPort // the public network: a SIPp that answers or calls from there
	Realm     string         // empty: "carrier.example"
	User      string
	Password  string
	Algorithm string        // "MD5" or "SHA-256"; empty: MD5
	Expires   time.Duration // granted at most, whole seconds; zero: an hour
}

// Start starts it and returns when it listens.
func (k Kamailio) Start(t testing.TB) *Process {
	t.Helper()
	Need(t, "kamailio")
	if k.Realm == "" {
		k.Realm = "carrier.example"
	}
	if k.Algorithm == "" {
		k.Algorithm = "MD5"
	}
	if k.Expires == 0 {
		k.Expires = time.Hour
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "kamailio.cfg")
	text := strings.NewReplacer("{LISTEN}", k.Listen.String(), "{NETWORK}", k.Network.String(), "{REALM}", k.Realm, "{USER}", k.User,
		"{PASSWORD}", k.Password, "{ALGORITHM}", k.Algorithm, "{EXPIRES}", strconv.Itoa(int(k.Expires.Seconds()))).Replace(kamailioConfig)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, Spec{Name: "kamailio", Args: []string{"kamailio", "-f", file, "-DD", "-E", "-m", "32", "-M", "8", "-Y", dir}, Dir: dir})
	p.WaitFor(10*time.Second, "it listens", func() bool { return taken(k.Listen) })
	return p
}
