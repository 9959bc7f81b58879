package experiment

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Size runs a whole sizing and leaves a run directory. The error is nil when the
// run came to its own end, whatever its answer; the Ending tells the rest.
func Size(ctx context.Context, options Options) (record.Ending, error) {
	pace := models.FullPace()
	if options.Quick {
		pace = models.QuickPace()
	}
	return experiment(ctx, "size", options, pace, (*sizing).phases)
}

// FindMax looks for the highest rate that holds the objectives, by a climb and a
// search of phases that last for probe (0: a default), and leaves a run directory.
func FindMax(ctx context.Context, options Options, probe time.Duration) (record.Ending, error) {
	return experiment(ctx, "run", options, models.FindPace(probe), (*sizing).findMax)
}

// experiment runs phases from the start of the system to its end.
func experiment(ctx context.Context, command string, options Options, pace models.Pace, phases func(*sizing, context.Context) error) (record.Ending, error) {
	r, ctx, err := start(ctx, command, options)
	if err != nil {
		ending, _ := endingOf(ctx, err)
		return ending, err
	}
	s := sizing{runner: r, pace: pace, swept: map[scenarios.PhaseKind]int{}, random: rand.New(rand.NewPCG(r.plan.Seed, 0x53697a65))}
	if err = phases(&s, ctx); errors.Is(err, errSpoiled) {
		err = nil
	}
	ending, why := endingOf(ctx, err)
	if closeErr := r.close(ending, why); err == nil {
		err = closeErr
	}
	return ending, err
}

// sizing is the order of phases of a sizing run.
type sizing struct {
	*runner
	pace    models.Pace
	random  *rand.Rand
	repeats int // phases that were not valid measurements, so far

	resampled int // phases that were repeated for want of samples, so far
	swept     map[scenarios.PhaseKind]int
}

// highestRate bounds the climb, per second, where the scenario does not: it may
// leave guards.maxRate out when the load stays on this machine.
const highestRate = 100_000.0

func (s *sizing) phases(ctx context.Context) error {
	steps, limit, err := s.bracket(ctx)
	if err != nil {
		return err
	}
	held, missed := models.Bracket(steps)
	if held == 0 {
		return nil // no rate holds: there is nothing to sweep
	}
	if err := s.sweep(ctx, models.SweepRates(steps, limit, s.pace.SteadyRates), models.SweepEdge(steps)); err != nil {
		return err
	}
	measured, err := s.search(ctx, held, math.Min(missed, held*s.pace.ClimbFactor), limit)
	if err != nil {
		return err
	}
	if err := s.proof(ctx, measured, limit); err != nil {
		return err
	}
	return s.beside(ctx, models.SweepEdge(steps))
}

// beside measures what the scenario asks for beside a sizing. It comes last, so that
// no trouble with it costs the answer.
func (s *sizing) beside(ctx context.Context, edge float64) error {
	s.repeats = 0
	if s.holdsConnections() {
		if err := s.connections(ctx, edge); err != nil {
			return err
		}
	}
	if s.options.Scenario.Sizing.PerClass {
		if err := s.mixes(ctx, edge); err != nil {
			return err
		}
	}
	if s.options.Scenario.Sizing.QuotaPrice {
		return s.quotaPrice(ctx, edge)
	}
	return nil
}

// findMax is a sizing without what explains and proves.
func (s *sizing) findMax(ctx context.Context) error {
	steps, limit, err := s.bracket(ctx)
	if err != nil {
		return err
	}
	held, missed := models.Bracket(steps)
	if held == 0 || held >= limit*0.999 {
		return nil // no rate holds, or the highest allowed one
	}
	_, err = s.search(ctx, held, math.Min(missed, held*s.pace.ClimbFactor), limit)
	return err
}

// bracket finds a rate that holds and a higher one that misses, from a system that
// is warm. limit is the highest rate allowed.
func (s *sizing) bracket(ctx context.Context) (steps []models.Step, limit float64, err error) {
	limit = cmp.Or(s.plan.Guards.MaxRate.RPS(), highestRate)
	climb := models.Climb{First: math.Min(300, limit/4), Factor: s.pace.ClimbFactor, Lowest: math.Min(20, limit/8), Max: limit}
	if err := s.canPace(ctx, climb.First); err != nil {
		return nil, 0, err
	}
	if err := s.warmUp(ctx, climb.First); err != nil {
		return nil, 0, err
	}
	steps, err = s.climb(ctx, climb)
	return steps, limit, err
}

// spec is a phase of the sizing at rps, long enough for the objectives' quantiles.
func (s *sizing) spec(kind scenarios.PhaseKind, name string, rps float64, base time.Duration) scenarios.Phase {
	samples := 0
	for _, o := range s.options.Scenario.Objectives {
		if o.IsLatency() {
			samples = max(samples, stat.SamplesFor(o.Quantile))
		}
	}
	rate := scenarios.PerSecond(rps)
	if limit := s.plan.Guards.MaxRate; !limit.IsZero() && rate.RPS() > limit.RPS() {
		rate = limit // rounding must not lead above it
	}
	return scenarios.Phase{
		Name:     name,
		Kind:     kind,
		Process:  s.options.Scenario.Load.Arrivals,
		Rate:     rate,
		Duration: models.PhaseDuration(base, s.pace.LongestPhase, rps, samples),
		// What waits beyond a second shows an overload; more would only take time.
		MaxBacklog: max(1000, int(rate.RPS())),
	}
}

// canPace sends for a second, to find out whether the generator is fast enough on
// this machine before minutes are spent on it.
func (s *sizing) canPace(ctx context.Context, rps float64) error {
	spec := s.spec(scenarios.KindPreflight, "preflight", rps, time.Second)
	spec.Duration = time.Second
	summary, _, err := s.phase(ctx, spec)
	if err != nil {
		return err
	}
	for _, reason := range summary.Verdict.Reasons {
		s.options.Observer.Note("preflight: this machine disturbs the measurement: " + reason.Message)
	}
	return nil
}

func (s *sizing) warmUp(ctx context.Context, rps float64) error {
	var chunks []record.PhaseData
	for i := range s.pace.WarmUpChunks {
		spec := s.spec(scenarios.KindWarmUp, fmt.Sprintf("warm-up %d", i+1), rps, s.pace.WarmUpChunk)
		spec.Duration = s.pace.WarmUpChunk
		_, data, err := s.phase(ctx, spec)
		if err != nil {
			return err
		}
		chunks = append(chunks, data)
		if warm, why := analysis.StationaryEnough(chunks); warm {
			s.options.Observer.Note("warm: " + why)
			return nil
		}
	}
	s.options.Observer.Note("warm-up ended at its longest; the system still drifts")
	return nil
}

// errSpoiled ends the measuring: too much of it was not valid. It is no failure
// of the run, whose record says what disturbed it.
var errSpoiled = errors.New("too many phases were not valid measurements")

// measure runs one phase, and again when it is not a valid measurement, since
// what disturbed it may be gone, or when Prometheus scraped too little of it. All
// phases share one budget of repeats for either; without samples a phase still
// says whether the objectives hold, so want of them does not end the measuring.
func (s *sizing) measure(ctx context.Context, spec scenarios.Phase) (analysis.PhaseSummary, record.PhaseData, error) {
	name := spec.Name
	for attempt := 1; ; attempt++ {
		s.settle(ctx, time.Duration(attempt*attempt)*s.pace.Settle)
		summary, data, err := s.phase(ctx, spec)
		if err != nil {
			return summary, data, err
		}
		if summary.Verdict.Valid {
			if s.sparse(data) == "" || s.resampled >= s.pace.Repeats {
				return summary, data, nil
			}
			s.resampled++
			spec.Name = fmt.Sprintf("%s again", name)
			continue
		}
		if spec.Kind == scenarios.KindProof && s.pace.Spare(time.Since(s.base)) < -s.pace.Proof {
			return summary, data, nil // no time to repeat it; the record says that it is not valid
		}
		if s.repeats++; s.repeats > s.pace.Repeats {
			s.options.Observer.Note(fmt.Sprintf("%d phases were not valid measurements: there is no use in going on", s.repeats))
			return summary, data, errSpoiled
		}
		spec.Name = fmt.Sprintf("%s again", name)
	}
}

func (s *sizing) climb(ctx context.Context, climb models.Climb) (steps []models.Step, err error) {
	for {
		rps, end := climb.Next(steps)
		if end != models.ClimbGoesOn {
			return steps, nil
		}
		summary, _, err := s.measure(ctx, s.spec(scenarios.KindClimb, fmt.Sprintf("climb %d", len(steps)+1), rps, s.pace.Climb))
		if err != nil {
			return nil, err
		}
		steps = append(steps, step(summary))
	}
}

func step(s analysis.PhaseSummary) models.Step {
	return models.Step{RPS: s.OfferedRps, Holds: s.Holds, Use: s.ObjectiveUse}
}

// sweep measures the rates that are fitted, in a random order, and between them those
// at which requests come in bunches.
func (s *sizing) sweep(ctx context.Context, rates []float64, edge float64) error {
	var phases []scenarios.Phase
	for _, rps := range rates {
		phases = append(phases, s.spec(scenarios.KindSteady, "steady", rps, s.pace.Steady))
	}
	phases = append(phases, s.bunched(rates, edge)...)
	for range s.pace.SteadyRounds {
		for _, at := range s.random.Perm(len(phases)) {
			spec := phases[at]
			s.swept[spec.Kind]++
			spec.Name = fmt.Sprintf("%s %d", spec.Kind, s.swept[spec.Kind])
			if spec.Kind == scenarios.KindBunched {
				// The answer does not hang on it: one that is not valid costs no repeat.
				s.settle(ctx, s.pace.Settle)
				if _, _, err := s.phase(ctx, spec); err != nil {
					return err
				}
				continue
			}
			if _, _, err := s.measure(ctx, spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// bunched returns the phases in which requests come in bunches. Only a lab gets any:
// nobody asked for bursts on a system of their own.
func (s *sizing) bunched(rates []float64, edge float64) (phases []scenarios.Phase) {
	if s.options.Scenario.Lab == nil || s.pace.Bunched == 0 {
		return nil
	}
	size := analysis.BunchSize(s.writer.Run(), edge)
	if size < 2 {
		return nil
	}
	for _, rps := range models.BunchedRates(rates, edge) {
		spec := s.spec(scenarios.KindBunched, "", rps, s.pace.Bunched)
		// The distances are even, so that bunches don't run into each other by chance
		// and use up a quota.
		spec.Process, spec.Bunch, spec.Duration = scenarios.Constant, size, s.pace.Bunched
		phases = append(phases, spec)
	}
	return phases
}

// mixRounds is how often each mix is measured: what a request costs must not rest on
// a phase or two.
const mixRounds = 2

// mixes measures at low rates what each request of the mix costs, in phases of
// which it is most.
func (s *sizing) mixes(ctx context.Context, edge float64) error {
	weights := make([]float64, 0, len(s.plan.Requests))
	for _, r := range s.plan.Requests {
		weights = append(weights, r.Weight)
	}
	mixes := models.Mixes(weights)
	rates := make([][]float64, len(mixes)) // of each, that the first round found
	for round := range mixRounds {
		for _, at := range s.random.Perm(len(mixes)) {
			name := fmt.Sprintf("mostly %s %d", s.plan.Requests[at].Name, round+1)
			found, err := s.mix(ctx, name, mixes[at], edge, rates[at])
			if err != nil {
				return err
			}
			rates[at] = found
		}
	}
	return nil
}

// mix measures one mix, at rates that are known or to be found, and returns those at
// which nothing was pressed.
func (s *sizing) mix(ctx context.Context, name string, weights []float64, edge float64, known []float64) (calm []float64, err error) {
	var steps []models.MixStep
	next := func() (rps float64, more bool) {
		switch {
		case len(known) == 0:
			return models.MixRate(edge, steps)
		case len(steps) < len(known):
			return known[len(steps)], true
		}
		return 0, false
	}
	for rps, more := next(); more; rps, more = next() {
		spec := s.spec(scenarios.KindMix, fmt.Sprintf("%s.%d", name, len(steps)+1), rps, s.pace.Steady)
		spec.Mix = weights
		summary, _, err := s.measure(ctx, spec)
		if err != nil {
			return nil, err
		}
		step := mixStep(summary)
		if steps = append(steps, step); step.Calm() {
			calm = append(calm, rps)
		}
	}
	return calm, nil
}

func mixStep(s analysis.PhaseSummary) models.MixStep {
	out := models.MixStep{RPS: s.OfferedRps, Use: s.ObjectiveUse}
	for _, throttled := range s.Throttled {
		out.Throttled = math.Max(out.Throttled, throttled)
	}
	return out
}

// quotaPrice measures a rate just below the edge with the CPU quotas of the lab and
// without them.
func (s *sizing) quotaPrice(ctx context.Context, edge float64) (err error) {
	if s.system.enforceCPU == nil {
		return nil
	}
	if changed, err := s.system.enforceCPU(true); err != nil || changed == 0 {
		s.options.Observer.Note("no CPU limit binds, so there is no price of a quota to measure")
		return err
	}
	defer func() {
		if _, again := s.system.enforceCPU(true); again != nil {
			err = errors.Join(err, again)
		}
	}()
	for i, lifted := range models.QuotaOrder() {
		if _, err := s.system.enforceCPU(!lifted); err != nil {
			return err
		}
		name := fmt.Sprintf("quota %d", i+1)
		if lifted {
			name = fmt.Sprintf("quota %d, lifted", i+1)
		}
		spec := s.spec(scenarios.KindQuota, name, models.QuotaShare*edge, s.pace.Steady)
		spec.QuotasLifted = lifted
		if _, _, err := s.measure(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// fewestProbes make a search, however little time is left.
const fewestProbes = 4

// search looks for the edge without any prediction, and returns what it measured.
func (s *sizing) search(ctx context.Context, held, missed, limit float64) ([]record.PhaseData, error) {
	// It begins wider than the climb's bracket and at a place of its own, and
	// leaves the bracket when its own measurements say so.
	shift := 0.9 + 0.2*s.random.Float64()
	search := models.Search{
		Low:        held / 1.3 * shift,
		High:       math.Min(missed*1.1*shift, limit),
		Max:        limit,
		Probes:     s.pace.SearchProbes,
		Resolution: s.pace.SearchResolve,
	}
	var steps []models.Step
	var measured []record.PhaseData
	for {
		rps, more := search.Next(steps)
		late := s.pace.Spare(time.Since(s.base)) < s.pace.Search
		if !more || late && len(steps) >= fewestProbes && models.EdgeOf(steps) > 0 {
			return measured, nil
		}
		summary, data, err := s.measure(ctx, s.spec(scenarios.KindSearch, fmt.Sprintf("search %d", len(steps)+1), rps, s.pace.Search))
		if err != nil {
			return nil, err
		}
		steps, measured = append(steps, step(summary)), append(measured, data)
	}
}

// proof measures just below and just above the edge that the search found.
func (s *sizing) proof(ctx context.Context, search []record.PhaseData, limit float64) error {
	below, above, reached := analysis.ProofRates(search, analysis.ConditionsOf(s.writer.Run()), s.plan.Seed)
	if below == 0 {
		s.options.Observer.Note("the search found no edge: there is nothing to prove")
		return nil
	}
	if err := s.proveBelow(ctx, below); err != nil {
		return err
	}
	if !reached || above > limit {
		s.options.Observer.Note(fmt.Sprintf("no proof above the edge: %.0f/s is the highest rate allowed, and it would have to lie above", limit))
		return nil
	}
	_, _, err := s.measure(ctx, s.spec(scenarios.KindProof, "above", above, s.pace.Proof))
	return err
}

// proveBelow measures where the objectives must hold. What disturbs a measurement
// makes it worse, so a miss is measured once more, while there is time; the record
// keeps both.
func (s *sizing) proveBelow(ctx context.Context, rps float64) error {
	summary, _, err := s.measure(ctx, s.spec(scenarios.KindProof, "below", rps, s.pace.Proof))
	if err != nil || summary.Holds || !summary.Verdict.Valid || s.pace.Spare(time.Since(s.base)) < 0 {
		return err
	}
	_, _, err = s.measure(ctx, s.spec(scenarios.KindProof, "below, second try", rps, s.pace.Proof))
	return err
}
