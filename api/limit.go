package api

import (
	"container/list"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Limit is how many requests per second something may make.
type Limit struct {
	PerSecond float64 // 0: no limit
	Burst     int     // at once after a pause; 0: one second's worth, at least 1
}

// limiter keeps a bucket for each key or address, the most recently seen maxBuckets of them. Its methods may be called from
// any goroutine.
type limiter struct {
	limit Limit

	mu      sync.Mutex
	buckets map[string]*list.Element // of *bucket
	recent  *list.List               // most recently used first
}

type bucket struct {
	name   string
	tokens *rate.Limiter
}

// maxBuckets bounds the memory that strangers can make us use. A bucket that was forgotten starts full again.
const maxBuckets = 10_000

func newLimiter(l Limit) *limiter {
	if l.Burst == 0 {
		l.Burst = max(1, int(l.PerSecond))
	}
	return &limiter{limit: l, buckets: map[string]*list.Element{}, recent: list.New()}
}

// verdict is what a bucket says about one request.
type verdict struct {
	ok        bool
	limit     int           // requests per second, for x-ratelimit-limit
	remaining int           // requests that would be taken now
	wait      time.Duration // until the next one is taken; 0: now
}

// take counts one request of name.
func (l *limiter) take(name string, now time.Time) verdict {
	if l == nil || l.limit.PerSecond <= 0 {
		return verdict{ok: true}
	}
	tokens := l.bucket(name)
	ok := tokens.AllowN(now, 1)
	left := tokens.TokensAt(now)
	v := verdict{ok: ok, limit: max(1, int(l.limit.PerSecond)), remaining: max(0, int(left))}
	if left < 1 {
		v.wait = time.Duration((1 - left) / l.limit.PerSecond * float64(time.Second))
	}
	return v
}

func (l *limiter) bucket(name string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found, ok := l.buckets[name]; ok {
		l.recent.MoveToFront(found)
		return found.Value.(*bucket).tokens
	}
	if l.recent.Len() >= maxBuckets {
		oldest := l.recent.Back()
		delete(l.buckets, oldest.Value.(*bucket).name)
		l.recent.Remove(oldest)
	}
	b := &bucket{name: name, tokens: rate.NewLimiter(rate.Limit(l.limit.PerSecond), l.limit.Burst)}
	l.buckets[name] = l.recent.PushFront(b)
	return b.tokens
}

// show tells the client where it stands; reset is in seconds, as Retry-After is.
func (v verdict) show(h http.Header) {
	if v.limit == 0 {
		return
	}
	h.Set("X-RateLimit-Limit", strconv.Itoa(v.limit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(v.remaining))
	h.Set("X-RateLimit-Reset", strconv.Itoa(int((v.wait+time.Second-1)/time.Second)))
}

func tooMany(wait time.Duration) *fault {
	return &fault{Status: http.StatusTooManyRequests, Detail: "this key makes too many requests: wait as long as Retry-After says", Retry: max(wait, time.Second)}
}
