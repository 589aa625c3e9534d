package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"trunkline/store"
	"trunkline/trunks/account"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Create, list and revoke API keys",
		Long: "Create, list and revoke API keys, on the database itself: for the first key, and for whoever runs the daemon. What is done holds\n" +
			"at once, also for a running daemon.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyCreate(), newKeyList(), newKeyRevoke())
	return cmd
}

func newKeyCreate() *cobra.Command {
	var storage storageFlags
	var b account.Bootstrap
	var role, output string
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create a key, and organization and user if need be; the key is shown once",
		Long: "Create a key, and organization and user if there are none of that name. The key goes to stdout and is never shown again;\n" +
			"keep it in a secret manager. In a new organization the user is its owner.",
		Example: "  export TRUNKLINE_API_KEY=$(trunkline key create --org acme --name onboarding)",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.Role = account.Role(role)
			b.User = cmp.Or(b.User, role, string(account.Owner))
			return withAccounts(&storage, func(s *account.Service) error {
				key, raw, err := s.Bootstrap(cmd.Context(), b)
				if err != nil {
					return usageOf(cmd, err)
				}
				if output != "table" {
					shown := shownKey(key)
					shown.Key = raw.Reveal()
					return encodeTo(cmd.OutOrStdout(), output, shown)
				}
				fmt.Fprintln(cmd.OutOrStdout(), raw.Reveal())
				fmt.Fprintf(cmd.ErrOrStderr(), "key %s (%s) of organization %s; it is not shown again\n", key.ID, key.Name, b.Organization)
				return nil
			})
		},
	}
	storage.add(cmd)
	outputFlag(cmd, &output)
	cmd.Flags().StringVar(&b.Organization, "org", "default", "name or id of the organization; made when there is none")
	cmd.Flags().StringVar(&b.User, "user", "", "name of the user whose rights the key has; made when there is none (default: the name of the role)")
	cmd.Flags().StringVar(&role, "role", "", "role of the user from now on: owner, admin, member (default: as it is; owner in a new organization, else admin)")
	cmd.Flags().StringVar(&b.KeyName, "name", "", "label of the key (default: \"Default key\")")
	return cmd
}

func newKeyList() *cobra.Command {
	var storage storageFlags
	var organization, output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List active and revoked keys, newest first",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withAccounts(&storage, func(s *account.Service) error {
				who, err := operator(cmd.Context(), s, organization)
				if err != nil {
					return usageOf(cmd, err)
				}
				keys, err := s.Keys(cmd.Context(), who)
				if err != nil {
					return err
				}
				shown := make([]keyShown, len(keys))
				for i, k := range keys {
					shown[i] = shownKey(k)
				}
				if output != "table" {
					return encodeTo(cmd.OutOrStdout(), output, shown)
				}
				return keyTable(cmd.OutOrStdout(), shown)
			})
		},
	}
	storage.add(cmd)
	outputFlag(cmd, &output)
	cmd.Flags().StringVar(&organization, "org", "", "name or id of the organization (default: the only one)")
	return cmd
}

func newKeyRevoke() *cobra.Command {
	var storage storageFlags
	var organization string
	cmd := &cobra.Command{
		Use:   "revoke ID",
		Short: "Revoke a key for good, at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withAccounts(&storage, func(s *account.Service) error {
				who, err := operator(cmd.Context(), s, organization)
				if err != nil {
					return usageOf(cmd, err)
				}
				return s.RevokeKey(cmd.Context(), who, args[0])
			})
		},
	}
	storage.add(cmd)
	cmd.Flags().StringVar(&organization, "org", "", "name or id of the organization (default: the only one)")
	return cmd
}

// withAccounts opens the database for one command.
func withAccounts(storage *storageFlags, f func(*account.Service) error) (err error) {
	dir, err := storage.dir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("storage.directory: %w", err)
	}
	db, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := account.New(account.Options{Repository: db})
	if err != nil {
		return err
	}
	return f(s)
}

// operator is whoever may write to the database anyhow.
func operator(ctx context.Context, s *account.Service, organization string) (account.Caller, error) {
	org, err := s.FindOrganization(ctx, organization)
	return account.Caller{Org: org.ID, Role: account.Owner}, err
}

// usageOf makes a mistake in what was given one of usage.
func usageOf(cmd *cobra.Command, err error) error {
	if wrong, ok := errors.AsType[*account.Invalid](err); ok {
		return &usageError{cmd.CommandPath(), wrong}
	}
	return err
}

// keyShown is a key as the API shows it.
type keyShown struct {
	ID         string  `json:"id" yaml:"id"`
	Name       string  `json:"name" yaml:"name"`
	Prefix     string  `json:"key_prefix" yaml:"key_prefix"`
	IsActive   bool    `json:"is_active" yaml:"is_active"`
	CreatedAt  string  `json:"created_at" yaml:"created_at"`
	LastUsedAt *string `json:"last_used_at" yaml:"last_used_at"`
	RevokedAt  *string `json:"revoked_at" yaml:"revoked_at"`
	Key        string  `json:"key,omitempty" yaml:"key,omitempty"`
}

const stampForm = "2006-01-02T15:04:05.000Z"

func shownKey(k account.APIKey) keyShown {
	stamp := func(at *time.Time) *string {
		if at == nil {
			return nil
		}
		return new(at.UTC().Format(stampForm))
	}
	return keyShown{ID: k.ID, Name: k.Name, Prefix: k.Prefix, IsActive: k.Active(), CreatedAt: *stamp(&k.CreatedAt), LastUsedAt: stamp(k.LastUsedAt), RevokedAt: stamp(k.RevokedAt)}
}

func keyTable(out io.Writer, keys []keyShown) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tPREFIX\tCREATED\tLAST USED\tREVOKED")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Prefix, k.CreatedAt, orDash(k.LastUsedAt), orDash(k.RevokedAt))
	}
	return w.Flush()
}

func orDash(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "table, json or yaml")
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		switch *output {
		case "table", "json", "yaml":
		default:
			return &usageError{cmd.CommandPath(), fmt.Errorf("--output: %q is none of table, json, yaml", *output)}
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

// encodeTo writes a value as JSON or YAML.
func encodeTo(out io.Writer, format string, v any) error {
	if format == "yaml" {
		return yaml.NewEncoder(out).Encode(v)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
