package main

import (
	"fmt"
	"io"
	"log/slog"

	"trunkline/config"
)

// newLog writes to w in the given format. The level may change while it is in use. flush writes what waits; call it last.
func newLog(w io.Writer, format config.LogFormat, level *slog.LevelVar) (log *slog.Logger, flush func(), err error) {
	options := &slog.HandlerOptions{Level: level}
	buffer := newLogBuffer(w)
	switch format {
	case config.LogText:
		return slog.New(urgent{slog.NewTextHandler(buffer, options), buffer}), buffer.flush, nil
	case config.LogJSON:
		return slog.New(urgent{slog.NewJSONHandler(buffer, options), buffer}), buffer.flush, nil
	default:
		return nil, nil, fmt.Errorf("log format %q: allowed are text and json", format)
	}
}
