package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// resource is a kind of object of the API.
type resource struct {
	word    string // as "trunk"
	path    string // as "/v1/voip-connections"
	columns []column
	name    string // member that tells one from another in completions
}

// one is the word with its article.
func (k resource) one() string {
	if strings.ContainsRune("aeiou", rune(k.word[0])) {
		return "an " + k.word
	}
	return "a " + k.word
}

// remoteCommand is a command that speaks to a daemon: it opens it, and ends early on a signal.
func remoteCommand(flags *remoteFlags, run func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		r, err := flags.open(cmd.ErrOrStderr())
		if err != nil {
			return err
		}
		err = run(ctx, cmd, r, args)
		if ctx.Err() != nil && cmd.Context().Err() == nil && err != nil {
			return errInterrupted
		}
		return err
	}
}

// group is a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: noArguments, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
}

// arguments wants exactly these. The last one may be left out when it stands in brackets, and come again and again with "...".
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		needed, most := len(names), len(names)
		if last := names[len(names)-1]; strings.HasSuffix(last, "...") {
			needed, most = needed-1, len(args)
		} else if strings.HasPrefix(last, "[") {
			needed--
		}
		if len(args) < needed {
			return &usageError{cmd.CommandPath(), fmt.Errorf("%s is missing", names[len(args)])}
		}
		if len(args) > most {
			return &usageError{cmd.CommandPath(), fmt.Errorf("unexpected argument %q", args[most])}
		}
		return nil
	}
}

// newList lists. query adds to what is asked.
func (k resource) newList(flags *remoteFlags, query func(url.Values)) *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "list", Short: "List " + k.word + "s, newest first", Args: noArguments,
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, _ []string) error {
			asked := url.Values{}
			if query != nil {
				query(asked)
			}
			answer, err := r.get(ctx, k.path, asked)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, k.columns)
		})}
	outputFlag(cmd, &output)
	return cmd
}

// newGet shows one.
func (k resource) newGet(flags *remoteFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "get ID", Short: "Show " + k.one(), Args: arguments("ID"), ValidArgsFunction: k.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			answer, err := r.get(ctx, k.path+"/"+url.PathEscape(args[0]), nil)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, k.columns)
		})}
	outputFlag(cmd, &output)
	return cmd
}

// newUpdate changes one; body holds what was given, empty when nothing was.
func (k resource) newUpdate(flags *remoteFlags, body func(*cobra.Command) (map[string]any, error)) *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "update ID", Short: "Change " + k.one() + "; what is not given stays", Args: arguments("ID"), ValidArgsFunction: k.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			given, err := body(cmd)
			if err != nil {
				return err
			}
			if len(given) == 0 {
				return &usageError{cmd.CommandPath(), errors.New("nothing to change was given")}
			}
			answer, err := r.call(ctx, http.MethodPatch, k.path+"/"+url.PathEscape(args[0]), given)
			if err != nil {
				return err
			}
			return show(cmd, output, answer, k.columns)
		})}
	outputFlag(cmd, &output)
	return cmd
}

// newDelete deletes one after asking. force names what it overrides; empty: there is nothing to override.
func (k resource) newDelete(flags *remoteFlags, force string) *cobra.Command {
	var yes, forced bool
	cmd := &cobra.Command{Use: "delete ID", Short: "Delete " + k.one(), Args: arguments("ID"), ValidArgsFunction: k.complete(flags),
		RunE: remoteCommand(flags, func(ctx context.Context, cmd *cobra.Command, r *remote, args []string) error {
			if err := confirm(cmd, yes, fmt.Sprintf("Delete %s %s?", k.word, args[0])); err != nil {
				return err
			}
			path := k.path + "/" + url.PathEscape(args[0])
			if forced {
				path += "?force=true"
			}
			_, err := r.call(ctx, http.MethodDelete, path, nil)
			return err
		})}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	if force != "" {
		cmd.Flags().BoolVar(&forced, "force", false, force)
	}
	return cmd
}

// confirm asks on a terminal; elsewhere --yes is needed.
func confirm(cmd *cobra.Command, yes bool, question string) error {
	if yes {
		return nil
	}
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return &usageError{cmd.CommandPath(), errors.New("--yes is needed where nobody can be asked")}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

// complete offers the ids there are. Without a daemon it offers nothing.
func (k resource) complete(flags *remoteFlags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		r, err := flags.open(io.Discard)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), time.Second)
		defer cancel()
		answer, err := r.call(ctx, http.MethodGet, k.path, nil)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var rows []map[string]any
		if decodeNumbers(answer, &rows) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var ids []cobra.Completion
		for _, row := range rows {
			ids = append(ids, cobra.CompletionWithDesc(word(row["id"]), word(row[k.name])))
		}
		return ids, cobra.ShellCompDirectiveNoFileComp
	}
}

// whole reads an id that is a number.
func whole(cmd *cobra.Command, name, text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, &usageError{cmd.CommandPath(), fmt.Errorf("%s: %q is no number above 0", name, text)}
	}
	return id, nil
}

// decode reads an answer into a value of ours.
func decode[T any](answer json.RawMessage) (v T, err error) {
	if err := json.Unmarshal(answer, &v); err != nil {
		return v, errors.New("the API's answer is not as expected; is the daemon of another version?")
	}
	return v, nil
}
