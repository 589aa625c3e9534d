package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"trunkline/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check, print and describe the configuration",
		Args:  cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &usageError{cmd.CommandPath(), fmt.Errorf("unknown command %q", args[0])}
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(newConfigValidate(), newConfigPrint(), newConfigSchema())
	return cmd
}

func newConfigValidate() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Report every mistake at once: file, line, key and what is allowed",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := loadConfig(file)
			if mistakes, ok := errors.AsType[config.Mistakes](err); ok && wasRead(mistakes) {
				// The mistakes are what was asked for: they go to stdout, one a line.
				fmt.Fprintln(cmd.OutOrStdout(), mistakes)
				return &checkError{fmt.Errorf("%s: %s", file, counted(len(mistakes), "mistake"))}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s is valid\n", file)
			return nil
		},
	}
	configFlag(cmd, &file)
	return cmd
}

// wasRead reports whether there was a file to find mistakes in.
func wasRead(mistakes config.Mistakes) bool {
	first := mistakes[0]
	return first.Key != "" || first.Line > 0 || first.Env != ""
}

func newConfigPrint() *cobra.Command {
	var file string
	output := "yaml"
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Print the values in effect and where each comes from, secrets masked",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(file)
			if err != nil {
				return err
			}
			text := c.YAML()
			switch output {
			case "yaml":
			case "json":
				if text, err = c.JSON(); err != nil {
					return err
				}
				text = append(text, '\n')
			default:
				return &usageError{cmd.CommandPath(), fmt.Errorf("output %q: allowed are yaml and json", output)}
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVarP(&output, "output", "o", output, "yaml or json")
	return cmd
}

func newConfigSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := config.Schema()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
			return err
		},
	}
}

// counted is "1 mistake" or "2 mistakes".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// configFlag adds --config, which every command that reads the configuration has.
func configFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVarP(file, "config", "c", "sipgo.yaml", "configuration file")
}

// loadConfig reads the configuration as serve would. The error has one line per mistake.
func loadConfig(file string) (config.Config, error) {
	return config.Load(file, os.Environ())
}
