package store

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	r := open(t, t.TempDir(), Options{Registerer: registry, Queue: 3, CommitInterval: time.Hour})
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for i := range 5 {
		r.Write(sampleRecord(i))
	}
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP trunkline_cdr_dropped_total Call records lost: the queue was full, or they could not be written before the end.
# TYPE trunkline_cdr_dropped_total counter
trunkline_cdr_dropped_total 2
`), "trunkline_cdr_dropped_total")
	if err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "trunkline_db_write_seconds":
			if h := f.Metric[0].GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() <= 0 {
				t.Errorf("one commit, but %d of %v s", h.GetSampleCount(), h.GetSampleSum())
			}
		case "trunkline_db_wal_bytes":
			if f.Metric[0].GetGauge().GetValue() <= 0 {
				t.Error("the write-ahead log is empty after a commit")
			}
		}
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, t.TempDir(), Options{Registerer: registry}) // the names are free again
}
