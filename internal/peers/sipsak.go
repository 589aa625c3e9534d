package peers

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Sipsak is a run of sipsak, which sends one kind of request and looks at the answers. Local, Remote and Transport are required.
type Sipsak struct {
	Local     netip.AddrPort // where it sends from
	Remote    netip.AddrPort
	Transport string // "udp", "tcp" or "tls"
	User      string // of the request's URI
	Register  bool   // a REGISTER that is looked up afterwards; else OPTIONS
	Password  string // answers challenges, as User
	Authority *Authority
}

// Run sends the request and returns what sipsak wrote, and whether it was content.
func (s Sipsak) Run(t testing.TB) (out string, content bool) {
	t.Helper()
	Need(t, "sipsak")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	user := s.User
	if user != "" {
		user += "@"
	}
	args := []string{"-vvv", "--transport=" + s.Transport, "--local-ip=" + s.Local.Addr().String(), "--hostname=" + s.Local.Addr().String(),
		"--local-port=" + strconv.Itoa(int(s.Local.Port())), "--sip-uri=sip:" + user + s.Remote.Addr().String(),
		// In the URI the port would be part of the name that the certificate must have.
		"--remote-port=" + strconv.Itoa(int(s.Remote.Port()))}
	if s.Transport == "udp" {
		args = append(args, "--symmetric")
	}
	if s.Register {
		args = append(args, "--usrloc-mode", "--expires=60")
	}
	if s.Password != "" {
		args = append(args, "--auth-username="+s.User, "--password="+s.Password)
	}
	if s.Authority != nil {
		args = append(args, "--tls-ca-cert="+s.Authority.File)
	}
	cmd := exec.CommandContext(ctx, "sipsak", args...)
	cmd.Env = append(os.Environ(), "GNUTLS_SYSTEM_PRIORITY_FILE="+s.oldTLS(t))
	text, err := cmd.CombinedOutput()
	return string(text), err == nil
}

// oldTLS is a file that keeps sipsak's library from TLS 1.3: sipsak 0.9.8.1 takes the session ticket, which a server of TLS 1.3 sends
// first, for the end of the connection.
func (s Sipsak) oldTLS(t testing.TB) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gnutls")
	if err := os.WriteFile(file, []byte("[overrides]\ndisabled-version = tls1.3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
