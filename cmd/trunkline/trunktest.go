package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"trunkline/config"
	"trunkline/sip"
	"trunkline/sip/probe"
	"trunkline/sip/transport"
	"trunkline/trunks"
)

func newTrunk() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trunk",
		Short: "Test trunks",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTrunkTest())
	return cmd
}

// trunkFlags are what `trunk test` is told.
type trunkFlags struct {
	server, transport, domain, realm string
	user, passwordFile, ca           string
	register                         bool
	from, to, output                 string
	timeout                          time.Duration
}

func newTrunkTest() *cobra.Command {
	var f trunkFlags
	cmd := &cobra.Command{
		Use:   "test --server HOST[:PORT]",
		Short: "Prove a trunk with real SIP requests, without a daemon",
		Long: "Prove a trunk with real SIP requests, without a daemon: OPTIONS, then REGISTER where the trunk registers, then an INVITE\n" +
			"that is given up as soon as the carrier has taken it up, so that nothing rings and nothing is charged. Each step\n" +
			"is shown as it happens, with the cause and the fix when it fails.\n\n" +
			"Exit status: 0 the trunk passed; 3 the test ran and the trunk failed; 1 the tool failed; 2 usage.",
		Example: "  trunkline trunk test --server sip.example.net --auth-user 1234 --auth-password-file pw --register\n" +
			"  trunkline trunk test --server 192.0.2.10:5060 --from +14155550100 --to +14155550199 -o ladder",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return testTrunk(ctx, cmd, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.server, "server", "", "where the carrier takes requests: host, host:port or [v6]:port (required)")
	flags.StringVar(&f.transport, "transport", "udp", "udp, tcp or tls")
	flags.StringVar(&f.domain, "domain", "", "host part of Request-URI, From and To (default: host of the server)")
	flags.StringVar(&f.realm, "realm", "", "answer challenges of this realm only (default: any)")
	flags.StringVar(&f.user, "auth-user", "", "user name for digest authentication")
	flags.StringVar(&f.passwordFile, "auth-password-file", "", "file with the password, alone on its first line")
	flags.StringVar(&f.ca, "tls-ca", "", "PEM file of the authorities to trust over TLS (default: the system's)")
	flags.BoolVar(&f.register, "register", false, "the trunk registers: prove the credentials by REGISTER; the binding in use stays")
	flags.StringVar(&f.from, "from", "", "caller of the test call (default: the user name)")
	flags.StringVar(&f.to, "to", "", "number or SIP URI of the test call; without it no call is tried")
	flags.StringVarP(&f.output, "output", "o", "text", "text, json or ladder")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Second, "longest wait for one answer")
	return cmd
}

func testTrunk(ctx context.Context, cmd *cobra.Command, f trunkFlags) error {
	if err := f.check(); err != nil {
		return &usageError{cmd.CommandPath(), err}
	}
	t, err := f.trunk(ctx)
	if err != nil {
		return &usageError{cmd.CommandPath(), err}
	}
	edge, stop, err := probeEdge(t)
	if err != nil {
		return err
	}
	defer stop()
	out, talk := cmd.OutOrStdout(), cmd.ErrOrStderr()
	o := probe.Request{Trunk: t, From: f.from, To: f.to, Timeout: f.timeout, Messages: f.output == "ladder"}
	if f.output == "text" {
		o.Progress = func(s probe.Step) { printStep(out, s) }
	} else {
		o.Progress = func(s probe.Step) { printStep(talk, s) }
	}
	report, err := probe.New(probe.Options{Engine: edge}).Run(ctx, o)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	switch f.output {
	case "json":
		if err := json.NewEncoder(out).Encode(report); err != nil {
			return err
		}
	case "ladder":
		fmt.Fprint(out, sip.Ladder(report.Messages(), func(netip.AddrPort) string { return "carrier" }))
	default:
		printChecks(out, report)
	}
	if !report.Passed() {
		return &checkError{errors.New("the trunk did not pass")}
	}
	return nil
}

func (f *trunkFlags) check() error {
	switch f.output {
	case "text", "json", "ladder":
	default:
		return fmt.Errorf("--output: %q is none of text, json, ladder", f.output)
	}
	if f.server == "" {
		return errors.New("--server is required: host, host:port or [v6]:port")
	}
	for flag, value := range map[string]string{"from": f.from, "to": f.to, "auth-user": f.user, "domain": f.domain} {
		if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("<>\"", r) }) {
			return fmt.Errorf("--%s: spaces, quotes, angle brackets and control characters are not allowed", flag)
		}
	}
	if f.timeout <= 0 || f.timeout > time.Minute {
		return errors.New("--timeout: more than 0 and at most 1m is allowed")
	}
	return nil
}

// trunk makes the trunk the flags describe. It goes through the configuration's
// own checks, so what is accepted here can be saved.
func (f *trunkFlags) trunk(ctx context.Context) (*trunks.Trunk, error) {
	password := ""
	if f.passwordFile != "" {
		b, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return nil, fmt.Errorf("--auth-password-file: %w", err)
		}
		password, _, _ = strings.Cut(string(b), "\n")
		password = strings.TrimSuffix(password, "\r")
	}
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	body := fmt.Sprintf("trunks: [{name: trunk, server: %s, transport: %s, domain: %s, realm: %s, auth_user: %s, auth_password: %s, register: %t, tls: {ca: %s}}]",
		quoted(f.server), quoted(f.transport), quoted(f.domain), quoted(f.realm), quoted(f.user), quoted(password), f.register, quoted(f.ca))
	body += "\nsip: {listen: [\"udp://127.0.0.1:5060\", \"tcp://127.0.0.1:5060\", \"tls://127.0.0.1:5061\"]}"
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + body})
	if err != nil {
		return nil, errors.New(flagNames.Replace(err.Error()))
	}
	s, err := buildFor(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.Trunks[0], nil
}

// flagNames turns the keys in a configuration mistake into the flags that set them.
var flagNames = strings.NewReplacer("TRUNKLINE_CONFIG_BODY:1: ", "",
	"trunks[0].server", "--server", "trunks[0].transport", "--transport", "trunks[0].domain", "--domain", "trunks[0].realm", "--realm",
	"trunks[0].auth_user", "--auth-user", "trunks[0].auth_password", "--auth-password-file", "trunks[0].register", "--register", "trunks[0].tls.ca", "--tls-ca")

// probeEdge starts an edge that only sends: on a free port of the address this
// host uses towards the trunk.
func probeEdge(t *trunks.Trunk) (*sip.Edge, func(), error) {
	listen := "udp://127.0.0.1:0"
	if len(t.Servers) > 0 {
		local, err := localTowards(t.Servers[0])
		if err != nil {
			return nil, nil, fmt.Errorf("no way to %s: %w", t.Servers[0], err)
		}
		listen = "udp://" + netip.AddrPortFrom(local, 0).String()
	}
	network, err := transport.Listen(transport.Options{Listen: []string{listen}, Loop: transport.LoopPortable, SocketBuffer: 1 << 18})
	if err != nil {
		return nil, nil, err
	}
	// Nothing is taken: the snapshot has no sources, so whoever calls meets silence.
	only := &trunks.Snapshot{Trunks: []*trunks.Trunk{t}}
	edge, err := sip.New(sip.Options{Network: network, Trunks: only, UserAgent: "Trunkline", Strangers: config.UnknownDrop})
	if err != nil {
		network.Close(context.Background())
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { edge.Run(ctx); close(done) }() // ends with cancel
	return edge, func() {
		cancel()
		<-done
		network.Close(context.Background())
	}, nil
}

// localTowards returns the local address that packets to remote leave from.
func localTowards(remote netip.AddrPort) (netip.Addr, error) {
	c, err := net.Dial("udp", remote.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

var marks = map[probe.Verdict]string{probe.Pass: "✓", probe.Fail: "✗", probe.Inconclusive: "?", probe.Skipped: "-"}

func printStep(w io.Writer, s probe.Step) {
	fmt.Fprintf(w, "%s %-9s %s (%d ms)\n", marks[s.Verdict], s.Name, s.Message, s.Duration.D().Milliseconds())
	if s.Fix != "" {
		fmt.Fprintf(w, "            cause: %s\n            fix:   %s\n", s.Code, s.Fix)
	}
}

func printChecks(w io.Writer, r probe.Report) {
	fmt.Fprintln(w)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%s %s: %s", marks[c.Verdict], c.Check, c.Verdict)
		if c.Code != "" {
			fmt.Fprintf(w, " (%s)", c.Code)
		}
		if c.Verdict == probe.Skipped {
			fmt.Fprintf(w, " (%s: %s)", c.Message, c.Fix)
		}
		fmt.Fprintln(w)
	}
}
