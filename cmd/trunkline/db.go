package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"trunkline/store"
)

// storageFlags say where the databases are.
type storageFlags struct{ config, directory string }

func (f *storageFlags) add(cmd *cobra.Command) {
	configFlag(cmd, &f.config)
	cmd.Flags().StringVar(&f.directory, "directory", "", "storage directory (default: storage.directory of the configuration)")
}

func (f *storageFlags) dir() (string, error) {
	if f.directory != "" {
		return f.directory, nil
	}
	c, err := loadConfig(f.config)
	if err != nil {
		return "", fmt.Errorf("%w\n(--directory names the storage directory without a configuration)", err)
	}
	return c.Storage.Directory, nil
}

func newDB() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "db",
		Short: "Back up, check and migrate the databases, also beside a running daemon",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDBBackup(), newDBCheck(), newDBMigrate(), newDBRotate())
	return cmd
}

func newDBBackup() *cobra.Command {
	var storage storageFlags
	var records bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write a checked copy of the configuration database",
		Long: "Write a checked copy of the configuration database, or of the call records, while the daemon runs. An existing file is not\n" +
			"replaced. Secrets in the copy are sealed: back up keyring.json too, and keep it elsewhere.",
		Example: "  trunkline db backup /backup/trunkline-$(date +%F).db",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := storage.dir()
			if err != nil {
				return err
			}
			file := store.ConfigFile
			if records {
				file = store.RecordsFile
			}
			if err := store.Backup(cmd.Context(), dir, file, args[0]); err != nil {
				return err
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %d bytes, checked\n", args[0], info.Size())
			return nil
		},
	}
	storage.add(cmd)
	cmd.Flags().BoolVar(&records, "records", false, "the call records in place of the configuration")
	return cmd
}

func newDBCheck() *cobra.Command {
	var storage storageFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Read through both databases and open every secret",
		Long:  "Read through both databases and open every secret. Exit status: 0 all is well; 3 something is wrong; 1 the check failed.",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := storage.dir()
			if err != nil {
				return err
			}
			problems, err := store.CheckFiles(cmd.Context(), dir)
			for _, p := range problems {
				fmt.Fprintln(cmd.OutOrStdout(), p)
			}
			switch failure, damaged := errors.AsType[*store.OpenError](err); {
			case err != nil && damaged && failure.Cause == store.Corrupt:
				return &checkError{err}
			case err != nil:
				return err
			case len(problems) > 0:
				return &checkError{fmt.Errorf("%s: %s", dir, counted(len(problems), "problem"))}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: both databases are sound, and every secret opens\n", dir)
			return nil
		},
	}
	storage.add(cmd)
	return cmd
}

func newDBMigrate() *cobra.Command {
	var storage storageFlags
	var dry bool
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring both databases to this version's schema",
		Long:  "Bring both databases to this version's schema, as the daemon does at its start. A copy of the configuration is kept beside it.",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := storage.dir()
			if err != nil {
				return err
			}
			if !dry {
				if err := store.Migrate(dir); err != nil {
					return err
				}
			}
			return showSchemas(cmd.Context(), cmd, dir)
		},
	}
	storage.add(cmd)
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only tell what would be done")
	return cmd
}

func showSchemas(ctx context.Context, cmd *cobra.Command, dir string) error {
	all, err := store.Schemas(ctx, dir)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b store.Schema) int { return strings.Compare(b.File, a.File) })
	for _, s := range all {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: schema %d of %d\n", s.File, s.Current, s.Last)
	}
	return nil
}

func newDBRotate() *cobra.Command {
	var storage storageFlags
	cmd := &cobra.Command{
		Use:   "rotate-keys",
		Short: "Seal every secret under a new key and drop the old one",
		Long: "Seal every secret under a new key and drop the old one from keyring.json, also beside a running daemon. After an interruption\n" +
			"run it again. A backup made before needs the key ring of before.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			dir, err := storage.dir()
			if err != nil {
				return err
			}
			db, err := store.Open(dir)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			n, err := db.RotateRing(cmd.Context())
			if err == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "%s sealed under a new key\n", counted(n, "secret"))
			}
			return err
		},
	}
	storage.add(cmd)
	return cmd
}
