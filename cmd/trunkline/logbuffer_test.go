package main

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lockedBuffer is written by a timer's goroutine.
type lockedBuffer struct {
	mu     sync.Mutex
	b      bytes.Buffer
	writes int
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	return l.b.Write(p)
}

func (l *lockedBuffer) state() (lines, writes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), "\n"), l.writes
}

func TestLogLinesAreWrittenTogetherButNotLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(lockedBuffer)
		buffer := newLogBuffer(out)
		log := slog.New(urgent{slog.NewTextHandler(buffer, nil), buffer})
		expect := func(when string, lines, writes int) {
			t.Helper()
			synctest.Wait()
			if l, w := out.state(); l != lines || w != writes {
				t.Errorf("%s: %d lines in %d writes, want %d in %d", when, l, w, lines, writes)
			}
		}
		for range 10 {
			log.Info("call ended")
		}
		expect("at once", 0, 0)
		time.Sleep(logDelay)
		expect("after the delay", 10, 1)
		log.Info("call ended")
		log.With("a", 1).Warn("something is wrong")
		expect("with a warning", 12, 2)
		time.Sleep(time.Hour)
		expect("when nothing more comes", 12, 2)
		log.Info(strings.Repeat("x", logSize))
		expect("when there is much", 13, 3)
		log.Info("the last")
		buffer.flush()
		expect("at the end", 14, 4)
	})
}
