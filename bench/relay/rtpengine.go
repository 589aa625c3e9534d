//go:build linux && (amd64 || arm64)

package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// rtpengine is Debian's rtpengine-daemon in user space, driven by its ng protocol: a cookie and a bencoded dictionary in a datagram.
type rtpengine struct {
	command *exec.Cmd
	control *net.UDPConn
	calls   int
	cookie  int // a command that comes with the cookie of another is taken for its repetition
}

const rtpengineControl = "127.0.0.1:22222"

func startRTPEngine(cpu int) (*rtpengine, error) {
	command := exec.Command("taskset", "-c", strconv.Itoa(cpu), "rtpengine", "--config-file=none", "--table=-1", "--interface=127.0.0.1",
		"--listen-ng="+rtpengineControl, "--port-min=10000", "--port-max=31999", "--foreground", "--log-stderr", "--log-level=1",
		"--num-threads=1", "--timeout=3600", "--silent-timeout=3600")
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, err
	}
	address, err := net.ResolveUDPAddr("udp", rtpengineControl)
	if err != nil {
		return nil, err
	}
	control, err := net.DialUDP("udp", nil, address)
	if err != nil {
		return nil, err
	}
	r := &rtpengine{command: command, control: control}
	for range 100 {
		if _, err = r.ask("command", "ping"); err == nil {
			return r, nil
		}
		time.Sleep(50 * time.Millisecond) // until it listens
	}
	return nil, errors.Join(err, r.stop())
}

func (r *rtpengine) name() string { return "rtpengine" }
func (r *rtpengine) pid() int     { return r.command.Process.Pid }

// open makes a call between the addresses and returns the ports where each sends.
func (r *rtpengine) open(caller, callee netip.AddrPort) (toCaller, toCallee int, err error) {
	r.calls++
	id := fmt.Sprint("call", r.calls)
	offer, err := r.ask("ICE", "remove", "call-id", id, "command", "offer", "from-tag", "a", "sdp", string(description(caller)))
	if err != nil {
		return 0, 0, err
	}
	answer, err := r.ask("ICE", "remove", "call-id", id, "command", "answer", "from-tag", "a", "sdp", string(description(callee)), "to-tag", "b")
	if err != nil {
		return 0, 0, err
	}
	return portIn([]byte(answer)), portIn([]byte(offer)), nil
}

// ask sends a dictionary, whose keys must stand in order, and returns the description of the answer, if it has one.
func (r *rtpengine) ask(pairs ...string) (sdp string, err error) {
	var b strings.Builder
	r.cookie++
	fmt.Fprintf(&b, "%d d", r.cookie)
	for _, word := range pairs {
		fmt.Fprintf(&b, "%d:%s", len(word), word)
	}
	b.WriteString("e")
	if _, err := r.control.Write([]byte(b.String())); err != nil {
		return "", err
	}
	buffer := make([]byte, 65536)
	r.control.SetReadDeadline(time.Now().Add(2 * time.Second))
	n, err := r.control.Read(buffer)
	if err != nil {
		return "", err
	}
	reply := string(buffer[:n])
	if !strings.Contains(reply, "6:result2:ok") && !strings.Contains(reply, "6:result4:pong") {
		return "", fmt.Errorf("rtpengine says %q", reply)
	}
	_, sdp, _ = strings.Cut(reply, "3:sdp")
	_, sdp, _ = strings.Cut(sdp, ":")
	return sdp, nil
}

// memory is its resident memory, in bytes.
func (r *rtpengine) memory() (uint64, error) { return resident(r.pid()) }

func (r *rtpengine) stop() error {
	r.control.Close()
	r.command.Process.Signal(syscall.SIGTERM)
	r.command.Wait()
	return nil
}
