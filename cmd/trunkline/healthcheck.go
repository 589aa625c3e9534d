package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthLimit bounds the whole check; a container engine gives it about as long.
const healthLimit = 2 * time.Second

func newHealthcheck() *cobra.Command {
	var file, url string
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running daemon whether it is ready (for HEALTHCHECK in containers)",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if url == "" {
				c, err := loadConfig(file)
				if err != nil {
					return err
				}
				if url, err = daemonURL(c.HTTP.Listen, "/readyz"); err != nil {
					return err
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), healthLimit)
			defer cancel()
			return askReady(ctx, url)
		},
	}
	configFlag(cmd, &file)
	cmd.Flags().StringVar(&url, "url", "", "ask this URL instead of the configuration's")
	return cmd
}

// daemonURL is where a daemon listening on listen is asked for path from its own host.
func daemonURL(listen, path string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", errors.New("http.listen is empty: there is nobody to ask")
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return "http://" + net.JoinHostPort(host, port) + path, nil
}

// askReady returns nil if url answers 200, and a checkError with the daemon's words if it answers anything else.
func askReady(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return &checkError{err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return &checkError{err}
	}
	if response.StatusCode != http.StatusOK {
		return &checkError{fmt.Errorf("%s: %s: %s", url, response.Status, strings.TrimSpace(string(body)))}
	}
	return nil
}
