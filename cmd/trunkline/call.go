package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

var calledCalls = resource{word: "call", path: "/v1/calls", name: "to", columns: []column{
	{"ID", "id"}, {"STARTED", "started_at"}, {"STATE", "state"}, {"DIRECTION", "direction"}, {"FROM", "from"}, {"TO", "to"}, {"TRUNK", "trunk"}, {"AGENT", "agent"},
	{"OUTCOME", "outcome"}, {"CODE", "sip_code"}, {"TALKED", "duration_seconds"}}}

func newCall() *cobra.Command {
	cmd := group("call", "List, place, hang up and trace calls")
	var flags remoteFlags
	flags.add(cmd)
	cmd.AddCommand(newCallList(&flags), calledCalls.newGet(&flags), newCallOriginate(&flags), newCallHangup(&flags), newCallTrace(&flags))
	return cmd
}

func newCallList(flags *remoteFlags) *cobra.Command {
	var state string
	var limit int
	var before int64
	cmd := calledCalls.newList(flags, func(query url.Values) {
		query.Set("limit", strconv.Itoa(limit))
		if state != "" {
			query.Set("state", state)
		}
		if before > 0 {
			query.Set("before", strconv.FormatInt(before, 10))
		}
	})
	cmd.Short = "List calls, newest first: those in progress before those that ended"
	cmd.Flags().StringVar(&state, "state", "", "live or ended (default: both)")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many, 1 to 1000")
	cmd.Flags().Int64Var(&before, "before", 0, "only calls that ended before the one with this cursor (in -o json)")
	return cmd
}

func newCallOriginate(flags *remoteFlags) *cobra.Command {
	var agent, from, to, output string
	cmd := &cobra.Command{
		Use:     "originate --agent ID --from NUMBER --to NUMBER",
		Short:   "Call a number and join it with an agent",
		Example: "  trunkline call originate --agent 7 --from +14155550100 --to +14155550199",
		Args:    noArguments,
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
			for flag, value := range map[string]string{"agent": agent, "from": from, "to": to} {
				if value == "" {
					return &usageError{cmd.CommandPath(), fmt.Errorf("--%s is missing", flag)}
				}
			}
			id, err := whole(cmd, "--agent", agent)
			if err != nil {
				return err
			}
			answer, err := r.call(ctx, http.MethodPost, calledCalls.path, map[string]any{"agent_id": id, "from": from, "to": to})
			if err != nil {
				return err
			}
			return show(cmd, output, answer, calledCalls.columns)
		})}
	cmd.Flags().StringVar(&agent, "agent", "", "id of the agent (required)")
	cmd.Flags().StringVar(&from, "from", "", "own verified number, +E.164 (required)")
	cmd.Flags().StringVar(&to, "to", "", "number to call, +E.164 (required)")
	outputFlag(cmd, &output)
	return cmd
}

func newCallHangup(flags *remoteFlags) *cobra.Command {
	return &cobra.Command{Use: "hangup ID", Short: "Hang a call up", Args: arguments("ID"), ValidArgsFunction: calledCalls.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, _ *cobra.Command, r *remote, args []string) error {
			_, err := r.call(ctx, http.MethodPost, calledCalls.path+"/"+url.PathEscape(args[0])+"/hangup", nil)
			return err
		})}
}

func newCallTrace(flags *remoteFlags) *cobra.Command {
	return &cobra.Command{Use: "trace ID", Short: "Draw the SIP messages of a call", Args: arguments("ID"), ValidArgsFunction: calledCalls.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			answer, err := r.get(ctx, calledCalls.path+"/"+url.PathEscape(args[0]), nil)
			if err != nil {
				return err
			}
			traced, err := decode[struct {
				Ladder *string `json:"ladder"`
			}](answer)
			if err != nil {
				return err
			}
			if traced.Ladder == nil {
				return errors.New("no message of this call is remembered: newer calls took its place (trace.memory), or tracing is off")
			}
			fmt.Fprint(cmd.OutOrStdout(), *traced.Ladder)
			return nil
		})}
}
