package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "embed"
)

//go:embed kamailio.cfg
var kamailioConfig string

// errAbsent says that Kamailio is not installed.
var errAbsent = errors.New("kamailio is not installed")

func kamailioModules() (string, error) {
	if _, err := exec.LookPath("kamailio"); err != nil {
		return "", errAbsent
	}
	found, err := filepath.Glob("/usr/lib/*/kamailio/modules/registrar.so")
	if err != nil || len(found) == 0 {
		return "", errors.New("kamailio is installed without its modules")
	}
	return filepath.Dir(found[0]), nil
}

func build(ctx context.Context, binary string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "osusergo netgo sqlite_omit_load_extension", "-o", binary, "trunkline/cmd/trunkline")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the edge: %w\n%s", err, out)
	}
	return nil
}

// startKamailio starts a registrar that grants so long at most, an hour for 0, and gives it a second to listen.
func (b *bench) startKamailio(ctx context.Context, dir string, granted time.Duration) (*process, error) {
	if granted == 0 {
		granted = time.Hour
	}
	text := strings.NewReplacer("LISTEN", registrarAddress, "MODULES", b.modules, "REALM", "carrier.example", "PASSWORD", "secret",
		"GRANTED", strconv.Itoa(int(granted.Seconds()))).Replace(kamailioConfig)
	file := filepath.Join(dir, "kamailio.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	p, err := spawn(ctx, dir, nil, b.loadCPU, "kamailio", "kamailio", "-f", file, "-DD", "-E", "-m", "256", "-M", "16", "-Y", dir, "-w", dir)
	if err != nil {
		return nil, err
	}
	return p, pause(ctx, p, time.Second)
}

// process is a child pinned to one CPU.
type process struct {
	cmd  *exec.Cmd
	log  string        // file with its output
	done chan struct{} // closed when it has ended
}

func spawn(ctx context.Context, dir string, env []string, cpu int, name string, args ...string) (*process, error) {
	log, err := os.CreateTemp(dir, name+"-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(cpu)}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	// An interrupt of the terminal is ours to handle: the children are stopped in order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log.Name(), done: make(chan struct{})}
	go func() { // ends with the child
		cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end and kills it after fifteen seconds.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// tail returns the last lines of the process's output.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// cpuTime is the scheduler's run time of the process's threads.
func (p *process) cpuTime() (sum time.Duration) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has just ended
		}
		run, _, _ := bytes.Cut(text, []byte(" "))
		if ns, err := strconv.ParseInt(string(run), 10, 64); err == nil {
			sum += time.Duration(ns)
		}
	}
	return sum
}

// memory is the proportional set size of the process in bytes.
func (p *process) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}

func get(url string) (string, error) {
	client := &http.Client{Timeout: 2 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}
