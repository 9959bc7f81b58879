package record

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/sailplan-io/sailplan/scenarios"
)

// maxIntervals bounds the intervals of a phase in the files.
const maxIntervals = 3600

// IntervalFor returns how long the intervals of a phase are in the files: one
// second up to an hour, and beyond that the whole seconds that make at most
// 3 600 intervals.
func IntervalFor(duration time.Duration) time.Duration {
	const step = maxIntervals * time.Second
	return max(1, (duration+step-1)/step) * time.Second
}

// PhaseWriter takes one phase's intervals and gathers its data. Its memory is
// gone when the phase has ended.
type PhaseWriter struct {
	w     *Writer
	index int
	spec  scenarios.Phase
	begun time.Duration
	// samplesFrom is the offset in the file of samples from which on they lie.
	samplesFrom int64
	every       time.Duration // intervals are gathered up to this length; 0: as they come
	// sampled is the last sample of each series that was recorded; guarded by Writer.mu.
	sampled map[seriesKey]time.Duration

	mu       sync.Mutex // guards all below; taken before Writer.mu
	data     PhaseData
	byName   map[string]int // of data.ByRequest
	gathered *gathered      // of the interval in the files that is not complete yet
	live     Tick           // the last one handed to OnTick
	written  Tick           // the last one in the timeline
	scratch  gathered       // of take
	encoder  encoder
	ended    bool
}

// gathered is an interval that several ones of the generator go into.
type gathered struct {
	start, end time.Duration
	counts     Counts
	errors     map[string]int64
	latency    *hdrhistogram.Histogram // of all requests, for the tick
	sendLag    *hdrhistogram.Histogram
	requests   []RequestHistograms
}

func newPhaseWriter(w *Writer, index int, spec scenarios.Phase, now time.Duration) *PhaseWriter {
	p := &PhaseWriter{
		w: w, index: index, spec: spec, begun: now,
		data:    newPhaseData(Phase{Index: index, Spec: spec, Start: now}),
		byName:  map[string]int{},
		live:    Tick{Start: now, At: now},
		scratch: gathered{latency: NewHistogram(), sendLag: NewHistogram()},
		// The caller holds the writer's lock.
		samplesFrom: w.firstPlaceLocked(),
	}
	if every := IntervalFor(spec.Duration); every > time.Second {
		p.every = every
	}
	return p
}

func newPhaseData(facts Phase) PhaseData {
	return PhaseData{Phase: facts, Latency: NewHistogram(), Service: NewHistogram(), SendLag: NewHistogram()}
}

func newRequestHistograms(name string) RequestHistograms {
	return RequestHistograms{Request: name, Latency: NewHistogram(), Service: NewHistogram(), SendLag: NewHistogram()}
}

// place returns where the histogram of one quantity is.
func (r *RequestHistograms) place(q quantity) **hdrhistogram.Histogram {
	switch q {
	case quantityLatency:
		return &r.Latency
	case quantityService:
		return &r.Service
	default:
		return &r.SendLag
	}
}

// of returns the histogram of one quantity.
func (r RequestHistograms) of(q quantity) *hdrhistogram.Histogram { return *r.place(q) }

func (d *PhaseData) of(q quantity) *hdrhistogram.Histogram {
	return RequestHistograms{Latency: d.Latency, Service: d.Service, SendLag: d.SendLag}.of(q)
}

// count returns where Recorded counts the values of one quantity.
func (r *Recorded) count(q quantity) *int64 {
	switch q {
	case quantityLatency:
		return &r.Latency
	case quantityService:
		return &r.Service
	default:
		return &r.SendLag
	}
}

// thins reports whether a sample is left out because others of the same series
// stand close enough to it. As the intervals, samples are one each second up to an
// hour, and so far apart in a longer phase that they stay as many; but all of the
// first and of the last intervals, which counters are differenced between, stay.
// The caller holds the writer's lock.
func (p *PhaseWriter) thins(sample Sample) bool {
	if p.every == 0 {
		return false
	}
	if p.sampled == nil {
		p.sampled = map[seriesKey]time.Duration{}
	}
	// Half a second is for sources that do not answer on the dot.
	near := p.every - time.Second/2
	thin := sample.At > p.begun+2*p.every && sample.At < p.begun+p.spec.Duration-2*p.every
	for metric := range sample.Metrics {
		last, known := p.sampled[seriesKey{sample.Component, sample.Replica, metric}]
		thin = thin && known && sample.At-last < near
	}
	if !thin {
		for metric := range sample.Metrics {
			p.sampled[seriesKey{sample.Component, sample.Replica, metric}] = sample.At
		}
	}
	return thin
}

// Index returns the phase's number, from 0.
func (p *PhaseWriter) Index() int { return p.index }

// Interval takes one interval. It encodes what is needed and returns; the
// histograms are the caller's again. Intervals come in order, from one goroutine,
// and before End.
func (p *PhaseWriter) Interval(interval Interval) {
	tick, taken := p.take(interval)
	if !taken {
		return
	}
	p.w.mu.Lock()
	onTick := p.w.onTick
	p.w.mu.Unlock()
	if onTick != nil {
		onTick(tick)
	}
}

func (p *PhaseWriter) take(interval Interval) (tick Tick, taken bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return Tick{}, false
	}
	whole := p.look(interval)
	tick = p.tick(whole, p.live)
	p.live = tick
	if p.gathered != nil {
		p.gathered.add(whole)
		whole = p.gathered
	}
	if p.every > 0 && whole.end-whole.start < p.every {
		if p.gathered == nil {
			p.gathered = whole.clone()
		}
		return tick, true
	}
	p.gathered = nil
	p.write(whole)
	return tick, true
}

// tick describes an interval that follows the previous tick.
func (p *PhaseWriter) tick(g *gathered, previous Tick) Tick {
	tick := Tick{
		Phase: p.index, Start: g.start, At: g.end, Counts: g.counts,
		Answered: g.counts.Answered - previous.Counts.Answered, Errors: g.errors,
	}
	if g.latency.TotalCount() > 0 {
		quantiles := g.latency.ValueAtPercentilesSlice([]float64{50, 99, 99.9})
		tick.Mean = time.Duration(g.latency.Mean())
		tick.P50, tick.P99, tick.P999 = time.Duration(quantiles[0]), time.Duration(quantiles[1]), time.Duration(quantiles[2])
		tick.Max = time.Duration(g.latency.Max())
	}
	tick.LagP99 = time.Duration(g.sendLag.ValueAtPercentile(99))
	return tick
}

// write adds an interval to the phase's data and to the files.
func (p *PhaseWriter) write(g *gathered) {
	tick := p.tick(g, p.written)
	p.written = tick
	var lines []byte
	var failure error
	for _, request := range g.requests {
		at, known := p.byName[request.Request]
		if !known {
			at = len(p.data.ByRequest)
			p.byName[request.Request] = at
			p.data.ByRequest = append(p.data.ByRequest, RequestHistograms{
				Request: request.Request, Latency: NewGrowing(), Service: NewGrowing(), SendLag: NewGrowing(),
			})
		}
		for q := range quantities {
			values, dropped := newSparse(request.of(q))
			p.data.Recorded.OutOfRange += dropped
			if len(values.index) == 0 {
				continue
			}
			own := p.data.ByRequest[at].place(q)
			Grow(own, min(values.max(), highestValue))
			values.addTo(*own)
			values.addTo(p.data.of(q))
			*p.data.Recorded.count(q) += values.total()
			var err error
			lines, err = appendHlogLine(lines, &p.encoder, hlogLine{
				tag: tag{p.index, request.Request, q}, start: g.start, end: g.end, values: values,
			})
			if err != nil {
				failure = err
			}
		}
	}
	p.data.Recorded.Intervals++
	p.data.Timeline = append(p.data.Timeline, tick)
	latencies, _ := newSparse(g.latency)
	latencies = latencies.ofInterval(p.spec.Duration, sparse{})
	p.data.Seconds = append(p.data.Seconds, SecondLatency{
		Start: g.start, End: g.end, Values: latencies.values(), Counts: latencies.counts,
	})
	row, err := json.Marshal(tick)
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	if len(lines) > 0 || failure != nil {
		p.w.appendLocked(p.w.latency, trimBreak(lines), failure)
	}
	p.w.appendLocked(p.w.timeline, row, err)
}

// trimBreak takes away the last line break, which appendLocked adds.
func trimBreak(lines []byte) []byte {
	return lines[:max(0, len(lines)-1)]
}

// End ends the phase with its facts and returns the phase's data as far as it is
// known now: a sample taken after the facts' End is there only if it has
// arrived, so wait for one before calling End if counters are to be differenced
// up to it. Index, Spec and Recorded of the facts are filled in.
func (p *PhaseWriter) End(facts Phase) (PhaseData, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return PhaseData{}, fmt.Errorf("phase %d (%s) has ended already", p.index, p.spec.Name)
	}
	p.ended = true
	if p.gathered != nil {
		p.write(p.gathered)
		p.gathered = nil
	}
	facts.Index, facts.Spec, facts.Recorded = p.index, p.spec, p.data.Recorded
	data := p.data
	data.Phase = facts
	p.data, p.scratch, p.byName = PhaseData{}, gathered{}, nil

	p.w.flush()
	samples, err := p.w.samplesFrom(p.samplesFrom)
	if err != nil {
		p.w.fail(err)
	}
	p.w.mu.Lock()
	if p.w.phase != p {
		p.w.mu.Unlock()
		return data, errClosed
	}
	// What belongs to the phase is copied: the others' memory goes.
	data.Samples = p.w.spacing.within(samples, facts.Start, facts.End)
	p.w.eventLocked(Event{
		At: facts.End, Kind: EventPhaseEnd, Phase: p.index, Subject: p.spec.Name, Message: ending(facts),
	})
	p.w.phase = nil
	p.w.run.Phases = append(p.w.run.Phases[:p.index:p.index], facts)
	p.w.mu.Unlock()

	// The series first: a phase that stands in run.json is complete.
	p.w.flush()
	return data, p.w.saveRun()
}

func ending(facts Phase) string {
	how := facts.Ended
	if how == "" {
		how = EndedDone
	}
	message := fmt.Sprintf("%s: %d answered, %d errors", how, facts.Counts.Answered, facts.Counts.Errors())
	if facts.EndedWhy != "" {
		message += ": " + facts.EndedWhy
	}
	return message
}

// look sums up an interval. What it returns is valid until the next call; the
// requests' histograms stay the interval's.
func (p *PhaseWriter) look(interval Interval) *gathered {
	g := &p.scratch
	g.start, g.end, g.counts, g.requests = interval.Start, interval.End, interval.Counts, interval.ByRequest
	g.errors = interval.Errors
	g.latency.Reset()
	g.sendLag.Reset()
	for _, request := range interval.ByRequest {
		mergeInto(g.latency, request.Latency)
		mergeInto(g.sendLag, request.SendLag)
	}
	return g
}

func mergeInto(to, from *hdrhistogram.Histogram) {
	if from != nil {
		to.Merge(from)
	}
}

// clone makes all histograms the interval's own.
func (g *gathered) clone() *gathered {
	own := *g
	own.latency, own.sendLag = g.latency.Clone(), g.sendLag.Clone()
	own.requests = make([]RequestHistograms, 0, len(g.requests))
	for _, request := range g.requests {
		own.requests = append(own.requests, newRequestHistograms(request.Request))
		for q := range quantities {
			mergeInto(own.requests[len(own.requests)-1].of(q), request.of(q))
		}
	}
	return &own
}

// add merges the interval that follows.
func (g *gathered) add(next *gathered) {
	g.end, g.counts, g.errors = next.end, next.counts, next.errors
	g.latency.Merge(next.latency)
	g.sendLag.Merge(next.sendLag)
	for _, request := range next.requests {
		at := -1
		for i := range g.requests {
			if g.requests[i].Request == request.Request {
				at = i
			}
		}
		if at < 0 {
			at = len(g.requests)
			g.requests = append(g.requests, newRequestHistograms(request.Request))
		}
		for q := range quantities {
			mergeInto(g.requests[at].of(q), request.of(q))
		}
	}
}
