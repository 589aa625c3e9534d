package sip

import (
	"time"

	"trunkline/media"
	"trunkline/sip/call"
	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// counters are a shard's own: plain numbers that only its goroutine writes. A
// scrape posts a copy job to the shard (metrics.go), so nothing here is atomic.
type counters struct {
	requests    [2][methods][transports]uint64
	responses   [2][methods][codes][transports]uint64
	parseErrors map[string]uint64 // by wire.Error.Cause, a closed set
	dropped     [drops]uint64
	rejected    map[string]uint64 // by trunks.Reason and the causes of package admit
	calls       map[callKey]*callCounts
	panics      uint64
	orphans     uint64 // 2xx of calls that were over, ACKed and ended
	ignored     uint64 // events without a place in their call's state
	digits      [digitWays][digitOutcomes]uint64
	waited      histogram
}

const (
	received = 0
	sent     = 1

	methods    = int(wire.PUBLISH) + 1
	transports = int(transport.TLS) + 1
	codes      = 7 // by class: 1xx … 6xx in 1 … 6
)

// drop is a reason for which a packet has no effect at all.
type drop uint8

const (
	dropNotSIP drop = iota // not SIP, or beyond answering
	dropStray              // a response that matches no transaction of ours
	dropAck                // an ACK that matches nothing
	dropRSeq               // a reliable provisional response that is a copy or came before its turn
	dropStale              // the copy of an INVITE that was refused for overload, itself late
	dropUnsent             // the socket would not take what we wanted to send
	drops
)

var dropNames = [drops]string{"not_sip", "stray_response", "stray_ack", "rseq", "stale_copy", "unsent"}

func (c *counters) drop(d drop) { c.dropped[d]++ }

func (c *counters) request(way int, m wire.Method, p transport.Proto) { c.requests[way][m][p]++ }

func (c *counters) response(way int, m wire.Method, status int, p transport.Proto) {
	c.responses[way][m][min(max(status/100, 1), codes-1)][p]++
}

func (c *counters) parseError(cause string) {
	if c.parseErrors == nil {
		c.parseErrors = map[string]uint64{}
	}
	c.parseErrors[cause]++
}

func (c *counters) reject(cause string) {
	if c.rejected == nil {
		c.rejected = map[string]uint64{}
	}
	c.rejected[cause]++
}

// callKey is one series of the call metrics.
type callKey struct {
	trunk     string
	direction trunks.Direction
}

// callCounts are the call metrics of one trunk and direction.
type callCounts struct {
	attempts uint64
	results  map[string]uint64 // by outcome
	finals   map[int]uint64    // by SIP code of the callee's final response
	setup    int64             // calls not yet answered
	answered int64             // calls answered and not ended
	postDial histogram
	answer   histogram
	failure  histogram
	duration histogram
	noMedia  uint64

	disconnect histogram

	mediaTimeouts uint64
	mos           histogram
	loss          histogram
	jitter        histogram
	roundTrip     histogram
}

func (c *counters) of(trunk string, d trunks.Direction) *callCounts {
	key := callKey{trunk, d}
	found := c.calls[key]
	if found == nil {
		if c.calls == nil {
			c.calls = map[callKey]*callCounts{}
		}
		found = &callCounts{
			results:  map[string]uint64{},
			finals:   map[int]uint64{},
			postDial: newHistogram(postDialBounds),
			answer:   newHistogram(answerBounds),
			failure:  newHistogram(postDialBounds),
			duration: newHistogram(durationBounds),

			disconnect: newHistogram(disconnectBounds),

			mos:       newHistogram(mosBounds),
			loss:      newHistogram(lossBounds),
			jitter:    newHistogram(jitterBounds),
			roundTrip: newHistogram(roundTripBounds),
		}
		c.calls[key] = found
	}
	return found
}

// Upper bounds in seconds.
var (
	waitBounds      = []float64{.001, .002, .005, .01, .02, .05, .1, .2, .5, 1}
	postDialBounds  = []float64{.1, .25, .5, 1, 2, 3, 4, 6, 8, 12, 20, 30}
	answerBounds    = []float64{1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 120}
	jitterBounds    = []float64{.001, .002, .005, .01, .02, .03, .05, .1, .2}
	roundTripBounds = []float64{.01, .025, .05, .1, .15, .2, .3, .5, 1}
	// A round trip, and the repetitions of a BYE (RFC 3261 §17.1.2.1).
	disconnectBounds = []float64{.01, .025, .05, .1, .25, .5, 1, 2, 4, 8, 16, 32}
	durationBounds   = []float64{1, 6, 15, 30, 60, 180, 600, 1800, 3600, 7200}
)

// Upper bounds without a unit: a share, and a score.
var (
	lossBounds = []float64{0, .001, .005, .01, .02, .03, .05, .1, .2, .5}
	mosBounds  = []float64{1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.2, 4.4}
)

// histogram counts observations below each bound; written by one goroutine.
type histogram struct {
	bounds  []float64
	buckets []uint64 // one more than bounds
	sum     float64
}

func newHistogram(bounds []float64) histogram {
	return histogram{bounds: bounds, buckets: make([]uint64, len(bounds)+1)}
}

func (h *histogram) observe(d time.Duration) { h.add(d.Seconds()) }

func (h *histogram) add(value float64) {
	i := 0
	for i < len(h.bounds) && value > h.bounds[i] {
		i++
	}
	h.buckets[i]++
	h.sum += value
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.sum += o.sum
}

// countIn moves the call to one of its trunk's gauges.
func (c *session) countIn(gauge *int64) {
	c.uncount()
	c.gauge = gauge
	*gauge++
}

func (c *session) uncount() {
	if c.gauge != nil {
		*c.gauge--
		c.gauge = nil
	}
}

// countEnd adds an ended call to the counters of its trunk.
func (c *session) countEnd(r *call.Record) {
	c.uncount()
	k := c.counts
	c.counts = nil
	if k == nil {
		return
	}
	k.results[r.Outcome.String()]++
	if r.Code != 0 {
		k.finals[int(r.Code)]++
	}
	if !r.Ringing.IsZero() {
		k.postDial.observe(r.Ringing.Sub(r.Start))
	}
	if r.Answer.IsZero() {
		k.failure.observe(r.End.Sub(r.Start))
		return
	}
	k.answer.observe(r.Answer.Sub(r.Start))
	k.duration.observe(r.Duration())
	if c.hadMedia() && (mediaStats(c.stats, media.Caller).Packets == 0 || mediaStats(c.stats, media.Callee).Packets == 0) {
		k.noMedia++
	}
	c.observeQuality(k)
}

// observeQuality adds what the trunk sent in an ended call, if it sent anything.
func (c *session) observeQuality(k *callCounts) {
	from := media.Callee
	if c.direction == trunks.InboundCall {
		from = media.Caller
	}
	m := mediaStats(c.stats, from)
	if m.MOS == 0 {
		return
	}
	k.mos.add(m.MOS)
	k.loss.add(float64(m.Lost) / float64(m.Lost+m.Packets))
	k.jitter.observe(m.Jitter)
	if m.RoundTrip > 0 {
		k.roundTrip.observe(m.RoundTrip)
	}
}

func (c *session) hadMedia() bool { return len(c.stats.Streams) > 0 }
