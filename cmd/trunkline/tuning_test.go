package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAvailableMemoryIsTheSmallestLimit(t *testing.T) {
	const gib = 1 << 30
	for _, test := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"nothing can be read", nil, 0},
		{"a machine without control groups", map[string]string{"meminfo": "MemTotal:       16777216 kB\nMemFree: 1 kB\n"}, 16 * gib},
		{"a container of version 2", map[string]string{
			"meminfo": "MemTotal:       16777216 kB\n", "cgroup": "0::/\n", "fs/memory.max": "2147483648\n",
		}, 2 * gib},
		{"a service below a limited slice", map[string]string{
			"meminfo": "MemTotal:       16777216 kB\n", "cgroup": "0::/system.slice/trunkline.service\n",
			"fs/system.slice/trunkline.service/memory.max": "max\n", "fs/system.slice/memory.max": "1073741824\n",
		}, 1 * gib},
		{"version 1 without a limit", map[string]string{
			"meminfo": "MemTotal:       16777216 kB\n", "cgroup": "4:memory:/app\n",
			"fs/memory/app/memory.limit_in_bytes": "9223372036854771712\n",
		}, 16 * gib},
		{"version 1 with a limit", map[string]string{
			"meminfo": "MemTotal:       16777216 kB\n", "cgroup": "4:memory:/app\n",
			"fs/memory/app/memory.limit_in_bytes": "3221225472\n",
		}, 3 * gib},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range test.files {
				file := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := availableMemory(filepath.Join(dir, "meminfo"), filepath.Join(dir, "cgroup"), filepath.Join(dir, "fs"))
			if got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
