package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"trunkline/trunks"
)

// sampleRecord is the record of an answered inbound call with media, as long as real ones are.
func sampleRecord(i int) trunks.CallRecord {
	started := time.UnixMilli(1_800_000_000_000 + int64(i))
	return trunks.CallRecord{
		ID:            fmt.Sprintf("s1k%013x", i),
		Direction:     trunks.InboundCall,
		Trunk:         "carrier",
		Agent:         "app",
		Caller:        "+15550001234",
		Called:        "+15550005678",
		Outcome:       "answered",
		EndedBy:       "caller",
		Code:          200,
		Reason:        "normal clearing",
		Started:       started,
		Ringing:       started.Add(180 * time.Millisecond),
		Answered:      started.Add(1200 * time.Millisecond),
		Ended:         started.Add(61 * time.Second),
		Attempts:      1,
		Source:        "192.0.2.20:5060",
		Target:        "192.0.2.30:5080",
		CallerCallID:  fmt.Sprintf("%x-3178@192.0.2.20", i),
		CalleeCallID:  fmt.Sprintf("0a1b2c3d4e5f%020x", i),
		Caller2Callee: trunks.MediaStats{Packets: 3000, Bytes: 516000, Lost: 3, Jitter: 1250 * time.Microsecond, Codec: "PCMU", RoundTrip: 80250 * time.Microsecond, MOS: 4.37},
		Callee2Caller: trunks.MediaStats{Packets: 2990, Bytes: 514280, Jitter: 900 * time.Microsecond, Codec: "PCMU"},
	}
}

// open opens the records of dir and closes them at the end of the test.
func open(t testing.TB, dir string, o Options) *Records {
	t.Helper()
	r, err := openRecords(dir, o, 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func TestRecordsReadBackAsWritten(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	refused := trunks.CallRecord{ // nearly everything is missing
		ID: "refused", Caller: "anonymous", Called: "+1", Outcome: "rejected", EndedBy: "edge", Code: 404, Refusal: trunks.NoRoute,
		Started: time.UnixMilli(1_800_000_000_000), Ended: time.UnixMilli(1_800_000_000_001), Source: "192.0.2.1:5060", CallerCallID: "abc",
	}
	want := []trunks.CallRecord{sampleRecord(1), refused}
	for i := 2; i < 100; i++ {
		c := sampleRecord(i)
		c.Direction, c.Outcome = trunks.OutboundCall, "busy"
		c.Tries = []trunks.Try{
			{Trunk: "near", Refusal: trunks.LimitChannels},
			{Trunk: "far", Target: "192.0.2.20:5060", Cause: "no_response", After: time.Millisecond},
			{Trunk: "carrier", Target: "192.0.2.30:5080", Code: 486, After: 4 * time.Second},
		}
		want = append(want, c)
	}
	for _, c := range want {
		r.Write(c)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := r.Recent(t.Context(), 1000, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i, c := range want {
		if s := got[len(got)-1-i]; !reflect.DeepEqual(s.CallRecord, c) || s.Seq != int64(i+1) {
			t.Errorf("got  %+v\nwant %+v", s, c)
		}
	}
	page, err := r.Recent(t.Context(), 2, got[1].Seq)
	if err != nil || len(page) != 2 || page[0].Seq != got[2].Seq {
		t.Errorf("second page: %+v %v", page, err)
	}
	for _, of := range []struct {
		trunks, agents []string
		want           int
	}{{[]string{"carrier"}, nil, 99}, {nil, []string{"app", "x"}, 99}, {[]string{"other"}, nil, 0}, {nil, nil, 0}} {
		if some, err := r.RecentOf(t.Context(), of.trunks, of.agents, 1000, 0); err != nil || len(some) != of.want {
			t.Errorf("of %v %v: %d records, %v", of.trunks, of.agents, len(some), err)
		}
	}
	if one, err := r.ByID(t.Context(), "refused"); err != nil || one.Refusal != trunks.NoRoute {
		t.Errorf("by id: %+v %v", one, err)
	}
	if _, err := r.ByID(t.Context(), "nobody"); !isNotFound(err) {
		t.Errorf("unknown id: %v", err)
	}
	for _, callID := range []string{want[5].CallerCallID, want[5].CalleeCallID} {
		if found, err := r.ByCallID(t.Context(), callID, 10); err != nil || len(found) != 1 || found[0].ID != want[5].ID {
			t.Errorf("by Call-ID %s: %+v %v", callID, found, err)
		}
	}
}

func TestCloseCommitsWhatWaits(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRecords(dir, Options{CommitInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	const n = 10*chunkSize + 17
	for i := range n {
		r.Write(sampleRecord(i))
	}
	for range 2 { // a second Close is no error
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	r.Write(sampleRecord(n))
	if r.Dropped() != 1 {
		t.Errorf("%d dropped after Close, want 1", r.Dropped())
	}
	if err := r.Flush(t.Context()); err == nil {
		t.Error("Flush after Close works")
	}
	if got := count(t, open(t, dir, Options{})); got != n {
		t.Errorf("%d records, want %d", got, n)
	}
}

func count(t testing.TB, r *Records) int {
	t.Helper()
	var n int
	if err := r.reader.QueryRow("SELECT count(*) FROM calls").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestCommitsComeByThemselves(t *testing.T) {
	r := open(t, t.TempDir(), Options{CommitInterval: 10 * time.Millisecond})
	r.Write(sampleRecord(1))
	eventually(t, "the record is there", func() bool { return count(t, r) == 1 })
}

// eventually waits until condition holds, for at most ten seconds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	r := open(t, t.TempDir(), Options{Queue: 10, CommitInterval: time.Hour})
	for i := range 25 {
		r.Write(sampleRecord(i))
	}
	if r.Dropped() != 15 || r.Waiting() != 10 {
		t.Errorf("%d dropped, %d waiting; want 15 and 10", r.Dropped(), r.Waiting())
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Write(sampleRecord(25))
	if r.Dropped() != 15 {
		t.Error("room again, but a record is dropped")
	}
}

// TestALockedFileHoldsNobodyUp: another process sits in a transaction. Writers go on at once, and what they wrote is there
// when the other one is done.
func TestALockedFileHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	reports := make(chan error, 10)
	r := open(t, dir, Options{CommitInterval: 10 * time.Millisecond, Report: func(err error) { reports <- err }})
	other, err := connect(writerDSN(filepath.Join(dir, "records.db"), time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	const n = 5000
	longest := time.Duration(0)
	for i := range n {
		began := time.Now()
		r.Write(sampleRecord(i))
		longest = max(longest, time.Since(began))
		if i%100 == 0 {
			time.Sleep(5 * time.Millisecond) // so that commits are tried in between
		}
	}
	if longest > 100*time.Millisecond { // a try to commit waits for 250 ms
		t.Errorf("a Write took %v", longest)
	}
	if err := <-reports; causeOf(err) != Locked || r.Healthy() == nil {
		t.Errorf("reported %v, healthy %v", err, r.Healthy())
	}
	if err := other.exec("COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-reports; err != nil {
		t.Errorf("reported %v after the lock was gone", err)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := count(t, r); got != n || r.Dropped() != 0 || r.Healthy() != nil {
		t.Errorf("%d records of %d, %d dropped, healthy %v", got, n, r.Dropped(), r.Healthy())
	}
}

func TestCloseDoesNotWaitForALockForEver(t *testing.T) {
	dir := t.TempDir()
	r, err := OpenRecords(dir, Options{CommitInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	other, err := connect(writerDSN(filepath.Join(dir, "records.db"), time.Second))
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	r.Write(sampleRecord(1))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 call records wait for") {
		t.Errorf("Close: %v", err)
	}
	<-r.released
	if r.Dropped() != 1 {
		t.Errorf("%d dropped, want 1", r.Dropped())
	}
}

// TestAFullDisk: SQLite answers SQLITE_FULL when max_page_count is reached, as it does when the disk is.
func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	reports := make(chan error, 10)
	r := open(t, dir, Options{CommitInterval: time.Hour, Queue: 5000, Report: func(err error) { reports <- err }})
	if err := r.writer.c.exec("PRAGMA max_page_count = 40"); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		r.Write(sampleRecord(i))
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		r.Write(sampleRecord(100 + i))
	}
	err := r.Flush(t.Context())
	if want := filepath.Join(dir, "records.db") + ": the disk is full (commit call records: database or disk is full)"; err == nil || err.Error() != want {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	if reported := <-reports; causeOf(reported) != DiskFull {
		t.Errorf("reported %v", reported)
	}
	r.Write(sampleRecord(0)) // what could not be written still fills the queue
	if r.Dropped() != 1 {
		t.Errorf("%d dropped, want 1", r.Dropped())
	}
	if got := count(t, r); got != 100 {
		t.Errorf("%d records, want those of the first commit: half a batch is none", got)
	}
	if err := r.writer.c.exec("PRAGMA max_page_count = 100000"); err != nil {
		t.Fatal(err)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if reported := <-reports; reported != nil {
		t.Errorf("reported %v once there was room", reported)
	}
	if got := count(t, r); got != 5100 {
		t.Errorf("%d records, want 5100", got)
	}
}

func TestRetentionDeletesTheOldest(t *testing.T) {
	r := open(t, t.TempDir(), Options{CommitInterval: time.Hour}) // its goroutine stands still
	now := time.Now()
	const old, young = 3*expireBite + 5, 50
	for i := range old + young {
		c := sampleRecord(i)
		c.Ended = now.Add(-2 * time.Hour)
		if i >= old {
			c.Ended = now
		}
		r.Write(c)
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	l := commitLoop{r: r, retention: time.Hour}
	for _, want := range []int{old + young - expireBite, old + young - 2*expireBite, old + young - 3*expireBite, young, young} {
		if l.expire(now); count(t, r) != want {
			t.Errorf("%d records are left, want %d", count(t, r), want)
		}
	}
	var oldest int64
	if err := r.reader.QueryRow("SELECT min(ended_ms) FROM calls").Scan(&oldest); err != nil || oldest != now.UnixMilli() {
		t.Errorf("oldest ended at %d: %v", oldest, err)
	}
	r.Write(sampleRecord(0)) // it ended long ago, but the next look is a minute away
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l.expire(now.Add(time.Second)); count(t, r) != young+1 {
		t.Error("the file is looked through for every commit")
	}
}

// TestWriteDoesNotAllocate in the steady state, when chunks come back from the writer.
func TestWriteDoesNotAllocate(t *testing.T) {
	r := open(t, t.TempDir(), Options{CommitInterval: time.Hour})
	c := sampleRecord(1)
	fill := func() {
		for range 4 * chunkSize {
			r.Write(c)
		}
	}
	for range 3 { // AllocsPerRun fills once more before it counts
		fill()
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1, fill); n != 0 {
		t.Errorf("%v allocations for %d records", n, 4*chunkSize)
	}
}

// BenchmarkWrite is what a call pays on its shard.
func BenchmarkWrite(b *testing.B) {
	r := open(b, b.TempDir(), Options{Queue: 1 << 30})
	c := sampleRecord(1)
	b.ReportAllocs()
	for b.Loop() {
		r.Write(c)
	}
	b.StopTimer()
	if err := r.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCommit is what the writer's goroutine pays for one record, with commits of as many records as fall into 100 ms at
// various rates, checkpoints included. cpu-µs/record counts user and system time of the process.
func BenchmarkCommit(b *testing.B) {
	for _, batch := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			r := open(b, b.TempDir(), Options{CommitInterval: time.Hour})
			b.ReportAllocs()
			i := 0
			before := cpuTime(b)
			for b.Loop() {
				r.Write(sampleRecord(i))
				if i++; i%batch == 0 {
					if err := r.Flush(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-µs/record")
			if info, err := os.Stat(r.path); err == nil && i > 10000 {
				b.ReportMetric(float64(info.Size())/float64(i), "file-B/record")
			}
		})
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
