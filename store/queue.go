package store

import (
	"sync"

	"trunkline/trunks"
)

const (
	chunkSize  = 128 // records; a batch at 1000 calls per second
	keptChunks = 64
)

// chunk is a piece of the queue. Pieces instead of one slice keep put from ever copying what waits already.
type chunk struct {
	records [chunkSize]trunks.CallRecord
	n       int
}

// queue holds records that wait for the disk. put may be called from any goroutine, the rest from the writer's.
type queue struct {
	limit int

	mu    sync.Mutex
	full  []*chunk
	open  *chunk   // nil, or with room
	spare []*chunk // empty, for reuse
	count int      // records put and not yet done
}

// put appends r and reports false when the queue is full.
func (q *queue) put(r *trunks.CallRecord) bool {
	q.mu.Lock()
	if q.count >= q.limit {
		q.mu.Unlock()
		return false
	}
	c := q.open
	if c == nil {
		c = q.fresh()
		q.open = c
	}
	c.records[c.n] = *r
	c.n++
	q.count++
	if c.n == chunkSize {
		q.full, q.open = append(q.full, c), nil
	}
	q.mu.Unlock()
	return true
}

func (q *queue) fresh() *chunk {
	if n := len(q.spare); n > 0 {
		c := q.spare[n-1]
		q.spare = q.spare[:n-1]
		return c
	}
	return new(chunk)
}

// take appends everything that waits to chunks. The records count as waiting until done.
func (q *queue) take(chunks []*chunk) []*chunk {
	q.mu.Lock()
	defer q.mu.Unlock()
	chunks = append(chunks, q.full...)
	clear(q.full)
	q.full = q.full[:0]
	if q.open != nil && q.open.n > 0 {
		chunks, q.open = append(chunks, q.open), nil
	}
	return chunks
}

// done gives chunks back whose records need no more place.
func (q *queue) done(chunks []*chunk) {
	records := 0
	for _, c := range chunks {
		records += c.n
		clear(c.records[:c.n]) // let go of the strings
		c.n = 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.count -= records
	q.spare = append(q.spare, chunks[:min(len(chunks), keptChunks-min(len(q.spare), keptChunks))]...)
}

// shut makes every later put fail.
func (q *queue) shut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.limit = 0
}

// waiting is the number of records put and not yet done.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}
