package main

import (
	"fmt"
	"io"
	"log/slog"

	"trunkline/config"
)

// newLog writes to w in the given format. The level may change while it is in use.
func newLog(w io.Writer, format config.LogFormat, level *slog.LevelVar) (*slog.Logger, error) {
	options := &slog.HandlerOptions{Level: level}
	switch format {
	case config.LogText:
		return slog.New(slog.NewTextHandler(w, options)), nil
	case config.LogJSON:
		return slog.New(slog.NewJSONHandler(w, options)), nil
	default:
		return nil, fmt.Errorf("log format %q: allowed are text and json", format)
	}
}
