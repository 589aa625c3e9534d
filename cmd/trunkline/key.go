package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"trunkline/store"
	"trunkline/trunks/account"
)

func newKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "API keys",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newKeyCreate())
	return cmd
}

// newKeyCreate works on the store directly: the first key cannot be made over the API.
func newKeyCreate() *cobra.Command {
	var file string
	var b account.Bootstrap
	var role string
	cmd := &cobra.Command{
		Use:   "create --name NAME",
		Short: "Make an API key, on the store directly",
		Long: "Make an API key, and its organization and user if they are not there yet. It works on the files in storage.directory, whether or\n" +
			"not the daemon runs. The key is printed once, alone on stdout: keep it in a secret manager.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b.Role = account.Role(role)
			if role != "" && !b.Role.Valid() {
				return &usageError{cmd.CommandPath(), fmt.Errorf("--role: %q is none of owner, admin, member", role)}
			}
			if b.KeyName == "" {
				return &usageError{cmd.CommandPath(), errors.New("--name is required: what the key is for")}
			}
			if b.User == "" {
				b.User = role
			}
			if b.User == "" {
				b.User = string(account.Owner)
			}
			return createKey(cmd, file, b)
		},
	}
	configFlag(cmd, &file)
	flags := cmd.Flags()
	flags.StringVar(&b.KeyName, "name", "", "what the key is for, up to 120 characters")
	flags.StringVar(&b.Organization, "org", "default", "organization, by name or id; made when there is none")
	flags.StringVar(&b.User, "user", "", "whose key it is, and with whose rights; made when there is none (default: the name of the role)")
	flags.StringVar(&role, "role", "", "of that user in the organization: owner, admin or member (default: the one there is, else owner of a new organization and admin of another)")
	return cmd
}

func createKey(cmd *cobra.Command, file string, b account.Bootstrap) error {
	c, err := loadConfig(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Storage.Directory, 0o700); err != nil {
		return fmt.Errorf("storage.directory: %w", err)
	}
	db, err := store.Open(c.Storage.Directory)
	if err != nil {
		return fmt.Errorf("configuration database: %w", err)
	}
	defer db.Close()
	accounts, err := account.New(account.Options{Repository: db})
	if err != nil {
		return err
	}
	key, raw, err := accounts.Bootstrap(cmd.Context(), b)
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s of %s: key %s… (%s); it is shown this once:\n", b.User, b.Organization, key.Prefix, key.Name)
	fmt.Fprintln(cmd.OutOrStdout(), raw.Reveal())
	return nil
}
