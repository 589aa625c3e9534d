//go:build linux && (amd64 || arm64)

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
)

// ours is our relay in a process of its own, see serve.go.
type ours struct {
	command *exec.Cmd
	engine  string
	in      io.WriteCloser
	answers *bufio.Scanner
}

func startOurs(cpu int, engine string) (*ours, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o := &ours{command: exec.Command(self, "-serve", "-cpu", strconv.Itoa(cpu), "-engine", engine), engine: engine}
	o.command.Stderr = os.Stderr
	if o.in, err = o.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := o.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	o.answers = bufio.NewScanner(out)
	return o, o.command.Start()
}

func (o *ours) name() string { return "trunkline " + o.engine }
func (o *ours) pid() int     { return o.command.Process.Pid }

func (o *ours) open(caller, callee netip.AddrPort) (toCaller, toCallee int, err error) {
	if _, err := fmt.Fprintln(o.in, caller, callee); err != nil {
		return 0, 0, err
	}
	if !o.answers.Scan() {
		return 0, 0, errors.New("the relay gave up")
	}
	_, err = fmt.Sscan(o.answers.Text(), &toCaller, &toCallee)
	return toCaller, toCallee, err
}

func (o *ours) memory() (uint64, error) { return resident(o.pid()) }

func (o *ours) stop() error {
	o.in.Close()
	return o.command.Wait()
}
