package loadgen

import (
	"fmt"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/exchange"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/loadgen/schedule"
	"github.com/sailplan-io/sailplan/scenarios"
)

// run is one phase on one worker. The worker owns it until it has sent the
// report with last set.
type run struct {
	worker   int
	arrivals *schedule.Arrivals // nil: closed loop
	mix      *schedule.Mix
	share    *schedule.Share
	free     chan *set   // sets that may be recorded into
	reports  chan report // has room for all sets of all workers

	start, sendEnd     int64 // nanoseconds since the base
	interval, boundary int64 // boundary is where the current interval ends
	precise            bool
	rests              bool // between batches

	mostSlack int64 // when arrivals are batched
	meanGap   int64 // between this worker's arrivals, of late
	nextAt    int64 // of the next arrival
	nextKind  int32
	hasNext   bool
	drawn     bool // of a closed loop: nextKind is the next
	backlog   backlog
	counts    record.Counts
	statuses  [1000]int64
	classes   classes
	backends  map[string]int64
	set       *set
	gaps      gaps
	limit     rateLimit
	peak      int64 // of in flight
	wakeUps   int64
	batches   int64   // times that sending something took
	writes    int64   // system calls that requests left in
	slackSum  float64 // of all arrivals, in nanoseconds
	runDelay  float64 // of the thread when the phase began, seconds

	slowest slowest // traces
	starved bool    // a row of the feed is not there yet
	ended   error   // why there are no more rows

	aborted bool
	drainBy int64 // when aborted
}

// report is what a worker tells Phase.
type report struct {
	worker int
	set    *set
	last   bool
	facts  *workerFacts // with last
	err    error        // the worker can't go on
}

// workerFacts are one worker's part of a phase's facts.
type workerFacts struct {
	sendEnd, end int64
	run          *run
	connections  record.Connections
	runDelay     float64
}

// newRun prepares a phase for one of several workers.
func newRun(plan scenarios.Plan, phase scenarios.Phase, worker, workers int) (*run, error) {
	r := &run{
		worker: worker, interval: int64(phase.Interval),
		precise: plan.Pacing == scenarios.Precise, backends: map[string]int64{},
	}
	if r.interval == 0 {
		r.interval = int64(time.Second)
	}
	r.mostSlack = mostSlack
	if most := int64(plan.MaxSlack); most > 0 {
		r.mostSlack = min(mostSlack, most)
	}
	if rps := plan.Guards.MaxRate.RPS(); rps > 0 {
		r.limit.gap = int64(1e9 * float64(workers) / rps)
	}
	if n := len(phase.Mix); n > 0 && n != len(plan.Requests) {
		return nil, fmt.Errorf("phase %q: its mix has %d weights for %d requests", phase.Name, n, len(plan.Requests))
	}
	var err error
	if r.mix, err = schedule.NewMix(weights(plan, phase), phase.Seed); err != nil {
		return nil, fmt.Errorf("phase %q: %w", phase.Name, err)
	}
	if phase.Process == scenarios.Closed {
		return r, nil
	}
	r.rests = !r.precise && r.mostSlack >= leastRest && mayRest(plan)
	if r.arrivals, err = schedule.New(phase); err != nil {
		return nil, err
	}
	r.share = schedule.NewShare(workers, phase.Process == scenarios.Poisson, phase.Seed)
	if rps := phase.Rate.RPS(); rps > 0 {
		r.meanGap = int64(1e9 * float64(workers) / rps)
	}
	bound := backlogBound(plan, phase)
	lists, of := flights(plan)
	r.backlog = newBacklog((bound+workers-1)/workers, lists, of)
	return r, nil
}

// begin sets when the phase starts.
func (r *run) begin(start, duration int64) {
	r.start, r.sendEnd = start, start+duration
	r.boundary = start + r.interval
	r.set = <-r.free
	r.set.start = time.Duration(start)
	r.advance()
}

// advance looks up the next arrival of this worker.
func (r *run) advance() {
	r.hasNext = false
	if r.arrivals == nil || r.ended != nil {
		return
	}
	for {
		offset, ok := r.arrivals.Next()
		if !ok {
			return
		}
		kind := r.mix.Next()
		if r.share.Next() == r.worker {
			at := r.start + int64(offset)
			if r.nextAt > 0 {
				r.meanGap += (at - r.nextAt - r.meanGap) / gapMemory
			}
			r.nextAt, r.nextKind, r.hasNext = at, kind, true
			return
		}
	}
}

// roll ends the interval if its time is over and hands its set over. When both
// sets are still with the sink the interval goes on.
func (r *run) roll(now int64, waiting, inFlight int64) {
	if now < r.boundary {
		return
	}
	end := r.boundary + (now-r.boundary)/r.interval*r.interval
	r.boundary = end + r.interval
	select {
	case next := <-r.free:
		r.handOver(end, waiting, inFlight, report{})
		r.set = next
		r.set.start = time.Duration(end)
	default:
	}
}

func (r *run) handOver(end, waiting, inFlight int64, rep report) {
	r.counts.Waiting, r.counts.InFlight = waiting, inFlight
	r.set.end, r.set.counts, r.set.classes = time.Duration(end), r.counts, r.classes
	rep.worker, rep.set = r.worker, r.set
	r.reports <- rep
	r.set = nil
}

// shed counts an arrival that will not be sent.
func (r *run) shed(class exchange.Class) {
	r.counts.Shed++
	r.classes[class]++
}

// answered counts a complete answer.
func (r *run) answered(status int32, class exchange.Class, backend string) {
	r.counts.Answered++
	if exchange.IsBad(int(status), class) {
		r.counts.Bad++
	}
	switch class {
	case exchange.Unauthorized, exchange.RBACDenied, exchange.GRPCUnauthenticated, exchange.GRPCPermissionDenied:
		r.counts.Denied++
	}
	if status > 0 && int(status) < len(r.statuses) {
		r.statuses[status]++
	}
	r.classes[class]++
	if backend == "" {
		return
	}
	if _, known := r.backends[backend]; known || len(r.backends) < maxBackends {
		r.backends[backend]++
	}
}

// gaps collects the moments of the gaps between successive sends.
type gaps struct {
	last, n      int64
	sum, squares float64 // seconds, seconds²
}

func (g *gaps) sent(at int64) {
	if g.last != 0 {
		gap := float64(at-g.last) / 1e9
		g.n++
		g.sum += gap
		g.squares += gap * gap
	}
	g.last = at
}
