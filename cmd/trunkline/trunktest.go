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

// trunkFlags are what `trunk test` is told.
type trunkFlags struct {
	server, transport, domain, realm string
	user, passwordFile, ca           string
	serverName, format, country      string
	register, bind, discover         bool
	from, to, inbound, output        string
	provider, listen, public         string
	credentials                      string // file; the test then goes over the API
	timeout                          time.Duration
}

func newTrunkTest(remote *remoteFlags) *cobra.Command {
	var f trunkFlags
	cmd := &cobra.Command{
		Use:   "test --server HOST[:PORT]",
		Short: "Prove a trunk with real SIP requests, without a daemon",
		Long: "Prove a trunk with real SIP requests, without a daemon: names and TLS, OPTIONS, then REGISTER where the trunk registers,\n" +
			"then an INVITE that is given up as soon as the carrier has taken it up, so that nothing rings and nothing is charged.\n" +
			"With --inbound a number is dialled out of the trunk and the call is seen to come in again, where it is answered 486. Each\n" +
			"step is shown as it happens, with the cause and the fix when it fails. Emergency and premium numbers are never called.\n\n" +
			"With --discover transport, port and number format are tried until one set works, and the trunk to save is printed.\n\n" +
			"Exit status: 0 the trunk passed; 3 the test ran and the trunk failed; 1 the tool failed; 2 usage.",
		Example: "  trunkline trunk test --server sip.example.net --auth-user 1234 --auth-password-file pw --register\n" +
			"  trunkline trunk test --server 192.0.2.10:5060 --from +14155550100 --to +14155550199 -o ladder\n" +
			"  trunkline trunk test --server sip.example.net --auth-user 1234 --auth-password-file pw --register --inbound +14155550100\n" +
			"  trunkline trunk test --server sip.example.net --auth-user 1234 --auth-password-file pw --discover",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.credentials != "" {
				return remoteTest(remote, cmd, f)
			}
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
	flags.StringVar(&f.serverName, "tls-server-name", "", "name the certificate must carry (default: domain)")
	flags.BoolVar(&f.register, "register", false, "the trunk registers: prove the credentials by REGISTER; the binding in use stays")
	flags.StringVar(&f.from, "from", "", "caller of the test calls, +E.164 (default: the number of --inbound, else the user name)")
	flags.StringVar(&f.to, "to", "", "number or SIP URI of the test call; without it only the credentials are proven")
	flags.StringVar(&f.inbound, "inbound", "", "number of the trunk, +E.164: it is dialled out and must come in again")
	flags.BoolVar(&f.bind, "bind", true, "with --register and --inbound: bind this host for the time of the dial-in, and put back what was bound before")
	flags.StringVar(&f.provider, "provider", "", "whose error codes go first: twilio, telnyx, signalwire, vonage (default: told by the domain)")
	flags.StringVar(&f.format, "number-format", "e164", "how the carrier writes numbers: e164, digits or national")
	flags.StringVar(&f.country, "country-code", "", "of national numbers, in digits")
	flags.StringVar(&f.listen, "listen", "", "address[:port] to send from and take the dial-in on (default: the address this host uses towards the server)")
	flags.StringVar(&f.public, "public-address", "", "address shown in Via and Contact, behind a NAT (default: the one listened on)")
	flags.BoolVar(&f.discover, "discover", false, "find transport, port and number format that work, and print the trunk to save")
	flags.StringVar(&f.credentials, "credentials-file", "", "JSON or YAML file with the provider's credentials: a daemon then tests, and asks the provider too")
	flags.StringVarP(&f.output, "output", "o", "text", "text, json or ladder")
	flags.DurationVar(&f.timeout, "timeout", 5*time.Second, "longest wait for one answer")
	return cmd
}

func testTrunk(ctx context.Context, cmd *cobra.Command, f trunkFlags) error {
	usage := func(err error) error { return &usageError{cmd.CommandPath(), err} }
	if err := f.check(); err != nil {
		return usage(err)
	}
	c, err := f.config()
	if err != nil {
		return usage(err)
	}
	resolver := newResolver(config.Config{})
	defer resolver.Close()
	edge, stop, err := probeEdge(ctx, c, f)
	if err != nil {
		return err
	}
	defer stop()
	prober := probe.New(probe.Options{Engine: edge, Resolver: resolver})
	defer func() { // what an interrupt left behind
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		prober.Close(ctx)
	}()
	out, talk := cmd.OutOrStdout(), cmd.ErrOrStderr()
	steps := talk
	if f.output == "text" {
		steps = out
	}
	r := probe.Request{Config: &c, Provider: f.provider, From: f.from, To: f.to, Number: f.inbound, Bind: f.bind && f.inbound != "",
		Timeout: f.timeout, Messages: f.output == "ladder"}
	printer := newStepPrinter(steps)
	defer printer.end()
	r.Progress = printer.print
	if f.discover {
		return discover(ctx, prober, r, out, f.output)
	}
	report, err := prober.Run(ctx, r)
	printer.end()
	if wrong, ok := errors.AsType[*probe.RequestError](err); ok {
		return usage(fmt.Errorf("%s: %s", flagOf[wrong.Field], wrong.Problem))
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	switch f.output {
	case "json":
		if err := json.NewEncoder(out).Encode(report); err != nil {
			return err
		}
	case "ladder":
		fmt.Fprint(out, sip.Ladder(report.Messages(), func(netip.AddrPort) string { return "carrier" }))
	default:
		printReport(out, report)
	}
	switch report.Verdict {
	case probe.Pass:
		return nil
	case probe.Inconclusive:
		return &checkError{errors.New("nothing failed, but nothing was proven either: give --auth-user, --to or --inbound")}
	}
	return &checkError{errors.New("the trunk did not pass")}
}

// flagOf names the flags that fill a request's fields.
var flagOf = map[string]string{"Number": "--inbound", "From": "--from", "To": "--to", "Timeout": "--timeout"}

func (f *trunkFlags) check() error {
	switch f.output {
	case "text", "json", "ladder":
	default:
		return fmt.Errorf("--output: %q is none of text, json, ladder", f.output)
	}
	switch f.provider {
	case "", "twilio", "telnyx", "signalwire", "vonage", "manual":
	default:
		return fmt.Errorf("--provider: %q is none of twilio, telnyx, signalwire, vonage, manual", f.provider)
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
	if f.public != "" {
		if _, err := netip.ParseAddr(f.public); err != nil {
			return fmt.Errorf("--public-address: %q is no IPv4 or IPv6 address", f.public)
		}
	}
	if _, err := f.listenAt(); err != nil {
		return err
	}
	return nil
}

// listenAt is where --listen says to listen; the zero value where it does not.
func (f *trunkFlags) listenAt() (netip.AddrPort, error) {
	if f.listen == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(f.listen); err == nil {
		return netip.AddrPortFrom(a, 0), nil
	}
	a, err := netip.ParseAddrPort(f.listen)
	if err != nil {
		return a, fmt.Errorf("--listen: %q is none of address, address:port, [v6]:port", f.listen)
	}
	return a, nil
}

// config is the trunk the flags describe. It goes through the configuration's own
// checks, so what is accepted here can be saved.
func (f *trunkFlags) config() (config.Trunk, error) {
	password := ""
	if f.passwordFile != "" {
		b, err := os.ReadFile(f.passwordFile)
		if err != nil {
			return config.Trunk{}, fmt.Errorf("--auth-password-file: %w", err)
		}
		password, _, _ = strings.Cut(string(b), "\n")
		password = strings.TrimSuffix(password, "\r")
	}
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	body := fmt.Sprintf("trunks: [{name: trunk, server: %s, transport: %s, domain: %s, realm: %s, auth_user: %s, auth_password: %s, register: %t, "+
		"number_format: %s, country_code: %s, tls: {ca: %s, server_name: %s}}]",
		quoted(f.server), quoted(f.transport), quoted(f.domain), quoted(f.realm), quoted(f.user), quoted(password), f.register,
		quoted(f.format), quoted(f.country), quoted(f.ca), quoted(f.serverName))
	body += "\nsip: {listen: [\"udp://127.0.0.1:5060\", \"tcp://127.0.0.1:5060\", \"tls://127.0.0.1:5061\"]}"
	c, err := config.Load("", []string{"TRUNKLINE_CONFIG_BODY=" + body})
	if err != nil {
		return config.Trunk{}, errors.New(flagNames.Replace(err.Error()))
	}
	return c.Trunks[0], nil
}

// flagNames turns the keys in a configuration mistake into the flags that set them.
var flagNames = strings.NewReplacer("TRUNKLINE_CONFIG_BODY:1: ", "",
	"trunks[0].server", "--server", "trunks[0].transport", "--transport", "trunks[0].domain", "--domain", "trunks[0].realm", "--realm",
	"trunks[0].auth_user", "--auth-user", "trunks[0].auth_password", "--auth-password-file", "trunks[0].register", "--register",
	"trunks[0].number_format", "--number-format", "trunks[0].country_code", "--country-code",
	"trunks[0].tls.ca", "--tls-ca", "trunks[0].tls.server_name", "--tls-server-name")

// probeEdge starts an edge that only sends, and takes the calls that tests dial: over
// UDP and TCP on one free port of the address this host uses towards the trunk.
func probeEdge(ctx context.Context, c config.Trunk, f trunkFlags) (*sip.Edge, func(), error) {
	at, _ := f.listenAt()
	if !at.IsValid() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
		if s, err := buildFor(ctx, config.Config{Trunks: []config.Trunk{c}}); err == nil && len(s.Trunks[0].Servers) > 0 {
			server := s.Trunks[0].Servers[0]
			local, err := localTowards(server)
			if err != nil {
				return nil, nil, fmt.Errorf("no way to %s: %w", server, err)
			}
			at = netip.AddrPortFrom(local, 0)
		}
	}
	network, err := listenForProbe(at, f.public)
	if err != nil {
		return nil, nil, err
	}
	// No call is taken: the snapshot has no sources, and by its limits whoever calls meets silence.
	edge, err := sip.New(sip.Options{Network: network, Trunks: new(trunks.Snapshot), UserAgent: "Trunkline"})
	if err != nil {
		network.Close(context.Background())
		return nil, nil, err
	}
	running, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { edge.Run(running); close(done) }() // ends with cancel
	return edge, func() {
		cancel()
		<-done
		network.Close(context.Background())
	}, nil
}

// listenForProbe opens UDP and TCP on the same port, a free one if none is asked for.
func listenForProbe(at netip.AddrPort, public string) (network *transport.Network, err error) {
	for range 10 {
		port := at.Port()
		if port == 0 {
			if port, err = freeUDPPort(at.Addr()); err != nil {
				return nil, err
			}
		}
		address := netip.AddrPortFrom(at.Addr(), port).String()
		network, err = transport.Listen(transport.Options{Listen: []string{"udp://" + address, "tcp://" + address}, PublicAddress: public,
			Loop: transport.LoopPortable, SocketBuffer: 1 << 18})
		if err == nil || at.Port() != 0 {
			return network, err
		}
	}
	return nil, err
}

// freeUDPPort is a UDP port that nobody has at the moment.
func freeUDPPort(a netip.Addr) (uint16, error) {
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Port(), nil
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

// stepPrinter shows steps as they end, and in a terminal what is going on until then.
type stepPrinter struct {
	w    io.Writer
	live bool // a person watches
	last string
}

func newStepPrinter(w io.Writer) *stepPrinter {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("CI") != "" {
		return &stepPrinter{w: w}
	}
	info, err := file.Stat()
	p := &stepPrinter{w: w, live: err == nil && info.Mode()&os.ModeCharDevice != 0}
	p.wait()
	return p
}

// wait shows that the next step is under way; the step takes its line.
func (p *stepPrinter) wait() {
	if p.live {
		fmt.Fprint(p.w, "… \r")
	}
}

// end clears the line of a step that does not come.
func (p *stepPrinter) end() {
	if p.live {
		fmt.Fprint(p.w, " \r")
	}
}

func (p *stepPrinter) print(s probe.Step) {
	mark := marks[s.Verdict]
	if p.live && os.Getenv("NO_COLOR") == "" {
		mark = colours[s.Verdict] + mark + "\x1b[0m"
	}
	fmt.Fprintf(p.w, "%s %-11s %s", mark, s.Name, s.Message)
	if s.Duration > 0 {
		fmt.Fprintf(p.w, " (%s)", took(s.Duration.D()))
	}
	fmt.Fprintln(p.w)
	if explained := string(s.Code) + s.Fix; s.Code != "" && s.Fix != "" && explained != p.last {
		p.last = explained
		fmt.Fprintf(p.w, "              cause: %s\n              fix:   %s\n", s.Code, s.Fix)
	}
	p.wait()
}

var colours = map[probe.Verdict]string{probe.Pass: "\x1b[32m", probe.Fail: "\x1b[31m", probe.Inconclusive: "\x1b[33m", probe.Skipped: "\x1b[2m"}

func took(d time.Duration) string {
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func printReport(w io.Writer, r probe.Report) {
	fmt.Fprintln(w)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%s %s: %s", marks[c.Verdict], c.Check, c.Verdict)
		switch {
		case c.Verdict == probe.Skipped && c.Code == probe.NotApplicable:
			fmt.Fprintf(w, " (%s)", c.Message)
		case c.Verdict == probe.Skipped:
			fmt.Fprintf(w, " (%s: %s)", c.Message, c.Fix)
		case c.Code != "":
			fmt.Fprintf(w, " (%s)", c.Code)
		}
		fmt.Fprintln(w)
	}
	var facts []string
	if r.Facts.SeenAs != "" {
		facts = append(facts, "the carrier sees us as "+r.Facts.SeenAs)
	}
	if r.Facts.RTT > 0 {
		facts = append(facts, "round trip "+took(r.Facts.RTT.D()))
	}
	if r.Facts.Agent != "" {
		facts = append(facts, "it is "+r.Facts.Agent)
	}
	if len(facts) > 0 {
		fmt.Fprintln(w, "\n"+strings.Join(facts, "; "))
	}
}
