package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// quota is a control group that lets a process have a share of one CPU.
type quota struct{ folder string }

// period is that of the quota, in microseconds: short, so that a share is even rather than on and off.
const period = 10_000

// newQuota makes a control group of percent of one CPU, which it gets whatever else wants to run; it needs root. Both versions of control
// groups will do.
func newQuota(percent int) (*quota, error) {
	name := "trunkline-bench-" + strconv.Itoa(os.Getpid())
	share := strconv.Itoa(percent * period / 100)
	for _, version := range []struct {
		root  string
		files map[string]string
	}{
		{"/sys/fs/cgroup/cpu", map[string]string{"cpu.cfs_period_us": strconv.Itoa(period), "cpu.cfs_quota_us": share, "cpu.shares": "262144"}},
		{"/sys/fs/cgroup", map[string]string{"cpu.max": share + " " + strconv.Itoa(period), "cpu.weight": "10000"}},
	} {
		if !hasCPU(version.root, version.files) {
			continue
		}
		q := &quota{filepath.Join(version.root, name)}
		if err := os.Mkdir(q.folder, 0o755); err != nil {
			return nil, err
		}
		for file, value := range version.files {
			if err := os.WriteFile(filepath.Join(q.folder, file), []byte(value), 0o644); err != nil {
				return nil, errors.Join(err, q.remove())
			}
		}
		return q, nil
	}
	return nil, errors.New("no control group for CPU time is mounted")
}

// hasCPU reports whether groups below root have shares of CPU time.
func hasCPU(root string, files map[string]string) bool {
	if files["cpu.max"] != "" {
		_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
		return err == nil
	}
	_, err := os.Stat(filepath.Join(root, "cpu.cfs_quota_us"))
	return err == nil
}

// take puts a process and what it will start into the group.
func (q *quota) take(pid int) error {
	if err := os.WriteFile(filepath.Join(q.folder, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("limit the CPU: %w", err)
	}
	return nil
}

// remove takes the empty group away.
func (q *quota) remove() error { return os.Remove(q.folder) }
