package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"trunkline/config"
	"trunkline/sip/probe"
)

// discover sweeps the settings that carriers differ in and prints the trunk to save.
func discover(ctx context.Context, p *probe.Prober, r probe.Request, out io.Writer, output string) error {
	found, err := p.Discover(ctx, r)
	if ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	if output == "json" {
		if err := json.NewEncoder(out).Encode(found); err != nil {
			return err
		}
	} else if found.Trunk != nil {
		fmt.Fprintf(out, "\n# It works like this, after %d of %d tries. Save it under trunks: in sipgo.yaml.\n%s", found.Tried, found.Cells, trunkYAML(*found.Trunk))
	}
	if found.Trunk == nil {
		return &checkError{fmt.Errorf("none of %d settings works: %s", found.Tried, found.Best.Message)}
	}
	return nil
}

// trunkYAML is a trunk as it stands in sipgo.yaml, without what is usual.
func trunkYAML(t config.Trunk) string {
	var b strings.Builder
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "    %s: %s\n", key, value)
		}
	}
	quote := func(s string) string {
		if s == "" {
			return ""
		}
		text, _ := json.Marshal(s)
		return string(text)
	}
	b.WriteString("  - name: carrier\n")
	line("server", quote(t.Server.String()))
	line("domain", quote(t.Domain))
	line("transport", string(t.Transport))
	line("auth_user", quote(t.AuthUser))
	if t.AuthUser != "" {
		line("auth_password_file", "/path/to/password")
	}
	if t.Register {
		line("register", "true")
	}
	if t.NumberFormat != config.FormatE164 {
		line("number_format", string(t.NumberFormat))
		line("country_code", quote(t.CountryCode))
	}
	if t.FromUser == config.FromAuthUser {
		line("from_user", string(t.FromUser))
		line("trusted", "true")
	}
	if t.TLS.CA != "" || t.TLS.ServerName != "" {
		b.WriteString("    tls:\n")
		for _, key := range [...][2]string{{"ca", t.TLS.CA}, {"server_name", t.TLS.ServerName}} {
			if key[1] != "" {
				fmt.Fprintf(&b, "      %s: %s\n", key[0], quote(key[1]))
			}
		}
	}
	return b.String()
}
