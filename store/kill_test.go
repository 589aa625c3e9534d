//go:build unix

package store

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// victimVariable makes the test binary write call records into the directory it names until it is killed.
const victimVariable = "TRUNKLINE_TEST_WRITE_RECORDS_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(tenantVariable); dir != "" {
		workUntilKilled(dir)
		return
	}
	if dir := os.Getenv(victimVariable); dir != "" {
		if err := writeUntilKilled(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

const victimInterval = 20 * time.Millisecond

// writeUntilKilled writes some thousand records a second, numbered on from those in the file. It prints "wrote N" when the
// records before N are written, and "committed N" when Flush said so.
func writeUntilKilled(dir string) error {
	r, err := OpenRecords(dir, Options{CommitInterval: victimInterval})
	if err != nil {
		return err
	}
	last, err := r.Recent(context.Background(), 1, 0)
	if err != nil {
		return err
	}
	var written atomic.Int64
	if len(last) > 0 {
		written.Store(last[0].Seq)
	}
	var out sync.Mutex
	say := func(word string, n int64) {
		out.Lock()
		defer out.Unlock()
		fmt.Println(word, n)
	}
	go func() { // ends with the process
		for {
			n := written.Load()
			if r.Flush(context.Background()) == nil {
				say("committed", n)
			}
			time.Sleep(15 * time.Millisecond)
		}
	}()
	for {
		for range 20 {
			r.Write(sampleRecord(int(written.Load())))
			written.Add(1)
		}
		say("wrote", written.Load())
		time.Sleep(2 * time.Millisecond)
	}
}

// TestKillNine: a process that is killed while it writes leaves a sound file, with every record that was committed, and every
// one older than the commit interval, in order and without a gap.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("kills twenty processes")
	}
	dir := t.TempDir()
	for round := range 20 {
		lived := time.Duration(50+rand.IntN(250)) * time.Millisecond
		if round%7 == 6 {
			lived += generous // long enough for records older than the interval
		}
		killVictim(t, dir, lived)
	}
}

// generous is how late a commit may be on a machine that has other things to do.
const generous = time.Second

func killVictim(t *testing.T, dir string, lived time.Duration) {
	t.Helper()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), victimVariable+"="+dir)
	victim.Stderr = os.Stderr
	stdout, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() {
		t.Fatalf("the victim says nothing: %v", victim.Wait())
	}
	killed := make(chan time.Time, 1)
	time.AfterFunc(lived, func() {
		killed <- time.Now()
		if err := victim.Process.Kill(); err != nil {
			t.Error(err)
		}
	})
	committed, said := int64(0), map[int64]time.Time{}
	for ok := true; ok; ok = lines.Scan() {
		word, number, _ := strings.Cut(lines.Text(), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			break // the last line may be cut
		}
		if word == "committed" {
			committed = n
		} else {
			said[n] = time.Now()
		}
	}
	if _, err := io.Copy(io.Discard, stdout); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // "signal: killed"
	due, deadline := committed, (<-killed).Add(-victimInterval-generous)
	for n, at := range said {
		if at.Before(deadline) {
			due = max(due, n)
		}
	}
	checkSurvivors(t, dir, due)
}

// checkSurvivors opens the file as the next process would and looks for at least due records.
func checkSurvivors(t *testing.T, dir string, due int64) {
	t.Helper()
	r, err := OpenRecords(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	var verdict string
	if err := r.reader.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity_check of %s: %s %v", filepath.Join(dir, "records.db"), verdict, err)
	}
	var n, first, last, misplaced int64
	err = r.reader.QueryRow("SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0), coalesce(sum(id <> printf('s1k%013x', seq - 1)), 0) FROM calls").Scan(&n, &first, &last, &misplaced)
	if err != nil {
		t.Fatal(err)
	}
	if first != 1 || last != n || misplaced != 0 {
		t.Fatalf("%d records from %d to %d, %d misplaced", n, first, last, misplaced)
	}
	t.Logf("%d records, %d were due", n, due)
	if n < due {
		t.Fatalf("%d records, but %d were committed or older than the interval", n, due)
	}
}
