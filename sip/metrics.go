package sip

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"trunkline/sip/transport"
	"trunkline/sip/wire"
	"trunkline/trunks"
)

// Collector returns the edge's metrics. A scrape asks each shard for a copy of
// its counters, so counting itself needs neither lock nor atomic.
func (e *Edge) Collector() prometheus.Collector { return collector{e} }

type collector struct{ edge *Edge }

// scrapeWait bounds how long a scrape waits for a shard.
const scrapeWait = 2 * time.Second

var (
	trunkLabels = []string{"trunk", "direction"}

	attemptsDesc      = describe("call_attempts_total", "Calls that were admitted and routed, once for each trunk tried.", trunkLabels...)
	resultsDesc       = describe("call_results_total", "Calls that have ended, by outcome; a trunk that a call left for another counts what came of it.", "trunk", "direction", "outcome")
	finalsDesc        = describe("call_final_responses_total", "Final responses given to callers.", "trunk", "direction", "code")
	callsDesc         = describe("calls", "Calls in progress.", "trunk", "direction", "state")
	limitDesc         = describe("calls_limit", "max_calls of the trunk.", "trunk")
	postDialDesc      = describe("call_post_dial_delay_seconds", "INVITE to the first 18x.", trunkLabels...)
	answerDesc        = describe("call_answer_delay_seconds", "INVITE to the 200.", trunkLabels...)
	failureDesc       = describe("call_failure_delay_seconds", "INVITE to the final response of calls that were not answered.", trunkLabels...)
	durationDesc      = describe("call_duration_seconds", "Answer to end.", trunkLabels...)
	mosDesc           = describe("rtp_mos", "Estimated listening quality of what the trunk sent, as it arrived here, of each ended call (ITU-T G.107).", trunkLabels...)
	lossDesc          = describe("rtp_loss_ratio", "Share of the trunk's RTP packets that did not arrive, of each ended call.", trunkLabels...)
	jitterDesc        = describe("rtp_jitter_seconds", "Interarrival jitter of the trunk's RTP at the end of each call.", trunkLabels...)
	roundTripDesc     = describe("rtp_round_trip_seconds", "Time to the trunk's media and back by RTCP, of each ended call whose trunk sent reports.", trunkLabels...)
	disconnectDesc    = describe("call_disconnect_delay_seconds", "Our BYE to its final response (RFC 6076 §4.4).", trunkLabels...)
	mediaTimeoutsDesc = describe("calls_media_timeout_total", "Calls ended because neither party had sent RTP for media.timeout or media.early_timeout.", trunkLabels...)
	noMediaDesc       = describe("calls_without_media_total", "Answered calls in which one party or both sent no RTP.", trunkLabels...)
	rejectionsDesc    = describe("call_rejections_total", "Requests that the edge itself refused.", "reason")

	requestsDesc     = describe("sip_requests_total", "SIP requests.", "direction", "method", "transport")
	responsesDesc    = describe("sip_responses_total", "SIP responses by class of status.", "direction", "method", "code", "transport")
	repeatsDesc      = describe("sip_retransmissions_total", "Messages sent again, and copies received.", "direction", "kind")
	parseErrorsDesc  = describe("sip_parse_errors_total", "Messages that the border refused.", "cause")
	transactionsDesc = describe("sip_transactions", "Transactions that are not over.", "kind")
	lingerDesc       = describe("sip_transaction_memory_bytes", "Bytes kept of finished transactions, to answer copies.")
	panicsDesc       = describe("sip_panics_total", "Calls that were ended by a bug.")
	orphansDesc      = describe("sip_late_answers_total", "2xx that came when their call was over; they were ACKed and ended.")
	restingDesc      = describe("sip_servers_resting", "Servers tried only after others, because they failed lately or asked for time.")
	digitsDesc       = describe("dtmf_digits_total", "Digits between SIP INFO and telephone-event (RFC 4733), where media.dtmf of one side is info.", "direction", "outcome")
	tollUsedDesc     = describe("toll_used_seconds", "Answered time of outbound calls today, of agents and organizations with a toll, calls in progress included.", "payer", "name")
	tollLimitDesc    = describe("toll_limit_seconds", "minutes_per_day of the toll.", "payer", "name")
	tollRefusalsDesc = describe("toll_refusals_total", "Calls that the toll did not allow.", "payer", "name")
	sourceRateDesc   = describe("source_rate_refusals_total", "Requests that one address of a trunk or agent sent above its source_rate.", "party", "name")
	waitedDesc       = describe("sip_invite_wait_seconds", "How long new INVITEs had waited to be received, of a hundred in a second at most; limits.overload_delay bounds it.")
	behindDesc       = describe("sip_shards_overloaded", "Shards that refuse new calls because they have too much to do.")
	drainingDesc     = describe("draining", "1 while new calls are refused because the process is about to stop.")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("trunkline_"+name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{attemptsDesc, resultsDesc, finalsDesc, callsDesc, limitDesc, postDialDesc, answerDesc,
		failureDesc, durationDesc, disconnectDesc, noMediaDesc, mediaTimeoutsDesc, mosDesc, lossDesc, jitterDesc, roundTripDesc, rejectionsDesc, requestsDesc, responsesDesc, repeatsDesc, parseErrorsDesc,
		transactionsDesc, lingerDesc, panicsDesc, orphansDesc, digitsDesc, restingDesc, tollUsedDesc, tollLimitDesc, tollRefusalsDesc, sourceRateDesc, waitedDesc, behindDesc, drainingDesc} {
		out <- d
	}
}

// outcomes is the closed set of package call, to begin every series at zero.
var outcomes = []string{"answered", "busy", "no_answer", "cancelled", "rejected", "redirected", "carrier_error", "timeout", "throttled", "local_error"}

// Collect implements prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	sum := newTotals(c.edge.Trunks())
	for _, s := range c.edge.shards {
		if s.do(ctx, func(time.Time) { sum.add(s) }) != nil {
			return // a shard that does not answer makes the scrape incomplete; rather none than half
		}
	}
	sum.emit(out)
	out <- prometheus.MustNewConstMetric(restingDesc, prometheus.GaugeValue, float64(c.edge.rests.Count(time.Now())))
	out <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, float64(c.edge.behind.Load()))
	draining := 0.0
	if c.edge.Draining() {
		draining = 1
	}
	out <- prometheus.MustNewConstMetric(drainingDesc, prometheus.GaugeValue, draining)
	emitGuards(out, c.edge.Trunks(), time.Now())
	for _, t := range c.edge.Trunks().Trunks {
		if t.MaxCalls != nil {
			out <- prometheus.MustNewConstMetric(limitDesc, prometheus.GaugeValue, float64(*t.MaxCalls), t.Name)
		}
	}
}

// emitGuards tells of tolls and of floods. An agent that has sent none has no series: organizations may have thousands.
func emitGuards(out chan<- prometheus.Metric, s *trunks.Snapshot, now time.Time) {
	for _, t := range s.Tolls(now) {
		payer := "agent"
		if t.Organization {
			payer = "organization"
		}
		out <- prometheus.MustNewConstMetric(tollRefusalsDesc, prometheus.CounterValue, float64(t.Refused), payer, t.Name)
		if t.Limit > 0 {
			out <- prometheus.MustNewConstMetric(tollUsedDesc, prometheus.GaugeValue, t.Used.Seconds(), payer, t.Name)
			out <- prometheus.MustNewConstMetric(tollLimitDesc, prometheus.GaugeValue, t.Limit.Seconds(), payer, t.Name)
		}
	}
	for _, t := range s.Trunks {
		refused, _ := trunks.Principal{Trunk: t}.Floods()
		out <- prometheus.MustNewConstMetric(sourceRateDesc, prometheus.CounterValue, float64(refused), "trunk", t.Name)
	}
	for _, a := range s.Agents {
		if refused, _ := (trunks.Principal{Agent: a}).Floods(); refused > 0 {
			out <- prometheus.MustNewConstMetric(sourceRateDesc, prometheus.CounterValue, float64(refused), "agent", a.Name)
		}
	}
}

// Dropped tells how many messages the shards dropped, by reason, for
// transport.Register. It may be called concurrently.
func (e *Edge) Dropped(add func(reason string, total uint64)) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeWait)
	defer cancel()
	var sum [drops]uint64
	for _, s := range e.shards {
		err := s.do(ctx, func(time.Time) {
			for i, n := range s.count.dropped {
				sum[i] += n
			}
		})
		if err != nil {
			return
		}
	}
	for i, n := range sum {
		add(dropNames[i], n)
	}
}

// totals is the sum over the shards.
type totals struct {
	counters
	repeats      map[[2]string]uint64
	transactions map[string]int
	linger       int
}

// newTotals begins every series of the configured trunks at zero, so that rate()
// sees the first event.
func newTotals(s *trunks.Snapshot) *totals {
	t := &totals{repeats: map[[2]string]uint64{}, transactions: map[string]int{}}
	for _, trunk := range s.Trunks {
		t.of(trunk.Name, trunks.InboundCall)
		t.of(trunk.Name, trunks.OutboundCall)
	}
	t.waited = newHistogram(waitBounds)
	t.parseErrors, t.rejected = map[string]uint64{}, map[string]uint64{}
	for _, cause := range wire.Causes() {
		t.parseErrors[cause] = 0
	}
	for reason := range trunks.Reasons {
		t.rejected[reason.String()] = 0
	}
	return t
}

// add runs on the shard.
func (t *totals) add(s *shard) {
	c := &s.count
	for way := range c.requests {
		for m := range c.requests[way] {
			for p, n := range c.requests[way][m] {
				t.requests[way][m][p] += n
			}
			for code := range c.responses[way][m] {
				for p, n := range c.responses[way][m][code] {
					t.responses[way][m][code][p] += n
				}
			}
		}
	}
	for cause, n := range c.parseErrors {
		t.parseErrors[cause] += n
	}
	for cause, n := range c.rejected {
		t.rejected[cause] += n
	}
	t.panics += c.panics
	t.orphans += c.orphans
	t.waited.merge(&c.waited)
	for way := range c.digits {
		for outcome, n := range c.digits[way] {
			t.digits[way][outcome] += n
		}
	}
	for key, k := range c.calls {
		t.of(key.trunk, key.direction).add(k)
	}
	stats := s.layer.Stats()
	t.repeats[[2]string{"tx", "request"}] += stats.RequestRepeats[0] + stats.RequestRepeats[1]
	t.repeats[[2]string{"tx", "response"}] += stats.ResponseRepeats[0] + stats.ResponseRepeats[1]
	t.repeats[[2]string{"rx", "request"}] += stats.RequestCopies[0] + stats.RequestCopies[1]
	t.repeats[[2]string{"rx", "response"}] += stats.ResponseCopies[0] + stats.ResponseCopies[1]
	t.transactions["client"] += stats.Clients
	t.transactions["server"] += stats.Servers
	t.linger += stats.LingerBytes
}

func (k *callCounts) add(o *callCounts) {
	k.attempts += o.attempts
	k.setup += o.setup
	k.answered += o.answered
	k.noMedia += o.noMedia
	k.mediaTimeouts += o.mediaTimeouts
	for outcome, n := range o.results {
		k.results[outcome] += n
	}
	for code, n := range o.finals {
		k.finals[code] += n
	}
	for _, pair := range [...][2]*histogram{{&k.postDial, &o.postDial}, {&k.answer, &o.answer}, {&k.failure, &o.failure}, {&k.duration, &o.duration}, {&k.disconnect, &o.disconnect},
		{&k.mos, &o.mos}, {&k.loss, &o.loss}, {&k.jitter, &o.jitter}, {&k.roundTrip, &o.roundTrip}} {
		pair[0].merge(pair[1])
	}
}

func (t *totals) emit(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
	}
	for key, k := range t.calls {
		trunk, direction := key.trunk, key.direction.String()
		counter(attemptsDesc, k.attempts, trunk, direction)
		for _, outcome := range outcomes {
			counter(resultsDesc, k.results[outcome], trunk, direction, outcome)
		}
		for code, n := range k.finals {
			counter(finalsDesc, n, trunk, direction, strconv.Itoa(code))
		}
		gauge(callsDesc, k.setup, trunk, direction, "setup")
		gauge(callsDesc, k.answered, trunk, direction, "answered")
		counter(noMediaDesc, k.noMedia, trunk, direction)
		counter(mediaTimeoutsDesc, k.mediaTimeouts, trunk, direction)
		k.postDial.emit(out, postDialDesc, trunk, direction)
		k.answer.emit(out, answerDesc, trunk, direction)
		k.failure.emit(out, failureDesc, trunk, direction)
		k.duration.emit(out, durationDesc, trunk, direction)
		k.disconnect.emit(out, disconnectDesc, trunk, direction)
		k.mos.emit(out, mosDesc, trunk, direction)
		k.loss.emit(out, lossDesc, trunk, direction)
		k.jitter.emit(out, jitterDesc, trunk, direction)
		k.roundTrip.emit(out, roundTripDesc, trunk, direction)
	}
	for reason, n := range t.rejected {
		counter(rejectionsDesc, n, reason)
	}
	for cause, n := range t.parseErrors {
		counter(parseErrorsDesc, n, cause)
	}
	for key, n := range t.repeats {
		counter(repeatsDesc, n, key[0], key[1])
	}
	for kind, n := range t.transactions {
		gauge(transactionsDesc, int64(n), kind)
	}
	gauge(lingerDesc, int64(t.linger))
	counter(panicsDesc, t.panics)
	counter(orphansDesc, t.orphans)
	t.waited.emit(out, waitedDesc)
	for way := range t.digits {
		for outcome, n := range t.digits[way] {
			counter(digitsDesc, n, digitWayNames[way], digitOutcomeNames[outcome])
		}
	}
	t.emitMessages(out)
}

var wayNames = [2]string{"rx", "tx"}

func (t *totals) emitMessages(out chan<- prometheus.Metric) {
	for way := range t.requests {
		for m := range t.requests[way] {
			method := wire.Method(m).String()
			if m == int(wire.Unknown) {
				method = "other"
			}
			for p := 1; p < transports; p++ {
				proto := protoLabels[p]
				if n := t.requests[way][m][p]; n > 0 {
					out <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), wayNames[way], method, proto)
				}
				for code := 1; code < codes; code++ {
					if n := t.responses[way][m][code][p]; n > 0 {
						out <- prometheus.MustNewConstMetric(responsesDesc, prometheus.CounterValue, float64(n),
							wayNames[way], method, strconv.Itoa(code)+"xx", proto)
					}
				}
			}
		}
	}
}

var protoLabels = [transports]string{transport.UDP: "udp", transport.TCP: "tcp", transport.TLS: "tls"}

func (h *histogram) emit(out chan<- prometheus.Metric, d *prometheus.Desc, labels ...string) {
	buckets := make(map[float64]uint64, len(h.bounds))
	count := uint64(0)
	for i, bound := range h.bounds {
		count += h.buckets[i]
		buckets[bound] = count
	}
	count += h.buckets[len(h.bounds)]
	out <- prometheus.MustNewConstHistogram(d, count, h.sum, buckets, labels...)
}
