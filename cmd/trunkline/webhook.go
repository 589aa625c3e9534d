package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

var hooks = resource{word: "webhook", path: "/v1/webhooks", name: "url", columns: []column{
	{"ID", "id"}, {"URL", "url"}, {"EVENTS", "events"}, {"ENABLED", "enabled"}, {"FAILING SINCE", "failing_since"}, {"DISABLED", "disabled_reason"}}}

var deliveryColumns = []column{{"ID", "id"}, {"EVENT", "event.type"}, {"SUBJECT", "event.subject"}, {"AT", "event.at"}, {"STATE", "state"}, {"ATTEMPTS", "attempts"},
	{"STATUS", "status"}, {"NEXT", "next_attempt_at"}, {"ERROR", "error"}}

func newWebhook() *cobra.Command {
	cmd := group("webhook", "Manage webhooks and what is delivered to them")
	var flags remoteFlags
	flags.add(cmd)
	cmd.AddCommand(hooks.newList(&flags, nil), hooks.newGet(&flags), newWebhookCreate(&flags), newWebhookUpdate(&flags), hooks.newDelete(&flags, ""),
		newWebhookRotate(&flags), newWebhookTest(&flags), newWebhookDeliveries(&flags), newWebhookReplay(&flags))
	return cmd
}

// webhookFlags describe a webhook.
type webhookFlags struct {
	url, description string
	events           []string
	enabled          bool
}

func (f *webhookFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.url, "url", "", "where events go")
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringSliceVar(&f.events, "event", nil, "type of event, as number.verified; may be given several times (default: all)")
}

// body holds what was given.
func (f *webhookFlags) body(cmd *cobra.Command) (map[string]any, error) {
	body := map[string]any{}
	for flag, setting := range map[string]struct {
		member string
		value  any
	}{"url": {"url", f.url}, "description": {"description", f.description}, "event": {"events", f.events}, "enabled": {"enabled", f.enabled}} {
		if cmd.Flags().Changed(flag) {
			body[setting.member] = setting.value
		}
	}
	return body, nil
}

func newWebhookCreate(flags *remoteFlags) *cobra.Command {
	var f webhookFlags
	var output string
	cmd := &cobra.Command{Use: "create --url URL", Short: "Create a webhook; its signing secret is shown once", Args: noArguments,
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
			if f.url == "" {
				return &usageError{cmd.CommandPath(), errors.New("--url is missing")}
			}
			body, err := f.body(cmd)
			if err != nil {
				return err
			}
			answer, err := r.call(ctx, http.MethodPost, hooks.path, body)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, hooks.columns)
		})}
	f.add(cmd)
	outputFlag(cmd, &output)
	return cmd
}

func newWebhookUpdate(flags *remoteFlags) *cobra.Command {
	var f webhookFlags
	cmd := hooks.newUpdate(flags, f.body)
	f.add(cmd)
	cmd.Flags().BoolVar(&f.enabled, "enabled", true, "whether events go there; enabling clears its failures")
	return cmd
}

func newWebhookRotate(flags *remoteFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "rotate-secret ID", Short: "Give a webhook a new signing secret; the one before signs for another day", Args: arguments("ID"),
		ValidArgsFunction: hooks.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			answer, err := r.call(ctx, http.MethodPost, hooks.path+"/"+url.PathEscape(args[0])+"/rotate-secret", nil)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, hooks.columns)
		})}
	outputFlag(cmd, &output)
	return cmd
}

func newWebhookTest(flags *remoteFlags) *cobra.Command {
	return &cobra.Command{Use: "test ID", Short: "Send a webhook an event of type webhook.test, now", Args: arguments("ID"), ValidArgsFunction: hooks.complete(flags),
		Long: "Send a webhook an event of type webhook.test, now and once. Exit status: 0 it was taken; 3 it was not.",
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			answer, err := r.call(ctx, http.MethodPost, hooks.path+"/"+url.PathEscape(args[0])+"/test", nil)
			if err != nil {
				return err
			}
			attempt, err := decode[struct {
				Status     *int    `json:"status"`
				Error      *string `json:"error"`
				DurationMS int64   `json:"duration_ms"`
			}](answer)
			switch {
			case err != nil:
				return err
			case attempt.Error != nil:
				return &checkError{errors.New("the webhook " + *attempt.Error)}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "delivered in %d ms\n", attempt.DurationMS)
			return nil
		})}
}

func newWebhookDeliveries(flags *remoteFlags) *cobra.Command {
	var state, output string
	var limit int
	cmd := &cobra.Command{Use: "deliveries ID", Short: "List what was sent to a webhook, or waits for it, newest first", Args: arguments("ID"),
		ValidArgsFunction: hooks.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			if state != "" {
				query.Set("state", state)
			}
			answer, err := r.get(ctx, hooks.path+"/"+url.PathEscape(args[0])+"/deliveries", query)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, deliveryColumns)
		})}
	cmd.Flags().StringVar(&state, "state", "", "waiting, delivered or failed (default: all)")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many, 1 to 1000")
	outputFlag(cmd, &output)
	return cmd
}

func newWebhookReplay(flags *remoteFlags) *cobra.Command {
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "replay ID [DELIVERY]",
		Short: "Send one delivery once more, or all that failed",
		Args:  arguments("ID", "[DELIVERY]"), ValidArgsFunction: hooks.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			path := hooks.path + "/" + url.PathEscape(args[0])
			if len(args) == 2 {
				_, err := r.call(ctx, http.MethodPost, path+"/deliveries/"+url.PathEscape(args[1])+"/replay", nil)
				return err
			}
			answer, err := r.call(ctx, http.MethodPost, path+"/replay", map[string]any{"since": time.Now().Add(-since).UTC().Format(stampForm)})
			if err != nil {
				return err
			}
			replayed, err := decode[struct {
				Replayed int `json:"replayed"`
			}](answer)
			if err == nil {
				fmt.Fprintf(cmd.OutOrStdout(), "%d events are sent once more\n", replayed.Replayed)
			}
			return err
		})}
	cmd.Flags().DurationVar(&since, "since", 72*time.Hour, "failed deliveries of events no older than this")
	return cmd
}
