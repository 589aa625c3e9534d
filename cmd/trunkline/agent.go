package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

var knownAgents = resource{word: "agent", path: "/v1/agents", name: "name", columns: []column{
	{"ID", "id"}, {"NAME", "name"}, {"DESTINATIONS", "destinations"}, {"CALLS FROM", "source_addresses"}, {"MAX CALLS", "max_calls"}}}

func newAgent() *cobra.Command {
	cmd := group("agent", "Manage agents: where inbound calls go and who may call out")
	var flags remoteFlags
	flags.add(cmd)
	cmd.AddCommand(knownAgents.newList(&flags, nil), knownAgents.newGet(&flags), newAgentCreate(&flags), newAgentUpdate(&flags),
		knownAgents.newDelete(&flags, "also while numbers are assigned to it: they lose it"))
	return cmd
}

// agentFlags describe an agent.
type agentFlags struct {
	name, maxCalls        string
	destinations, sources []string
}

func (f *agentFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "what to call it")
	flags.StringArrayVar(&f.destinations, "destination", nil, "SIP address, with ,PRIORITY,WEIGHT behind it if need be; may be given several times")
	flags.StringSliceVar(&f.sources, "source", nil, "address, network or host name it calls from; may be given several times")
	flags.StringVar(&f.maxCalls, "max-calls", "", "calls in progress; none: no limit")
}

// body holds what was given.
func (f *agentFlags) body(cmd *cobra.Command) (map[string]any, error) {
	body := map[string]any{}
	if cmd.Flags().Changed("name") {
		body["name"] = f.name
	}
	if cmd.Flags().Changed("source") {
		body["source_addresses"] = f.sources
	}
	if cmd.Flags().Changed("destination") {
		destinations := []map[string]any{}
		for _, text := range f.destinations {
			d, err := destination(text)
			if err != nil {
				return nil, &usageError{cmd.CommandPath(), err}
			}
			destinations = append(destinations, d)
		}
		body["destinations"] = destinations
	}
	switch f.maxCalls {
	case "":
	case "none":
		body["max_calls"] = nil
	default:
		n, err := whole(cmd, "--max-calls", f.maxCalls)
		if err != nil {
			return nil, err
		}
		body["max_calls"] = n
	}
	return body, nil
}

// destination reads "sip:app.example.net;transport=tcp,1,10".
func destination(text string) (map[string]any, error) {
	parts := strings.Split(text, ",")
	d := map[string]any{"uri": parts[0]}
	for i, member := range []string{"priority", "weight"} {
		if len(parts) <= i+1 {
			break
		}
		n, err := strconv.Atoi(parts[i+1])
		if err != nil || n < 0 || n > 65535 {
			return nil, fmt.Errorf("--destination: %s %q is not 0 to 65535", member, parts[i+1])
		}
		d[member] = n
	}
	if len(parts) > 3 {
		return nil, errors.New("--destination: URI[,PRIORITY[,WEIGHT]] is allowed")
	}
	return d, nil
}

func newAgentCreate(flags *remoteFlags) *cobra.Command {
	var f agentFlags
	var output string
	cmd := &cobra.Command{Use: "create --name NAME", Short: "Create an agent", Args: noArguments,
		Example: "  trunkline agent create --name app --destination \"sip:10.0.0.5:5080;transport=udp\" --source 10.0.0.5",
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
			body, err := f.body(cmd)
			if err != nil {
				return err
			}
			if f.name == "" {
				return &usageError{cmd.CommandPath(), errors.New("--name is missing")}
			}
			answer, err := r.call(ctx, http.MethodPost, knownAgents.path, body)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, knownAgents.columns)
		})}
	f.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func newAgentUpdate(flags *remoteFlags) *cobra.Command {
	var f agentFlags
	cmd := knownAgents.newUpdate(flags, f.body)
	f.add(cmd)
	return cmd
}
