package resolve

import (
	"container/list"
	"time"
)

// cache keeps answers, least recently used out first. Its owner guards it.
type cache struct {
	size    int
	entries map[question]*list.Element
	used    *list.List // of *entry, last used in front
}

type entry struct {
	question question
	records  records
	until    time.Time // when records run out; zero: there never was an answer
	failed   time.Time // resolvers are not asked again before this; zero: they answered last
}

// holds reports whether e has an answer, however old.
func (e *entry) holds() bool { return !e.until.IsZero() }

func newCache(size int) cache {
	return cache{size: size, entries: map[question]*list.Element{}, used: list.New()}
}

// get returns what is kept for q, or nil.
func (c *cache) get(q question) *entry {
	e, ok := c.entries[q]
	if !ok {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*entry)
}

// answered keeps an answer.
func (c *cache) answered(now time.Time, q question, r records) {
	e := c.entry(q)
	e.records, e.until, e.failed = r, now.Add(r.ttl), time.Time{}
}

// failed notes that no resolver answered. The last answer stays, however old: an edge whose resolvers are away must not lose its
// trunks (RFC 8767 would give it up after days).
func (c *cache) failed(now time.Time, q question) { c.entry(q).failed = now.Add(failureRest) }

// failureRest is how long a question is not asked again that no resolver has answered (RFC 8767 §5).
const failureRest = 10 * time.Second

// entry returns what is kept for q, made if need be.
func (c *cache) entry(q question) *entry {
	if e := c.get(q); e != nil {
		return e
	}
	for len(c.entries) >= c.size {
		oldest := c.used.Back()
		delete(c.entries, oldest.Value.(*entry).question)
		c.used.Remove(oldest)
	}
	e := &entry{question: q}
	c.entries[q] = c.used.PushFront(e)
	return e
}
