//go:build interop

package peers

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system of so many bytes, for tests that fill it.
func smallDisk(t *testing.T, bytes string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+bytes); err != nil {
		t.Skipf("no permission to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes until the disk is full, and returns the file that does it.
func fill(t *testing.T, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, size := range []int{1 << 16, 1 << 12, 1} {
		for err == nil {
			_, err = file.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	return ballast
}

// TestFullDiskAtStart: one clear line and exit status 1.
func TestFullDiskAtStart(t *testing.T) {
	disk := smallDisk(t, "1m")
	fill(t, disk)
	for _, data := range []string{disk, filepath.Join(disk, "data")} {
		e := NewEdge(t, EdgeOptions{Data: data, Config: `sip: {listen: ["udp://127.0.0.1:0"]}`})
		if status := e.Wait(10 * time.Second); status != 1 {
			t.Errorf("exit status %d", status)
		}
		lines := strings.Split(strings.TrimSpace(e.Log()), "\n")
		last := lines[len(lines)-1]
		if !strings.HasPrefix(last, "trunkline: ") || !strings.Contains(last, "full") && !strings.Contains(last, "no space left") || !strings.Contains(last, data) {
			t.Errorf("%q does not say that the disk of %s is full", last, data)
		}
	}
}

// TestDiskFillsUp: while the disk is full calls go on, the log and /readyz say what is wrong, and no record is lost: what waited is
// written when there is room again.
func TestDiskFillsUp(t *testing.T) {
	Need(t, "sipp", "sqlite3")
	disk := smallDisk(t, "4m")
	s := newStage(t, stageOptions{data: filepath.Join(disk, "data")})
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 20)
	time.Sleep(300 * time.Millisecond) // commits are 100 ms apart
	ballast := fill(t, disk)
	r := s.load(t, run{calls: 1000, rate: 400})
	if r.Good != 1000 || r.Repeated != 0 {
		t.Errorf("%+v: a full disk must not be heard", r)
	}
	Eventually(t, 5*time.Second, "the log says it", func() bool { return strings.Contains(s.Log(), "call records cannot be written; calls go on") })
	if code, body := s.Get("/readyz"); code != 200 || !strings.Contains(body, "call records cannot be written") {
		t.Errorf("%d %s", code, body)
	}
	if n := strings.Count(s.Log(), "cannot be written; calls go on"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	Eventually(t, 10*time.Second, "the log says that it is over", func() bool { return strings.Contains(s.Log(), "call records are written again") })
	if n := s.Metrics().Sum("trunkline_cdr_dropped_total"); n != 0 {
		t.Errorf("%g records were dropped", n)
	}
	s.Stop()
	checkIntegrity(t, s.Data)
	checkRecords(t, s.Edge, 1020)
}

// TestKilledWhileDiskIsFull: what was committed before survives.
func TestKilledWhileDiskIsFull(t *testing.T) {
	Need(t, "sipp", "sqlite3")
	disk := smallDisk(t, "4m")
	s := newStage(t, stageOptions{data: filepath.Join(disk, "data")})
	s.play(t, "inbound", "udp", "uac.xml", "uas.xml", 20)
	time.Sleep(300 * time.Millisecond)
	ballast := fill(t, disk)
	s.load(t, run{calls: 200, rate: 400})
	s.Kill()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	checkIntegrity(t, s.Data)
	if n := len(s.Records()); n < 20 {
		t.Errorf("%d records, but 20 were written while there was room", n)
	}
}
