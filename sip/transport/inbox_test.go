package transport

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// FuzzInbox walks a small queue through posts of all sizes, failures, takes and releases, and compares it with a plain list.
func FuzzInbox(f *testing.F) {
	f.Add([]byte{0, 10, 0, 200, 2, 2, 3, 0, 255, 2})
	f.Add(bytes.Repeat([]byte{0, 255, 0, 255, 2, 0, 100, 1, 9, 2, 3}, 20))
	f.Add(bytes.Repeat([]byte{0, 0, 1, 0, 2, 2}, 30))
	f.Fuzz(func(t *testing.T, script []byte) {
		const places, room = 16, 150_000
		q := newInbox(places, room)
		type item struct {
			b   []byte
			ref uint64
		}
		var want []item
		var held, heldWas []byte
		ref := uint64(0)
		for len(script) > 1 {
			op, size := script[0]%4, int(script[1])*200
			script = script[1:]
			switch op {
			case 0, 1:
				script = script[1:]
				ref++
				b := bytes.Repeat([]byte{byte(ref)}, size)
				if op == 0 {
					if q.post(Flow{}, b, ref, time.Time{}) {
						want = append(want, item{b, ref})
					} else if len(want) == 0 {
						t.Fatalf("an empty queue refuses %d bytes", size)
					}
				} else if q.postFailure(Flow{}, b, errGone, ref) {
					want = append(want, item{b, ref})
				} else if len(want) < places {
					t.Fatalf("news refused with %d places taken", len(want))
				}
			case 2:
				pk, ok := q.take()
				held, heldWas = nil, nil
				if ok != (len(want) > 0) {
					t.Fatalf("took something: %v, with %d in the queue", ok, len(want))
				}
				if !ok {
					break
				}
				next := want[0]
				want = want[1:]
				if pk.Ref != next.ref || !bytes.Equal(pk.Bytes, next.b) && (pk.Err == nil || pk.Bytes != nil) {
					t.Fatalf("took message %d of %d bytes, want %d of %d", pk.Ref, len(pk.Bytes), next.ref, len(next.b))
				}
				held, heldWas = pk.Bytes, slices.Clone(pk.Bytes)
			case 3:
				q.release()
				held, heldWas = nil, nil
			}
			if !bytes.Equal(held, heldWas) {
				t.Fatal("the message taken last was overwritten")
			}
			if int(q.ready.Load()) != len(want) || len(q.ring) > room || len(q.items) > places {
				t.Fatalf("%d ready of %d, ring of %d bytes, %d places", q.ready.Load(), len(want), len(q.ring), len(q.items))
			}
		}
	})
}

func TestPostPatientlyWaitsForRoom(t *testing.T) {
	q := newInbox(64, 256<<10)
	message := make([]byte, 60_000)
	for q.post(Flow{}, message, 0, time.Time{}) {
	}
	if q.postPatiently(Flow{}, message, time.Millisecond) {
		t.Fatal("posted without room")
	}
	var posters sync.WaitGroup
	for range 3 {
		posters.Go(func() {
			if !q.postPatiently(Flow{}, message, patience) {
				t.Error("room was made, but not used")
			}
		})
	}
	for taken := 0; taken < 7; {
		if _, ok := q.take(); ok {
			taken++
		} else {
			runtime.Gosched() // the others have not posted yet
		}
	}
	posters.Wait()
	if refused, _ := q.drops(); refused != 2 {
		t.Errorf("%d refusals counted, want 2", refused)
	}
}

func TestClosedInboxRefuses(t *testing.T) {
	q := newInbox(64, 256<<10)
	for q.post(Flow{}, make([]byte, 60_000), 0, time.Time{}) {
	}
	waiting := make(chan bool)
	go func() { waiting <- q.postPatiently(Flow{}, make([]byte, 60_000), time.Hour) }()
	q.close()
	if <-waiting || q.post(Flow{}, nil, 0, time.Time{}) || q.postFailure(Flow{}, nil, errors.New("x"), 0) {
		t.Error("a closed queue took something")
	}
}

// A steady stream through a warm queue allocates nothing.
func TestInboxDoesNotAllocate(t *testing.T) {
	q := newInbox(1024, 1<<20)
	b := make([]byte, 700)
	step := func() {
		for range 10 {
			q.post(Flow{}, b, 0, time.Time{})
		}
		for range 10 {
			q.take()
		}
	}
	step()
	if got := testing.AllocsPerRun(1000, step); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// The gate runs its last act once, after the last user has left, however many come and go meanwhile.
func TestGate(t *testing.T) {
	for range 200 {
		inside, closed := 0, false
		var mu sync.Mutex
		g := newGate(func() {
			mu.Lock()
			defer mu.Unlock()
			if inside != 0 || closed {
				t.Errorf("closed with %d inside, closed before: %v", inside, closed)
			}
			closed = true
		})
		var users sync.WaitGroup
		for range 4 {
			users.Go(func() {
				for g.enter() {
					mu.Lock()
					inside++
					if closed {
						t.Error("let in after closing")
					}
					mu.Unlock()
					mu.Lock()
					inside--
					mu.Unlock()
					g.leave()
				}
			})
		}
		g.shut()
		<-g.done
		users.Wait()
		if g.enter() || !closed {
			t.Error("not shut")
		}
	}
}
