package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/spf13/cobra"

	"trunkline/sip"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

func newExplain() *cobra.Command {
	var file, invite, source, transport, callID, url string
	cmd := &cobra.Command{
		Use:   "explain --call-id X | --invite FILE --source IP:PORT",
		Short: "Say why a call was taken, routed or refused, or what would become of an INVITE",
		Long: "With --call-id, ask the running daemon for the story of a call, running or ended: what was tried, how it ended, why it was\n" +
			"refused, and its messages.\n\n" +
			"With --invite, say what the edge would do with an INVITE that came from an address: whose address it is, which number\n" +
			"matched or was nearest and what differed, which routes there are and why some are passed over, and how the call would\n" +
			"be written there. It reads the configuration and sends nothing.\n\n" +
			"Exit status: 0 the call is known, or would be taken; 3 it is not, or would be refused; 1 the tool failed; 2 usage.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case callID != "" && (invite != "" || source != ""):
				return &usageError{cmd.CommandPath(), errors.New("--call-id stands alone: leave out --invite and --source")}
			case callID != "":
				story, err := explainCall(cmd.Context(), file, url, callID)
				if errors.Is(err, errNoSuchCall) {
					return &checkError{err}
				}
				fmt.Fprint(cmd.OutOrStdout(), story)
				return err
			}
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
	cmd.Flags().StringVar(&callID, "call-id", "", "SIP Call-ID of a call, on either side, or its id as logs and /debug/calls show it")
	cmd.Flags().StringVar(&url, "url", "", "ask the daemon at this URL instead of the configuration's, with --call-id")
	cmd.Flags().StringVar(&invite, "invite", "", "file with the INVITE as it was on the wire or in a trace; - for standard input")
	cmd.Flags().StringVar(&source, "source", "", "address it came from, IP:PORT")
	cmd.Flags().StringVar(&transport, "transport", "UDP", "UDP, TCP or TLS")
	return cmd
}

// readInvite reads a message.
func readInvite(in io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(io.LimitReader(in, wire.MaxMessage))
	}
	return os.ReadFile(file)
}

// explain writes the way of an INVITE through the gates, up to the one that stops
// it.
func explain(w io.Writer, s *trunks.Snapshot, transport string, from netip.AddrPort, text []byte) error {
	gates, taken := sip.Explain(s, transport, from, text)
	writeGates(w, gates)
	if !taken {
		return &checkError{errors.New("the call would be refused")}
	}
	return nil
}

func writeGates(w io.Writer, gates []sip.Gate) {
	for _, g := range gates {
		mark := "✓"
		switch {
		case !g.Passed:
			mark = "✗"
		case g.Name == "target" || g.Name == "limit":
			mark = " "
		}
		fmt.Fprintf(w, "%s %-8s %s\n", mark, g.Name, g.Why)
	}
}
