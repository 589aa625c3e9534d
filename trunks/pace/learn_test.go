package pace

import (
	"fmt"
	"testing"
	"time"
)

// strict is a carrier that takes so many calls in any rolling second, and counts only those it took.
type strict struct {
	limit int
	took  []time.Time
}

func (c *strict) takes(at time.Time) bool {
	for len(c.took) > 0 && at.Sub(c.took[0]) >= time.Second {
		c.took = c.took[1:]
	}
	if len(c.took) >= c.limit {
		return false
	}
	c.took = append(c.took, at)
	return true
}

// offered has a key offered more than it lets out, for a time, and tells it 30 ms later what the carrier refused.
func offered(k *Key, c *strict, from time.Time, during, after time.Duration) (taken, refused int) {
	type answer struct {
		at     time.Time
		ticket Ticket
	}
	var late []answer
	for at := from; at.Before(from.Add(during)); at = at.Add(2 * time.Millisecond) {
		for len(late) > 0 && !late[0].at.After(at) {
			k.Refused(at, late[0].ticket, after)
			late = late[1:]
		}
		ticket, ok := k.Admit(at)
		if !ok {
			continue
		}
		k.Sent(ticket, at)
		if c.takes(at) {
			taken++
		} else {
			refused++
			late = append(late, answer{at.Add(30 * time.Millisecond), ticket})
		}
	}
	return taken, refused
}

// A carrier that takes fewer calls a second than the limit has most of them within a second, and the limit again
// when the carrier takes that.
func TestRefusalsTeachTheCarriersLimit(t *testing.T) {
	for _, test := range []struct {
		limit, carrier int
		burst          int
	}{{10, 7, 0}, {10, 1, 0}, {100, 40, 0}, {100, 40, 100}, {50, 49, 0}, {3, 2, 3}} {
		t.Run(fmt.Sprintf("limit %d carrier %d burst %d", test.limit, test.carrier, test.burst), func(t *testing.T) {
			k := NewKey(Limit{Rate: float64(test.limit), Burst: test.burst})
			c := &strict{limit: test.carrier}
			taken, refused := offered(k, c, begin, 25*time.Second, 0)
			t.Logf("%d taken, %d refused, %.1f a second in force", taken, refused, k.Stats(begin.Add(25*time.Second)).Rate)
			if refused == 0 || refused > test.limit {
				t.Errorf("%d refused before the lesson was learned", refused)
			}
			if least := 25 * test.carrier * 8 / 10; taken < least-2 {
				t.Errorf("%d taken, at least %d could be", taken, least)
			}
			if rate := k.Stats(begin.Add(25 * time.Second)).Rate; rate > float64(test.carrier) {
				t.Errorf("%.1f a second in force, more than the carrier takes", rate)
			}
			news, ok := k.News(begin.Add(25 * time.Second))
			if !ok || news.Limit != float64(test.limit) || news.Rate >= news.Limit || !news.Pause.IsZero() {
				t.Errorf("news %+v, %v", news, ok)
			}
			if _, again := k.News(begin.Add(25 * time.Second)); again {
				t.Error("the same news twice")
			}
			// Refusals while more is tried cost little, and double the time until the next try.
			taken, refused = offered(k, c, begin.Add(25*time.Second), 10*time.Minute, 0)
			if refused*10 > taken {
				t.Errorf("%d refused of %d while more is tried now and then", refused, taken)
			}
			c.limit = test.limit
			offered(k, c, begin.Add(11*time.Minute), 15*time.Minute, 0)
			if s := k.Stats(begin.Add(26 * time.Minute)); s.Rate != s.Limit.Rate {
				t.Errorf("%.1f a second in force a quarter of an hour after the carrier takes more", s.Rate)
			}
			if news, ok := k.News(begin.Add(26 * time.Minute)); !ok || news.Rate != news.Limit {
				t.Errorf("news %+v, %v", news, ok)
			}
		})
	}
}

// The time a carrier asks for is kept, up to a minute.
func TestRetryAfterIsKept(t *testing.T) {
	for _, test := range []struct{ asked, kept time.Duration }{{5 * time.Second, 5 * time.Second}, {time.Hour, time.Minute}} {
		k := NewKey(Limit{Rate: 10})
		ticket, _ := k.Admit(begin)
		k.Sent(ticket, begin)
		k.Refused(begin, ticket, test.asked)
		if _, ok := k.Admit(begin.Add(test.kept - time.Millisecond)); ok {
			t.Errorf("asked for %v: admitted before", test.asked)
		}
		if at := k.Expected(begin, "a"); !at.Equal(begin.Add(test.kept)) {
			t.Errorf("asked for %v: expected after %v", test.asked, at.Sub(begin))
		}
		if news, ok := k.News(begin); !ok || !news.Pause.Equal(begin.Add(test.kept)) {
			t.Errorf("asked for %v: news %+v", test.asked, news)
		}
		if _, ok := k.Admit(begin.Add(test.kept)); !ok {
			t.Errorf("asked for %v: not admitted after it", test.asked)
		}
		if n := k.Stats(begin).Counts.Refused; n != 1 {
			t.Errorf("%d refusals are counted", n)
		}
	}
}

// A refusal that comes when its admission is long forgotten, or after the limit was changed, teaches nothing.
func TestLateRefusalsTeachNothing(t *testing.T) {
	k := NewKey(Limit{Rate: 2})
	first, _ := k.Admit(begin)
	for i := range 5 {
		k.Admit(begin.Add(time.Duration(i+1) * time.Second))
	}
	k.Refused(begin.Add(6*time.Second), first, 0)
	second, _ := k.Admit(begin.Add(7 * time.Second))
	k.Configure(Limit{Rate: 3})
	k.Refused(begin.Add(7*time.Second), second, 0)
	if s := k.Stats(begin.Add(8 * time.Second)); s.Rate != 3 || s.Counts.Refused != 2 {
		t.Errorf("%+v", s)
	}
}

// A call under way goes before its trunk's others, and finds room where they do not.
func TestUnderWayFirst(t *testing.T) {
	k := NewKey(Limit{Rate: 1, Queue: 2})
	k.Admit(begin)
	var order []string
	wait := func(name string, underWay bool) bool {
		return k.Wait(begin, "a", &Waiter{Deadline: begin.Add(time.Minute), UnderWay: underWay,
			Granted: func(Ticket) { order = append(order, name) }, Expired: func() {}})
	}
	if !wait("one", false) || !wait("two", false) || wait("three", false) {
		t.Fatal("the queue is not of two")
	}
	if !wait("first", true) || !wait("second", true) || wait("third", true) {
		t.Fatal("calls under way do not find as much room again")
	}
	for at, waiting := k.Next(); waiting; at, waiting = k.Next() {
		k.Serve(at)
	}
	if fmt.Sprint(order) != "[first second one two]" {
		t.Errorf("served %v", order)
	}
	if w := k.Stats(begin).Waits; w.Buckets[0] != 1 || w.Sum < 10*time.Second {
		t.Errorf("waits %+v", w)
	}
}
