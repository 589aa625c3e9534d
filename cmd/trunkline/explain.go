package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"trunkline/sip/admit"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

func newExplain() *cobra.Command {
	var file, invite, source, transport string
	cmd := &cobra.Command{
		Use:   "explain --invite FILE --source IP:PORT",
		Short: "Say what the edge would do with an INVITE, and why",
		Long: "Say what the edge would do with an INVITE that came from an address: whose address it is, which number matched or\n" +
			"was nearest and what differed, and where the call would go. It reads the configuration and sends nothing.\n\n" +
			"Exit status: 0 the call would be taken; 3 it would be refused; 1 the tool failed; 2 usage.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := netip.ParseAddrPort(source)
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("--source: %q is not IP:PORT", source)}
			}
			if invite == "" {
				return &usageError{cmd.CommandPath(), errors.New("--invite is required: a file with the INVITE, - for standard input")}
			}
			text, err := readInvite(cmd.InOrStdin(), invite)
			if err != nil {
				return err
			}
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			s, err := buildFor(cmd.Context(), c)
			if err != nil {
				return err
			}
			return explain(cmd.OutOrStdout(), s, transport, from, text)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&invite, "invite", "", "file with the INVITE as it was on the wire or in a trace; - for standard input")
	cmd.Flags().StringVar(&source, "source", "", "address it came from, IP:PORT")
	cmd.Flags().StringVar(&transport, "transport", "UDP", "UDP, TCP or TLS")
	return cmd
}

// readInvite reads a message. One that was pasted has its line ends made CRLF and
// its header ended.
func readInvite(in io.Reader, file string) ([]byte, error) {
	var text []byte
	var err error
	if file == "-" {
		text, err = io.ReadAll(io.LimitReader(in, wire.MaxMessage))
	} else {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	if !bytes.Contains(text, []byte("\n\n")) {
		text = append(bytes.TrimRight(text, "\n"), "\n\n"...)
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")), nil
}

// explain writes the way of an INVITE through the gates, up to the one that stops
// it.
func explain(w io.Writer, s *trunks.Snapshot, transport string, from netip.AddrPort, text []byte) error {
	principal := s.Source(transport, from)
	if !principal.Known() {
		return explainRefusal(w, "source", 403, s.Unknown(transport, from).Detail())
	}
	fmt.Fprintf(w, "✓ source   %s over %s is %s\n", from, transport, principal)
	var m wire.Message
	if err := m.Parse(text); err != nil {
		broken, ok := errors.AsType[*wire.Error](err)
		if !ok {
			return err
		}
		return explainRefusal(w, "message", broken.Status, broken.Reason+" ("+broken.Cause+")")
	}
	if r := admit.Initial(&m); r != nil {
		return explainRefusal(w, "message", r.Status, r.Cause)
	}
	if m.Method != wire.INVITE {
		fmt.Fprintf(w, "✓ message  %s is answered by the edge itself\n", m.Method)
		return nil
	}
	fmt.Fprintln(w, "✓ message  valid")
	called, caller := admit.Numbers(&m)
	var route trunks.Route
	var refusal *trunks.Refusal
	if principal.Trunk != nil {
		route, refusal = s.Inbound(principal.Trunk, called)
	} else {
		route, refusal = s.Outbound(principal.Agent, caller, called)
	}
	if refusal != nil {
		return explainRefusal(w, "route", 0, refusal.Error())
	}
	if principal.Trunk != nil {
		fmt.Fprintf(w, "✓ route    %s is number %s of trunk %s: inbound to agent %s\n", called, route.Number.E164, route.Trunk.Name, route.Agent.Name)
		for _, d := range route.Agent.Destinations {
			fmt.Fprintf(w, "  target   %s (priority %d, weight %d)\n", d.URI, d.Priority, d.Weight)
		}
		return nil
	}
	fmt.Fprintf(w, "✓ route    %s may use %s: outbound to %s over trunk %s\n", route.Agent.Name, route.Number.E164, called, route.Trunk.Name)
	for _, a := range route.Trunk.Servers {
		fmt.Fprintf(w, "  target   %s over %s\n", a, route.Trunk.Transport)
	}
	if limit := route.Trunk.CPSLimit; limit != nil {
		fmt.Fprintf(w, "  limit    %v calls per second, waiting up to %s\n", *limit, route.Trunk.CPSWait.D())
	}
	return nil
}

func explainRefusal(w io.Writer, gate string, status int, why string) error {
	if status > 0 {
		why = fmt.Sprintf("%s; the caller hears %d", why, status)
	}
	fmt.Fprintf(w, "✗ %-8s %s\n", gate, why)
	return &checkError{errors.New("the call would be refused")}
}
