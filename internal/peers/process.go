package peers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a program that runs until its test ends, with whatever it forks. Its methods may be called concurrently.
type Process struct {
	PID int

	t    testing.TB
	name string
	log  string // file with what it wrote to stdout and stderr
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
	stop sync.Once
}

// Spec is a program to start.
type Spec struct {
	Name string     // of its log, as "caller"
	Args []string   // command first
	Dir  string     // working folder; empty: a new one
	Env  []string   // in addition to the test's own
	In   *Namespace // the network it runs in; nil: the test's own
}

// stopLimit is how long a program may take to end after it was asked to.
const stopLimit = 3 * time.Second

// Start starts a program in a process group of its own. The test fails when it cannot be started.
func Start(t testing.TB, s Spec) *Process {
	t.Helper()
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	log, err := os.CreateTemp(s.Dir, s.Name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = s.Dir, log, log, append(os.Environ(), s.Env...)
	cmd.SysProcAttr = processGroup()
	p := &Process{t: t, name: s.Name, log: log.Name(), cmd: cmd, done: make(chan struct{})}
	if p.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	s.In.Do(func() { err = cmd.Start() })
	if err != nil {
		t.Fatalf("start %s: %v", s.Name, err)
	}
	p.PID = cmd.Process.Pid
	go func() { // ends with the program
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			p.keep()
		}
	})
	return p
}

// shownLines is how much of a log stands in the output of a failed test.
const shownLines = 8

// keep copies the log to where failures are looked at, and its end to the test's output.
func (p *Process) keep() {
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Logf("%s: %v", p.name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), filepath.Base(p.log)), text, 0o600); err != nil {
		p.t.Logf("%s: %v", p.name, err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	p.t.Logf("%s wrote at last:\n%s", p.name, bytes.Join(lines[max(0, len(lines)-shownLines):], []byte("\n")))
}

// Stop asks the program to end and kills its group when it does not. It may be called twice, and after the end.
func (p *Process) Stop() {
	p.stop.Do(func() {
		p.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(stopLimit):
		}
		p.Kill()
	})
}

// Kill ends the program and what it forked at once, and waits until the program is gone.
func (p *Process) Kill() {
	killGroup(p.PID)
	<-p.done
}

// Signal sends a signal to the program alone; it does nothing after its end.
func (p *Process) Signal(s os.Signal) {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("signal %s: %v", p.name, err)
	}
}

// Done is closed when the program has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns the program's exit status, and fails the test when it still runs after limit; -1 when a signal ended it.
func (p *Process) Wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		p.t.Fatalf("%s still runs after %s", p.name, limit)
	}
	if p.err == nil {
		return 0
	}
	if exit := new(exec.ExitError); errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	p.t.Fatalf("%s: %v", p.name, p.err)
	return -1
}

// Type writes to the program's standard input.
func (p *Process) Type(text string) {
	if _, err := io.WriteString(p.in, text); err != nil {
		p.t.Errorf("type to %s: %v", p.name, err)
	}
}

// Log returns what the program has written so far.
func (p *Process) Log() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// WaitFor waits until done is true; the test fails when the program ends before, or after limit.
func (p *Process) WaitFor(limit time.Duration, what string, done func() bool) {
	p.t.Helper()
	end := time.Now().Add(limit)
	for !done() {
		select {
		case <-p.done:
			p.t.Fatalf("%s ended before %s: %v", p.name, what, p.err)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			p.t.Fatalf("%s: not within %s: %s", p.name, limit, what)
		}
	}
}

// WaitForLog waits until the program has written text.
func (p *Process) WaitForLog(limit time.Duration, text string) {
	p.t.Helper()
	p.WaitFor(limit, fmt.Sprintf("it wrote %q", text), func() bool { return strings.Contains(p.Log(), text) })
}

// Eventually waits until done is true, and fails the test after limit.
func Eventually(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
