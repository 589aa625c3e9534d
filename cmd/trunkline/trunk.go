package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"
)

var connections = resource{word: "trunk", path: "/v1/voip-connections", name: "name", columns: []column{
	{"ID", "id"}, {"NAME", "name"}, {"PROVIDER", "provider"}, {"STATUS", "status"}, {"REGISTRATION", "registration.state"}, {"NUMBERS", "numbers_imported"}, {"LAST TESTED", "last_tested_at"}}}

func newTrunk() *cobra.Command {
	cmd := group("trunk", "Test, create and manage trunks")
	var flags remoteFlags
	flags.add(cmd)
	cmd.AddCommand(newTrunkTest(&flags), connections.newList(&flags, nil), connections.newGet(&flags), newTrunkCreate(&flags), newTrunkUpdate(&flags),
		connections.newDelete(&flags, "also with numbers: they are detached and marked failed"), newTrunkRegister(&flags))
	return cmd
}

// carrierFlags describe a connection.
type carrierFlags struct {
	provider, name, credentials           string
	guided                                bool
	server, domain, transport             string
	format, country, cpsKey               string
	register                              bool
	sources                               []string
	cpsLimit                              float64
	maxCalls                              int
	testNumber, testDestination           string
	authUser, authPasswordFile, authRealm string
}

func (f *carrierFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "what to call it (default: as the provider does)")
	flags.StringVar(&f.credentials, "credentials-file", "", "JSON or YAML file with the provider's credentials, as apiKey and connectionId; - reads stdin")
	flags.StringVar(&f.authUser, "auth-user", "", "user name of a manual trunk")
	flags.StringVar(&f.authPasswordFile, "auth-password-file", "", "file with the password of a manual trunk, alone on its first line")
	flags.StringVar(&f.authRealm, "realm", "", "realm of a manual trunk (default: any)")
	flags.StringVar(&f.server, "server", "", "where requests go: host, host:port or [v6]:port")
	flags.StringVar(&f.domain, "domain", "", "host part of Request-URI, From and To")
	flags.StringVar(&f.transport, "transport", "", "udp, tcp or tls")
	flags.BoolVar(&f.register, "register", false, "the trunk registers (default: as the provider wants it)")
	flags.StringSliceVar(&f.sources, "source", nil, "address, network or host name its calls come from; may be given several times")
	flags.StringVar(&f.format, "number-format", "", "e164_plus, e164 or national")
	flags.StringVar(&f.country, "country", "", "of national numbers: two letters, or the country code")
	flags.Float64Var(&f.cpsLimit, "cps-limit", 0, "calls per second, may be a fraction")
	flags.StringVar(&f.cpsKey, "cps-key", "", "trunks with the same key share one limit")
	flags.IntVar(&f.maxCalls, "max-calls", 0, "calls in progress")
	flags.StringVar(&f.testNumber, "test-number", "", "own number for the dial-in and as caller, +E.164")
	flags.StringVar(&f.testDestination, "test-destination", "", "whom the outbound probe calls, +E.164 or SIP URI")
}

// sipConfig holds what was given; nil when nothing was.
func (f *carrierFlags) sipConfig(cmd *cobra.Command) map[string]any {
	given := map[string]any{}
	for flag, setting := range map[string]struct {
		member string
		value  any
	}{
		"server": {"server", f.server}, "domain": {"domain", f.domain}, "transport": {"transport", f.transport}, "register": {"register", f.register},
		"source": {"source_addresses", f.sources}, "number-format": {"number_format", f.format}, "country": {"country", f.country}, "cps-limit": {"cps_limit", f.cpsLimit},
		"cps-key": {"cps_key", f.cpsKey}, "max-calls": {"max_calls", f.maxCalls}, "test-number": {"test_number", f.testNumber}, "test-destination": {"test_destination", f.testDestination},
	} {
		if cmd.Flags().Changed(flag) {
			given[setting.member] = setting.value
		}
	}
	if len(given) == 0 {
		return nil
	}
	return given
}

// readCredentials reads what is secret from where it does not show.
func (f *carrierFlags) readCredentials(cmd *cobra.Command) (map[string]string, error) {
	credentials := map[string]string{}
	if f.credentials != "" {
		text, err := readInput(cmd, f.credentials)
		if err != nil {
			return nil, err
		}
		if yaml.Unmarshal(text, &credentials) != nil { // its error would show the text
			return nil, &usageError{cmd.CommandPath(), errors.New("--credentials-file: it is not JSON or YAML with a text for each name")}
		}
	}
	if f.authPasswordFile != "" {
		text, err := readInput(cmd, f.authPasswordFile)
		if err != nil {
			return nil, err
		}
		line, _, _ := strings.Cut(string(text), "\n")
		credentials["password"] = strings.TrimSuffix(line, "\r")
	}
	for name, value := range map[string]string{"username": f.authUser, "authRealm": f.authRealm} {
		if value != "" {
			credentials[name] = value
		}
	}
	return credentials, nil
}

func readInput(cmd *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(io.LimitReader(cmd.InOrStdin(), 1<<20))
	}
	return os.ReadFile(path)
}

// testResult is what matters of a test's answer.
type testResult struct {
	Status     string      `json:"status"`
	EvidenceID *string     `json:"verification_evidence_id"`
	Name       string      `json:"suggested_connection_name"`
	Checks     checksShown `json:"checks"`
}

// testCarrier tests over the API, tells each step, and returns the whole answer. A trunk that fails is a checkError.
func testCarrier(ctx context.Context, talk io.Writer, r *remote, body map[string]any) (json.RawMessage, testResult, error) {
	h := stepHearer{talk: talk}
	if err := r.follow(ctx, http.MethodPost, connections.path+"/test", body, h.hear); err != nil {
		return nil, testResult{}, err
	}
	if h.result == nil {
		return nil, testResult{}, errors.New("the test ended without a result: the daemon stopped, or the connection to it broke")
	}
	result, err := decode[testResult](h.result)
	if err != nil {
		return nil, testResult{}, err
	}
	printAnswers(talk, result.Checks)
	if result.Status != "pass" || result.EvidenceID == nil {
		return h.result, result, &checkError{errors.New("the trunk did not pass")}
	}
	return h.result, result, nil
}

// remoteTest is `trunk test` over the API: the provider is asked too.
func remoteTest(flags *remoteFlags, cmd *cobra.Command, f trunkFlags) error {
	return remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
		credentials, err := (&carrierFlags{credentials: f.credentials}).readCredentials(cmd)
		if err != nil {
			return err
		}
		settings := map[string]any{}
		for flag, setting := range map[string]struct {
			member string
			value  any
		}{"server": {"server", f.server}, "domain": {"domain", f.domain}, "transport": {"transport", f.transport}, "register": {"register", f.register},
			"inbound": {"test_number", f.inbound}, "to": {"test_destination", f.to}} {
			if cmd.Flags().Changed(flag) {
				settings[setting.member] = setting.value
			}
		}
		talk := cmd.ErrOrStderr()
		if f.output == "text" {
			talk = cmd.OutOrStdout()
		}
		answer, _, err := testCarrier(ctx, talk, r, map[string]any{"provider": firstOf(f.provider, "manual"), "credentials": credentials, "sip_config": settings})
		if answer != nil && f.output == "json" {
			if err := show(cmd, "json", answer, nil); err != nil {
				return err
			}
		}
		return err
	})(cmd, nil)
}

func newTrunkCreate(flags *remoteFlags) *cobra.Command {
	var f carrierFlags
	var output string
	cmd := &cobra.Command{
		Use:   "create --provider NAME",
		Short: "Test a trunk and, when it passes, create it",
		Long: "Test a trunk and, when it passes, create it with that test's evidence. Each step is told as it happens. Exit status 3: the test\n" +
			"ran and the trunk did not pass; nothing was created.",
		Example: "  trunkline trunk create --provider telnyx --credentials-file telnyx.yaml\n" +
			"  trunkline trunk create --provider manual --server sip.example.net --auth-user 1234 --auth-password-file pw --test-number +14155550100",
		Args: noArguments,
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
			credentials, err := f.readCredentials(cmd)
			if err != nil {
				return err
			}
			body := map[string]any{"provider": f.provider, "credentials": credentials}
			if settings := f.sipConfig(cmd); settings != nil {
				body["sip_config"] = settings
			}
			if f.guided {
				body["setup_method"] = "guided_telnyx"
			}
			_, result, err := testCarrier(ctx, cmd.ErrOrStderr(), r, body)
			if err != nil {
				return fmt.Errorf("%w; nothing was created", err)
			}
			body["verification_evidence_id"] = *result.EvidenceID
			if f.name != "" {
				body["name"] = f.name
			}
			answer, err := r.call(ctx, http.MethodPost, connections.path, body)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, connections.columns)
		})}
	cmd.Flags().StringVar(&f.provider, "provider", "manual", "twilio, telnyx, signalwire, vonage or manual")
	cmd.Flags().BoolVar(&f.guided, "guided", false, "set the account up first: connection, outbound profile, numbers (telnyx)")
	f.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func newTrunkUpdate(flags *remoteFlags) *cobra.Command {
	var f carrierFlags
	var output string
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Rename a trunk, or change and rotate it after a test",
		Long: "Rename a trunk, or change its settings and credentials. What changes more than the name is tested first, with all credentials, which\n" +
			"the API never shows again: --credentials-file is needed. Calls in progress, registrations and numbers stay.",
		Args: arguments("ID"), ValidArgsFunction: connections.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			path := connections.path + "/" + url.PathEscape(args[0])
			change, err := f.change(ctx, cmd, r, path)
			if err != nil {
				return err
			}
			answer, err := r.call(ctx, http.MethodPatch, path, change)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, connections.columns)
		})}
	f.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

// change is what to send to change the connection at path, after the test it needs.
func (f *carrierFlags) change(ctx context.Context, cmd *cobra.Command, r *remote, path string) (map[string]any, error) {
	change := map[string]any{}
	if f.name != "" {
		change["name"] = f.name
	}
	credentials, err := f.readCredentials(cmd)
	if err != nil {
		return nil, err
	}
	settings := f.sipConfig(cmd)
	switch {
	case len(credentials) == 0 && settings == nil && len(change) == 0:
		return nil, &usageError{cmd.CommandPath(), errors.New("nothing to change was given")}
	case len(credentials) == 0 && settings == nil:
		return change, nil
	case len(credentials) == 0:
		return nil, &usageError{cmd.CommandPath(), errors.New("--credentials-file (or --auth-user and --auth-password-file) is needed: a change is tested first, and stored secrets are never shown")}
	}
	answer, err := r.get(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	there, err := decode[struct {
		Provider  string         `json:"provider"`
		SIPConfig map[string]any `json:"sip_config"`
	}](answer)
	if err != nil {
		return nil, err
	}
	if there.SIPConfig == nil {
		there.SIPConfig = map[string]any{}
	}
	maps.Copy(there.SIPConfig, settings)
	_, result, err := testCarrier(ctx, cmd.ErrOrStderr(), r, map[string]any{"provider": there.Provider, "credentials": credentials, "sip_config": there.SIPConfig})
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was changed", err)
	}
	change["credentials"], change["sip_config"], change["verification_evidence_id"] = credentials, there.SIPConfig, *result.EvidenceID
	return change, nil
}

// registrationShown is what matters of a connection while it registers.
type registrationShown struct {
	Registration struct {
		State string  `json:"state"`
		Cause *string `json:"cause"`
	} `json:"registration"`
}

func newTrunkRegister(flags *remoteFlags) *cobra.Command {
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "register ID",
		Short: "Wait until a trunk is registered, and say what keeps it from it",
		Long: "Wait until a trunk is registered. The daemon registers by itself; this shows each state it goes through. Exit status: 0 it is\n" +
			"registered; 3 the registrar refuses, or the trunk does not register; 7 it is still trying.",
		Args: arguments("ID"), ValidArgsFunction: connections.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			return waitRegistered(ctx, cmd, r, connections.path+"/"+url.PathEscape(args[0]), limit)
		})}
	cmd.Flags().DurationVar(&limit, "timeout", 40*time.Second, "how long to wait")
	return cmd
}

func waitRegistered(ctx context.Context, cmd *cobra.Command, r *remote, path string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	last := ""
	for {
		answer, err := r.get(ctx, path, nil)
		if err != nil {
			return err
		}
		c, err := decode[registrationShown](answer)
		if err != nil {
			return err
		}
		state := c.Registration.State
		if c.Registration.Cause != nil {
			state += ": " + *c.Registration.Cause
		}
		if state != last {
			fmt.Fprintln(cmd.OutOrStdout(), state)
			last = state
		}
		refused := slices.Contains([]string{"auth_failed", "rejected"}, c.Registration.State)
		switch {
		case c.Registration.State == "registered":
			return nil
		case c.Registration.State == "none" || c.Registration.State == "disabled":
			return &checkError{errors.New("the trunk does not register: trunkline trunk update ID --register changes that")}
		case time.Now().After(deadline) && refused:
			return &checkError{errors.New("the trunk is not registered")}
		case time.Now().After(deadline):
			return &apiError{Status: http.StatusGatewayTimeout, Message: "the trunk is not registered yet"}
		}
		select {
		case <-ctx.Done():
			return errInterrupted
		case <-time.After(500 * time.Millisecond):
		}
	}
}
