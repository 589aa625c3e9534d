package notice

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"trunkline/trunks"
	"trunkline/trunks/account"
)

var owners = Owners{Trunks: map[string]string{"connection:5": "org1", "credential:ab": "org2"}, Agents: map[string]string{"agent:7": "org1"}}

// disk takes what a board writes.
type disk struct {
	mu     sync.Mutex
	events []account.Event
	writes int
	broken bool
}

func (d *disk) write(_ context.Context, events []account.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken {
		return errors.New("disk I/O error")
	}
	d.writes++
	d.events = append(d.events, events...)
	return nil
}

func (d *disk) all() []account.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]account.Event(nil), d.events...)
}

func (d *disk) refuse(yes bool) { d.mu.Lock(); d.broken = yes; d.mu.Unlock() }

// running returns a board at work inside a bubble.
func running(t *testing.T, d *disk, look func() Look, queue int) (*Board, func()) {
	b, err := New(Options{Write: d.write, Look: look, Queue: queue})
	if err != nil {
		t.Fatal(err)
	}
	b.Belong(owners)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { b.Run(ctx) })
	stop := sync.OnceFunc(func() { cancel(); work.Wait() })
	t.Cleanup(stop)
	return b, stop
}

func nothing() Look { return Look{} }

func record(trunk, agent string) *trunks.CallRecord {
	at := time.Now()
	return &trunks.CallRecord{ID: "c1", Direction: trunks.InboundCall, Trunk: trunk, Agent: agent, Caller: "+15550000001", Called: "+15550000002", Outcome: "answered",
		EndedBy: "caller", Code: 200, Started: at, Answered: at.Add(time.Second), Ended: at.Add(3500 * time.Millisecond)}
}

func TestCallsAreToldToTheirOrganization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		b, stop := running(t, d, nothing, 0)
		b.CallEnded(record("connection:5", ""))
		b.CallEnded(record("", "agent:7"))
		b.CallEnded(record("carrier", "app")) // the file's
		time.Sleep(time.Second)
		stop()
		got := d.all()
		if len(got) != 2 || d.writes != 1 || got[0].Org != "org1" || got[1].Org != "org1" || got[0].Type != CallEnded || got[0].Subject != "call/c1" {
			t.Fatalf("%d events in %d writes: %+v", len(got), d.writes, got)
		}
		var data map[string]any
		if err := json.Unmarshal(got[0].Data, &data); err != nil || data["duration_seconds"] != 2.5 || data["outcome"] != "answered" || data["refusal"] != nil || data["start_time"] != "2000-01-01T00:00:00.000Z" {
			t.Errorf("data %s, %v", got[0].Data, err)
		}
	})
}

func TestDriftIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		b, stop := running(t, d, nothing, 0)
		b.Drifted(Drift{Trunk: "credential:ab", Number: "+15550000001", Check: "inbound_reachable", Was: "pass", Now: "fail", Code: "silence", Message: "m", Fix: "f"})
		b.Drifted(Drift{Trunk: "carrier", Check: "inbound_reachable"}) // the file's
		time.Sleep(time.Second)
		stop()
		want := `{"check":"inbound_reachable","code":"silence","fix":"f","from":"pass","message":"m","number":"+15550000001","to":"fail","trunk":"credential:ab"}`
		if got := d.all(); len(got) != 1 || got[0].Org != "org2" || got[0].Type != CheckChanged || got[0].Subject != "sip_credential/ab" || string(got[0].Data) != want {
			t.Errorf("%+v", got)
		}
	})
}

func TestStates(t *testing.T) {
	var m memory
	at := time.Unix(0, 0)
	look := func(registration, health string) []string {
		l := Look{}
		if registration != "" {
			l.Registrations = []Condition{{Trunk: "connection:5", State: registration, Cause: "c"}, {Trunk: "carrier", State: registration}}
		}
		if health != "" {
			l.Health = []Condition{{Trunk: "credential:ab", State: health}}
		}
		var told []string
		at = at.Add(time.Second)
		for _, e := range m.compare(at, l, owners) {
			told = append(told, e.Org+" "+e.Type+" "+e.Subject+" "+string(e.Data))
		}
		return told
	}
	for i, step := range []struct {
		registration, health string
		want                 string
	}{
		{"registering", "up", ""},
		{"registering", "up", ""},
		{"registered", "up", `org1 trunk.registration_changed connection/5 {"cause":"c","from":"registering","to":"registered","trunk":"connection:5"}`},
		{"registered", "down", `org2 trunk.health_changed sip_credential/ab {"cause":null,"from":"up","to":"down","trunk":"credential:ab"}`},
		{"", "down", ""},            // the trunk is gone
		{"auth_failed", "down", ""}, // and there again: the first look is no change
		{"auth_failed", "up", `org2 trunk.health_changed sip_credential/ab {"cause":null,"from":"down","to":"up","trunk":"credential:ab"}`},
	} {
		if got := strings.Join(look(step.registration, step.health), "\n"); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

// A key is told of once a minute at most, with everything that happened in between.
func TestThrottled(t *testing.T) {
	var m memory
	at := time.Unix(0, 0)
	delayed, told := uint64(100), []string(nil)
	for range 180 {
		at = at.Add(time.Second)
		if at.Unix() > 30 && at.Unix() <= 130 {
			delayed += 2
		}
		for _, e := range m.compare(at, Look{Paces: []Pace{{Key: "org1/main", Trunks: []string{"connection:5"}, Limit: 5, Delayed: delayed}, {Key: "carrier", Trunks: []string{"carrier"}, Delayed: delayed}}}, owners) {
			told = append(told, fmt.Sprint(at.Unix(), " ", e.Org, " ", e.Subject, " ", string(e.Data)))
		}
	}
	want := []string{
		`31 org1 cps-key/main {"delayed":2,"key":"main","limit":5,"refused":0,"trunks":["connection:5"]}`,
		`91 org1 cps-key/main {"delayed":120,"key":"main","limit":5,"refused":0,"trunks":["connection:5"]}`,
		`151 org1 cps-key/main {"delayed":78,"key":"main","limit":5,"refused":0,"trunks":["connection:5"]}`,
	}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

// A disk that refuses holds up nobody; what fits waits, the rest is dropped.
func TestABrokenDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{broken: true}
		b, stop := running(t, d, nothing, 1000)
		for range 1500 {
			b.CallEnded(record("connection:5", ""))
		}
		time.Sleep(time.Minute)
		d.refuse(false)
		time.Sleep(2 * time.Minute)
		stop()
		if n := len(d.all()); n != 1000 || b.dropped != 500 {
			t.Errorf("%d written, %d dropped", n, b.dropped)
		}
		b.CallEnded(record("connection:5", ""))
		b.Flush(t.Context())
		if n := len(d.all()); n != 1001 {
			t.Errorf("%d written after the last flush", n)
		}
	})
}

func BenchmarkCallOfNobody(b *testing.B) {
	board, err := New(Options{Write: (&disk{}).write, Look: nothing})
	if err != nil {
		b.Fatal(err)
	}
	r := record("carrier", "app")
	b.ReportAllocs()
	for b.Loop() {
		board.CallEnded(r)
	}
}
