package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// logBuffer gathers log lines and writes them together: a line per call, written
// one by one, costs a system call on the thread that moves the call. Lines from
// Warn up are written at once, with all before them; the rest waits at most
// logDelay. It may be used concurrently.
type logBuffer struct {
	mu    sync.Mutex
	out   io.Writer
	lines []byte
	timer *time.Timer // runs while lines wait
}

const (
	logDelay = 100 * time.Millisecond
	logSize  = 64 << 10 // bytes that are written without waiting
)

func newLogBuffer(out io.Writer) *logBuffer {
	b := &logBuffer{out: out}
	b.timer = time.AfterFunc(time.Hour, b.flush)
	b.timer.Stop()
	return b
}

// Write takes one or more whole lines. It never fails: where the log goes is the
// last place to complain to.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 {
		b.timer.Reset(logDelay)
	}
	b.lines = append(b.lines, p...)
	if len(b.lines) >= logSize {
		b.write()
	}
	return len(p), nil
}

func (b *logBuffer) flush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.write()
}

// write writes what waits. b.mu is held.
func (b *logBuffer) write() {
	b.timer.Stop()
	if len(b.lines) > 0 {
		b.out.Write(b.lines)
		b.lines = b.lines[:0]
	}
}

// urgent is a handler that has records from Warn up written at once.
type urgent struct {
	slog.Handler
	buffer *logBuffer
}

func (h urgent) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelWarn {
		h.buffer.flush()
	}
	return err
}

func (h urgent) WithAttrs(attrs []slog.Attr) slog.Handler {
	return urgent{h.Handler.WithAttrs(attrs), h.buffer}
}

func (h urgent) WithGroup(name string) slog.Handler {
	return urgent{h.Handler.WithGroup(name), h.buffer}
}
