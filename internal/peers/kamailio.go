package peers

import (
	_ "embed"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed kamailio.cfg
var kamailioConfig string

// Kamailio is a carrier that demands digest: a registrar, and a proxy to the network behind it. Listen, User, Password and Behind
// are required.
type Kamailio struct {
	Listen         netip.AddrPort // over UDP and TCP
	TLS            netip.AddrPort // over TLS; invalid: not at all
	Certificate    string         // PEM files for TLS
	Key            string
	User, Password string
	Realm          string         // empty: "carrier.example"
	Algorithm      string         // of challenges; empty: MD5
	Behind         netip.AddrPort // where answered calls go over UDP; calls that come from its port go to the registered contact
	MaxExpires     int            // seconds granted at most; 0: 300
	MinExpires     int            // seconds; a REGISTER for less gets 423; 0: any
	NonceLife      int            // seconds after which a nonce is stale; 0: 300
}

// RunningKamailio is a Kamailio that was started.
type RunningKamailio struct{ *Process }

// Start starts it and returns when it listens.
func (k Kamailio) Start(t testing.TB) *RunningKamailio {
	t.Helper()
	Need(t, "kamailio")
	modules, err := filepath.Glob("/usr/lib/*/kamailio/modules/tm.so")
	if err != nil || len(modules) == 0 {
		t.Fatal("Kamailio is installed without its modules")
	}
	secure, enabled := "", "no"
	if k.TLS.IsValid() {
		if _, err := os.Stat(filepath.Join(filepath.Dir(modules[0]), "tls.so")); err != nil {
			absent(t, "kamailio-tls-modules")
		}
		enabled = "yes"
		secure = fmt.Sprintf("listen=tls:%s\nloadmodule \"tls.so\"\nmodparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n"+
			"modparam(\"tls\", \"certificate\", %q)\nmodparam(\"tls\", \"private_key\", %q)\n", k.TLS, k.Certificate, k.Key)
	}
	if k.Realm == "" {
		k.Realm = "carrier.example"
	}
	if k.Algorithm == "" {
		k.Algorithm = "MD5"
	}
	dir := t.TempDir()
	// Longer words go first where one begins with another.
	text := strings.NewReplacer("BEHINDPORT", strconv.Itoa(int(k.Behind.Port())), "BEHIND", k.Behind.String(), "LISTEN", k.Listen.String(),
		"MODULES", filepath.Dir(modules[0]), "SECURE", secure, "enable_tls=TLS", "enable_tls="+enabled, "REALM", k.Realm, "ALGORITHM", k.Algorithm,
		"\"USER\"", strconv.Quote(k.User), "USER@", k.User+"@", "PASSWORD", k.Password, "NONCELIFE", strconv.Itoa(orElse(k.NonceLife, 300)),
		"MAXEXPIRES", strconv.Itoa(orElse(k.MaxExpires, 300)), "MINEXPIRES", strconv.Itoa(k.MinExpires)).Replace(kamailioConfig)
	file := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Start(t, Spec{Name: "kamailio", Dir: dir, Args: []string{"kamailio", "-f", file, "-DD", "-E", "-m", "32", "-M", "4", "-Y", dir, "-w", dir}})
	p.WaitFor(10*time.Second, "it listens", func() bool { return listening(k.Listen) })
	return &RunningKamailio{p}
}

var seenLine = regexp.MustCompile(`seen (\w+) from \S+ over (\w+), answered for (\d*) characters`)

// Seen returns how many requests of a method it has received outside dialogs and in them, and how many of those carried an answer to
// a challenge.
func (k *RunningKamailio) Seen(method string) (all, withDigest int) {
	for _, match := range seenLine.FindAllStringSubmatch(k.Log(), -1) {
		if match[1] == method {
			all++
			if match[3] != "" {
				withDigest++
			}
		}
	}
	return all, withDigest
}
