package store

import (
	"reflect"
	"testing"
	"time"

	"trunkline/trunks"
)

// TestMemory: what is written is read again by the next process; what changed takes the place of what was there, and the rest stays.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	expires := time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)
	binding := func(agent, key string) Binding {
		return Binding{Agent: agent, Key: key, URI: "sip:" + agent + "@10.0.0.5", Listener: "192.0.2.1:5060", Local: "192.0.2.1:5060", Remote: "198.51.100.7:40000",
			Q: 0.5, Expires: expires, CallID: "a", CSeq: 4_000_000_000, Instance: "<urn:uuid:1>", Device: "phone"}
	}
	agent := trunks.Spent{Name: "app", Day: 20415, Used: 90 * time.Second}
	organization := trunks.Spent{Organization: true, Name: "app", Day: 20415, Used: 90*time.Second + time.Millisecond}
	yesterday := trunks.Spent{Name: "desk", Day: 20414, Used: time.Hour}
	first := Memory{Tolls: []trunks.Spent{agent, yesterday, organization}, Bindings: []Binding{binding("app", "1"), binding("app", "2"), binding("desk", "1")}}
	for _, step := range []struct {
		write  Memory
		agents []string
		today  int64
		want   Memory
	}{
		{first, []string{"app", "desk"}, 20414, first},
		{Memory{}, []string{"nobody"}, 20415, Memory{Tolls: []trunks.Spent{agent, organization}, Bindings: first.Bindings}},
		{Memory{Tolls: []trunks.Spent{{Name: "app", Day: 20416, Used: time.Second}}, Bindings: []Binding{binding("app", "3")}}, []string{"app"}, 20416,
			Memory{Tolls: []trunks.Spent{{Name: "app", Day: 20416, Used: time.Second}}, Bindings: []Binding{binding("app", "3"), binding("desk", "1")}}},
		{Memory{}, []string{"app", "desk"}, 20417, Memory{Tolls: []trunks.Spent{}, Bindings: []Binding{}}},
	} {
		if err := db.Remember(t.Context(), step.write, step.agents, step.today); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err = Open(dir); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Remembered(t.Context()); err != nil || !reflect.DeepEqual(got, step.want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, step.want)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Remember(t.Context(), first, nil, 0); err == nil {
		t.Error("a closed database takes what is to be remembered")
	}
}
