//go:build linux

// Probe measures what a probe costs: CPU time of one process on one core, probes per second with thousands in flight, and
// memory of a probe that waits. SIPp answers on the other core. Beside it stands sipsak, a tool that is started for one
// request, as what an operator has today.
//
//	go run ./bench/probe -probes 50000 -inflight 2000 -atonce 10000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// kind is one kind of probe.
type kind struct {
	name     string
	scenario string   // of SIPp, which answers it
	sipsak   []string // the same by sipsak; nil: it cannot
}

var kinds = []kind{
	{"OPTIONS", "options.xml", []string{"-s", "sip:probe@" + serverAddress}},
	{"REGISTER with digest", "register.xml", []string{"-U", "-u", "alice", "-a", "secret", "-C", "sip:alice@127.0.0.1:5060", "-x", "60", "-s", "sip:alice@" + serverAddress}},
	{"INVITE–CANCEL", "invite.xml", nil},
}

const (
	serverAddress = "127.0.0.2:5091"
	silentAddress = "127.0.0.2:5092"
	probeAddress  = "127.0.0.1:5090"
)

type plan struct {
	probes, inFlight, oneShots int
	atOnce                     int
	loadCPU, testCPU           int
}

func main() {
	p := plan{}
	serve := flag.String("serve", "", "be the prober: the kind to run")
	server := flag.String("server", serverAddress, "with -serve: where the carrier is")
	flag.IntVar(&p.probes, "probes", 50000, "probes of each kind")
	flag.IntVar(&p.inFlight, "inflight", 2000, "probes under way while the pace is measured")
	flag.IntVar(&p.atOnce, "atonce", 10000, "probes begun at once, and probes that wait")
	flag.IntVar(&p.oneShots, "oneshots", 300, "runs of sipsak; 0 leaves it out")
	flag.IntVar(&p.loadCPU, "load-cpu", 0, "CPU of SIPp and of this program")
	flag.IntVar(&p.testCPU, "test-cpu", 1, "CPU of the prober, and of sipsak")
	quick := flag.Bool("quick", false, "fewer probes")
	flag.Parse()
	if *quick {
		p.probes, p.oneShots = 10000, 50
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	var err error
	if *serve != "" {
		err = prove(ctx, *serve, *server, p)
	} else {
		err = measure(ctx, p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure runs every kind and prints the table.
func measure(ctx context.Context, p plan) error {
	if _, err := exec.LookPath("sipp"); err != nil {
		return fmt.Errorf("SIPp is not installed")
	}
	dir, err := os.MkdirTemp("", "trunkline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeScenarios(dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("%d probes of each kind, at most %d in flight, one process on one core\n\n", p.probes, p.inFlight)
	fmt.Println("| probe | probes/s | CPU µs/probe | failed | sipsak: CPU µs/run | runs/s |")
	fmt.Println("| --- | --- | --- | --- | --- | --- |")
	for _, k := range kinds {
		stop, err := answer(ctx, p, dir, k.scenario)
		if err != nil {
			return err
		}
		line, err := child(ctx, p, self, k.name, serverAddress)
		other := "– | –"
		if err == nil && k.sipsak != nil && p.oneShots > 0 {
			other = oneShots(ctx, p, k.sipsak)
		}
		stop()
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s | %s |\n", k.name, line, other)
	}
	fmt.Println()
	for _, k := range kinds[1:] {
		stop, err := answer(ctx, p, dir, k.scenario)
		if err != nil {
			return err
		}
		burst := p
		burst.probes, burst.inFlight = p.atOnce, p.atOnce
		line, err := child(ctx, burst, self, k.name, serverAddress)
		stop()
		if err != nil {
			return err
		}
		pace, failed := strings.Split(line, " | ")[0], strings.Split(line, " | ")[2]
		fmt.Printf("%d %s probes begun at once: %s probes/s, %s failed\n", p.atOnce, k.name, pace, failed)
	}
	waiting := p
	waiting.inFlight = p.atOnce
	line, err := child(ctx, waiting, self, "waiting", silentAddress)
	if err != nil {
		return err
	}
	fmt.Println(line)
	return nil
}

// child runs the prober on its own CPU and returns what it prints.
func child(ctx context.Context, p plan, self, kind, server string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "taskset", "-c", fmt.Sprint(p.testCPU), self, "-serve", kind, "-server", server,
		"-probes", fmt.Sprint(p.probes), "-inflight", fmt.Sprint(p.inFlight))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// answer starts SIPp as the carrier.
func answer(ctx context.Context, p plan, dir, scenario string) (stop func(), err error) {
	host, port, _ := strings.Cut(serverAddress, ":")
	cmd := exec.CommandContext(ctx, "taskset", "-c", fmt.Sprint(p.loadCPU), "sipp", "-sf", dir+"/"+scenario, "-i", host, "-p", port, "-nostdin",
		"-buff_size", "16777216", "-deadcall_wait", "0", "-watchdog_interval", "0", "-timeout", "300", "-l", "1000000")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() { cmd.Wait(); close(done) }() // ends with SIPp
	time.Sleep(500 * time.Millisecond)      // it says nowhere that it listens
	return func() {
		cmd.Process.Signal(syscall.SIGUSR1)
		select {
		case <-done:
		case <-time.After(2 * time.Second):
			cmd.Process.Kill()
			<-done
		}
	}, nil
}

// oneShots runs sipsak again and again and returns its CPU time and pace.
func oneShots(ctx context.Context, p plan, args []string) string {
	if _, err := exec.LookPath("sipsak"); err != nil {
		return "not installed | –"
	}
	var cpu time.Duration
	begin, good := time.Now(), 0
	for range p.oneShots {
		cmd := exec.CommandContext(ctx, "taskset", append([]string{"-c", fmt.Sprint(p.testCPU), "sipsak"}, args...)...)
		err := cmd.Run()
		if err == nil {
			good++
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return fmt.Sprintf("%d | %.0f (%d of %d good)", cpu.Microseconds()/int64(p.oneShots), float64(p.oneShots)/time.Since(begin).Seconds(), good, p.oneShots)
}
