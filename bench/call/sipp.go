package main

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// load is one run of SIPp through the system under test.
type load struct {
	rate  int           // calls per second
	calls int           // how many, then it ends
	hold  time.Duration // how long a call stays up
}

func (l load) length() time.Duration {
	return time.Duration(l.calls) * time.Second / time.Duration(l.rate)
}

// outcome is what SIPp's caller saw.
type outcome struct {
	calls, good, repeated int // repeated: messages SIPp had to send again
	lost                  int // datagrams the kernel dropped meanwhile
	elapsed               time.Duration
}

// clean reports whether at least 99.9 % of the calls were good.
func (o outcome) clean() bool { return o.calls > 0 && o.good*1000 >= o.calls*999 }

// callee starts SIPp's answering side.
func (b *bench) callee(ctx context.Context) (*process, error) {
	host, port, _ := strings.Cut(calleeAddress, ":")
	p, err := b.spawn(ctx, b.loadCPU, "callee", "sipp", "-sf", filepath.Join(b.dir, "callee.xml"),
		"-i", host, "-p", port, "-nostdin", "-buff_size", "16777216", "-deadcall_wait", "0", "-watchdog_interval", "0")
	if err != nil {
		return nil, err
	}
	if err := waitListening(ctx, p, calleeAddress); err != nil {
		p.stop()
		return nil, fmt.Errorf("SIPp's callee: %w", err)
	}
	return p, nil
}

// caller starts SIPp's calling side with its statistics in file.
func (b *bench) caller(ctx context.Context, l load, file string) (*process, error) {
	host, port, _ := strings.Cut(callerAddress, ":")
	limit := l.length() + l.hold + 20*time.Second
	return b.spawn(ctx, b.loadCPU, "caller", "sipp", testAddress, "-sf", filepath.Join(b.dir, "caller.xml"),
		"-s", calledNumber, "-i", host, "-p", port, "-nostdin", "-buff_size", "16777216", "-deadcall_wait", "0", "-watchdog_interval", "0",
		"-r", strconv.Itoa(l.rate), "-m", strconv.Itoa(l.calls), "-l", strconv.Itoa(l.calls+1000),
		"-d", strconv.Itoa(int(l.hold.Milliseconds())),
		"-trace_stat", "-stf", file, "-fd", "1", "-timeout", strconv.Itoa(int(limit.Seconds())))
}

// drive runs one load to its end.
func (b *bench) drive(ctx context.Context, l load) (outcome, error) {
	file := filepath.Join(b.dir, fmt.Sprintf("caller-%d.csv", time.Now().UnixNano()))
	lost := datagramsLost(testAddress, calleeAddress)
	p, err := b.caller(ctx, l, file)
	if err != nil {
		return outcome{}, err
	}
	// SIPp ends with a status of its own when calls failed; the statistics say more.
	p.wait(l.length() + l.hold + 40*time.Second)
	if err := ctx.Err(); err != nil {
		return outcome{}, err
	}
	o, err := readOutcome(file)
	if err != nil {
		return outcome{}, fmt.Errorf("SIPp's caller: %w: %s", err, p.tail())
	}
	// A run that was cut short leaves calls that never ended: they are not good.
	o.calls, o.lost = max(o.calls, l.calls), datagramsLost(testAddress, calleeAddress)-lost
	return o, nil
}

// readOutcome takes the last line of SIPp's statistics.
func readOutcome(file string) (outcome, error) {
	f, err := os.Open(file)
	if err != nil {
		return outcome{}, err
	}
	defer f.Close()
	reader := csv.NewReader(f)
	reader.Comma, reader.FieldsPerRecord, reader.LazyQuotes = ';', -1, true
	rows, err := reader.ReadAll()
	if err != nil || len(rows) < 2 {
		return outcome{}, fmt.Errorf("no statistics in %s", file)
	}
	last := map[string]string{}
	for i, name := range rows[0] {
		if i < len(rows[len(rows)-1]) {
			last[name] = rows[len(rows)-1][i]
		}
	}
	number := func(name string) int {
		n, _ := strconv.Atoi(last[name])
		return n
	}
	return outcome{
		calls: number("TotalCallCreated"), good: number("SuccessfulCall(C)"), repeated: number("Retransmissions(C)"),
		elapsed: epoch(last["CurrentTime"]).Sub(epoch(last["StartTime"])),
	}, nil
}

// epoch reads the last of SIPp's three renderings of a time: date, time of day, seconds since 1970.
func epoch(text string) time.Time {
	seconds, err := strconv.ParseFloat(text[strings.LastIndexByte(text, '\t')+1:], 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMicro(int64(seconds * 1e6))
}
