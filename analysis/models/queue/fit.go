package queue

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Point is one measured step: requests a second, and their mean response time.
type Point struct {
	RPS             float64
	ResponseSeconds float64
}

const (
	fitLeastRates   = 3   // different rates that a fit needs
	fitMostServers  = 64  // where the choice of servers ends
	fitExtrapolates = 1.2 // times the highest measured rate
	// Of servers that predict about as well as the best the fewest are taken: what
	// the data cannot tell should not add capacity.
	fitAsGood = 1.01
	// A utilisation so close to 1 that no measurement shows more.
	fitFullest = 1 - 1e-9
)

// Fit is M/M/c fitted to measured points, by FitMMC.
type Fit struct {
	Servers        int // given, or chosen
	ServiceSeconds stat.Estimate
	CapacityRPS    stat.Estimate // servers ÷ service time: where the queue grows without end
	ResidualSD     float64       // of ln response time
	LooError       float64       // root mean square of ln response time when each point is left out in turn
	N              int
	LowestRPS      float64
	HighestRPS     float64
	// Candidates are the numbers of servers that the points cannot reject, rising;
	// all intervals cover them all.
	Candidates []int
	Warnings   []string // of the fit as a whole; estimates carry their own

	fits []serverFit
}

// serverFit is the fit for one number of servers.
type serverFit struct {
	servers   int
	logS      float64 // ln of the service time
	low, high float64 // its interval
	sd        float64 // residual standard deviation of ln response time
	sse, loo  float64
	t         float64
}

// FitMMC fits the mean response time of M/M/c to points by least squares of its
// logarithm, because noise of load tests is proportional. The service time is
// unknown; servers is given, or 0 to choose it among 1 to 64 by the error of
// leaving each point out. The interval of the service time has Student's t with
// n − 1 degrees of freedom (n − 2 when the servers are chosen). Chosen servers
// are uncertain too: every number that an F test at 95 % does not reject against
// the best one takes part in all intervals.
//
// It returns an error when a value is not positive and finite, or when there are
// fewer than three different rates (four points when servers is 0).
func FitMMC(points []Point, servers int) (Fit, error) {
	if err := checkPoints(points, servers); err != nil {
		return Fit{}, fmt.Errorf("fit M/M/c: %w", err)
	}
	from, to, df := servers, servers, len(points)-1
	if servers == 0 {
		from, to, df = 1, fitMostServers, len(points)-2
	}
	t := stat.StudentT(stat.Confidence, df)
	fits := make([]serverFit, 0, to-from+1)
	leastLoo, leastSSE := math.Inf(1), math.Inf(1)
	for c := from; c <= to; c++ {
		f := fitServers(points, c, df, t)
		leastLoo, leastSSE = math.Min(leastLoo, f.loo), math.Min(leastSSE, f.sse)
		fits = append(fits, f)
	}
	// In logarithms 1e-9 is beyond every measurement: points without noise.
	chosen := fits[slices.IndexFunc(fits, func(f serverFit) bool { return f.loo <= fitAsGood*leastLoo+1e-9 })]
	most := leastSSE * (1 + t*t/float64(df)) // F(1, df) = t²(df)
	fits = slices.DeleteFunc(fits, func(f serverFit) bool {
		return f.servers != chosen.servers && f.sse > most+1e-18
	})

	fit := Fit{Servers: chosen.servers, ResidualSD: chosen.sd, LooError: chosen.loo, N: len(points), fits: fits}
	fit.LowestRPS, fit.HighestRPS = measuredRange(points)
	for _, f := range fits {
		fit.Candidates = append(fit.Candidates, f.servers)
	}
	if last := fits[len(fits)-1].servers; len(fits) > 1 {
		fit.Warnings = append(fit.Warnings, fmt.Sprintf("the points do not tell the number of servers: %d to %d describe them about as well", fits[0].servers, last))
	}
	if servers == 0 && fits[len(fits)-1].servers == fitMostServers {
		fit.Warnings = append(fit.Warnings, fmt.Sprintf("the most servers that are tried, %d, are not rejected: measure closer to saturation", fitMostServers))
	}
	fit.ServiceSeconds = fit.over(chosen, func(f serverFit, logS float64) float64 { return math.Exp(logS) })
	fit.CapacityRPS = fit.over(chosen, func(f serverFit, logS float64) float64 { return float64(f.servers) / math.Exp(logS) })
	if full := chosen.utilization(fit.HighestRPS); full < 0.5 {
		fit.CapacityRPS.Warnings = append(fit.CapacityRPS.Warnings, fmt.Sprintf("the highest measured rate uses %.0f %% of it", 100*full))
	}
	return fit, nil
}

// Rejected says so when the points reject the number of servers that was given: when
// the best other number leaves residuals that are smaller than by chance. It is ""
// when they don't, or are too few to tell.
func (f Fit) Rejected(points []Point) string {
	free, err := FitMMC(points, 0)
	if err != nil || slices.Contains(free.Candidates, f.Servers) {
		return ""
	}
	return fmt.Sprintf("the points reject %d servers: the response times are off by %.3g\u00a0%%, and by %.3g\u00a0%% with %d; it is another kind of queue, or has other servers",
		f.Servers, 100*f.ResidualSD, 100*free.ResidualSD, free.Servers)
}

func checkPoints(points []Point, servers int) error {
	if servers < 0 || servers > maxServers {
		return fmt.Errorf("%d servers: must be from 1 to %d, or 0 to choose", servers, maxServers)
	}
	rates := make([]float64, len(points))
	for i, p := range points {
		if err := errors.Join(above("rate", p.RPS, 0), above("mean response time", p.ResponseSeconds, 0)); err != nil {
			return fmt.Errorf("point %d: %w", i+1, err)
		}
		rates[i] = p.RPS
	}
	slices.Sort(rates)
	if different := len(slices.Compact(rates)); different < fitLeastRates {
		return fmt.Errorf("%d different rates are too few, %d are needed", different, fitLeastRates)
	}
	if servers == 0 && len(points) <= fitLeastRates {
		return fmt.Errorf("%d points are too few to choose the number of servers, %d are needed", len(points), fitLeastRates+1)
	}
	return nil
}

func measuredRange(points []Point) (lowest, highest float64) {
	lowest, highest = math.Inf(1), math.Inf(-1)
	for _, p := range points {
		lowest, highest = math.Min(lowest, p.RPS), math.Max(highest, p.RPS)
	}
	return lowest, highest
}

// fitServers fits the service time for c servers.
func fitServers(points []Point, c, df int, t float64) serverFit {
	f := serverFit{servers: c, t: t}
	f.logS, f.sse = leastSquares(points, c, -1)
	f.sd = math.Sqrt(f.sse / float64(df))
	for i, p := range points {
		logS, _ := leastSquares(points, c, i)
		r := math.Log(p.ResponseSeconds) - logResponse(p.RPS, logS, c)
		f.loo += r * r / float64(len(points))
	}
	f.loo = math.Sqrt(f.loo)
	f.low, f.high = f.profile(points)
	return f
}

// profile returns the interval of ln s by its likelihood: where the sum of
// squares exceeds the least one by t²·sd². Near saturation the response is so
// steep in s that an interval from its derivative would reach past capacity.
func (f serverFit) profile(points []Point) (low, high float64) {
	allowed := f.sse + f.t*f.t*f.sd*f.sd
	if f.sse <= 1e-18 {
		return f.logS, f.logS
	}
	edge := func(away float64) float64 {
		inside, outside := 0.0, 1e-6
		for sumSquares(points, f.servers, f.logS+away*outside, -1) <= allowed && outside < 64 {
			inside, outside = outside, 2*outside
		}
		for range 60 {
			middle := (inside + outside) / 2
			if sumSquares(points, f.servers, f.logS+away*middle, -1) <= allowed {
				inside = middle
			} else {
				outside = middle
			}
		}
		return f.logS + away*inside
	}
	return edge(-1), edge(+1)
}

// leastSquares returns the ln s that fits best without the point skip, and its
// sum of squares. It looks at a grid of utilisations first, because the sum need
// not have one minimum only, and then by golden section between the neighbours.
func leastSquares(points []Point, c, skip int) (logS, sse float64) {
	// u = ln(ρ ÷ (1−ρ)) of the highest rate, so that s is below saturation for all u:
	// there was a steady state at every rate, also at that of the point left out.
	_, highest := measuredRange(points)
	at := func(u float64) float64 { return math.Log(float64(c)/highest) - math.Log1p(math.Exp(-u)) }
	value := func(u float64) float64 { return sumSquares(points, c, at(u), skip) }
	const first, last, step = -16.0, 20.0, 0.75
	best, least := first, math.Inf(1)
	for u := first; u <= last; u += step {
		if v := value(u); v < least {
			best, least = u, v
		}
	}
	const golden = 0.6180339887498949
	a, b := best-step, best+step
	x, y := b-golden*(b-a), a+golden*(b-a)
	vx, vy := value(x), value(y)
	for b-a > 1e-10 {
		if vx < vy {
			b, y, vy = y, x, vx
			x = b - golden*(b-a)
			vx = value(x)
		} else {
			a, x, vx = x, y, vy
			y = a + golden*(b-a)
			vy = value(y)
		}
	}
	u := (a + b) / 2
	return at(u), value(u)
}

// sumSquares is the sum of squared differences of ln response time; +Inf when a
// point has no steady state.
func sumSquares(points []Point, c int, logS float64, skip int) float64 {
	sum := 0.0
	for i, p := range points {
		if i == skip {
			continue
		}
		r := math.Log(p.ResponseSeconds) - logResponse(p.RPS, logS, c)
		sum += r * r
	}
	return sum
}

// logResponse is ln of the mean response time; +Inf without a steady state.
func logResponse(rps, logS float64, c int) float64 {
	m, err := NewMMC(rps, math.Exp(logS), c)
	if err != nil {
		return math.Inf(1)
	}
	return math.Log(m.MeanResponse())
}

func (f serverFit) utilization(rps float64) float64 {
	return rps * math.Exp(f.logS) / float64(f.servers)
}

// over is an estimate of a value that is monotone in s, its interval over all
// candidates.
func (f Fit) over(chosen serverFit, value func(f serverFit, logS float64) float64) stat.Estimate {
	e := stat.Estimate{Value: value(chosen, chosen.logS), Low: math.Inf(1), High: math.Inf(-1), Confidence: stat.Confidence, N: f.N}
	for _, candidate := range f.fits {
		for _, logS := range []float64{candidate.low, candidate.high} {
			v := value(candidate, logS)
			e.Low, e.High = math.Min(e.Low, v), math.Max(e.High, v)
		}
	}
	return e
}

func (f Fit) chosen() serverFit {
	return f.fits[slices.IndexFunc(f.fits, func(s serverFit) bool { return s.servers == f.Servers })]
}

// Response predicts the mean response time, in seconds, that a measurement at rps
// would show; the interval has the scatter of the measurements in it. Beyond
// capacity it is not estimable; beyond 1.2 times the measured rates it has a
// warning.
func (f Fit) Response(rps float64) stat.Estimate {
	return f.predict(rps, MMC.MeanResponse)
}

// ResponseQuantile predicts the q-quantile of the response time, q in (0, 1), in
// seconds. It rests on the model alone, since no quantile was measured: service
// times are taken as exponential.
func (f Fit) ResponseQuantile(rps, q float64) stat.Estimate {
	if err := probability(q); err != nil {
		return stat.NotEstimable(f.N, err.Error())
	}
	return f.predict(rps, func(m MMC) float64 { return m.ResponseQuantile(q) })
}

func (f Fit) predict(rps float64, of func(MMC) float64) stat.Estimate {
	if err := atLeast("rate", rps, 0); err != nil {
		return stat.NotEstimable(f.N, err.Error())
	}
	chosen := f.chosen()
	value := seconds(rps, chosen.logS, chosen.servers, of)
	if math.IsInf(value, 1) {
		return stat.NotEstimable(f.N, fmt.Sprintf("no steady state: the rate %.4g is beyond the capacity of %.4g a second", rps, f.CapacityRPS.Value))
	}
	low, high := f.band(rps, of)
	e := stat.Estimate{Value: value, Low: low, High: high, Confidence: stat.Confidence, N: f.N}
	if w := f.extrapolated(rps); w != "" {
		e.Warnings = append(e.Warnings, w)
	}
	return e
}

// seconds is what a queue with that service time gives; +Inf without a steady state.
func seconds(rps, logS float64, servers int, of func(MMC) float64) float64 {
	m, err := NewMMC(rps, math.Exp(logS), servers)
	if err != nil {
		return math.Inf(1)
	}
	return of(m)
}

// band is the interval of a prediction at rps, over all candidates: the interval
// of the service time put into the model, and the scatter beside it. Both ends
// rise with the rate.
func (f Fit) band(rps float64, of func(MMC) float64) (low, high float64) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, c := range f.fits {
		middle := math.Log(seconds(rps, c.logS, c.servers, of))
		least := math.Log(seconds(rps, c.low, c.servers, of))
		most := math.Log(seconds(rps, c.high, c.servers, of))
		if math.IsInf(middle, 1) {
			high = math.Inf(1)
			if !math.IsInf(least, 1) {
				low = math.Min(low, math.Exp(least-c.t*c.sd))
			}
			continue
		}
		low = math.Min(low, math.Exp(middle-math.Hypot(middle-least, c.t*c.sd)))
		high = math.Max(high, math.Exp(middle+math.Hypot(most-middle, c.t*c.sd)))
	}
	return low, high
}

func (f Fit) extrapolated(rps float64) string {
	if rps <= fitExtrapolates*f.HighestRPS {
		return ""
	}
	return fmt.Sprintf("extrapolated: %.4g is beyond %.2g times the highest measured rate, %.4g", rps, fitExtrapolates, f.HighestRPS)
}

// RateFor returns the highest rate, in requests a second, at which the mean
// response time is at most seconds: the inverse of Response, its ends included, so
// that the lower one is the safe rate. feasible is false when even an idle server
// takes longer; the estimate then has no value.
func (f Fit) RateFor(seconds float64) (rps stat.Estimate, feasible bool) {
	return f.inverse(seconds, MMC.MeanResponse)
}

// RateForQuantile is the inverse of ResponseQuantile, as RateFor is of Response.
func (f Fit) RateForQuantile(seconds, q float64) (rps stat.Estimate, feasible bool) {
	if err := probability(q); err != nil {
		return stat.NotEstimable(f.N, err.Error()), false
	}
	return f.inverse(seconds, func(m MMC) float64 { return m.ResponseQuantile(q) })
}

func (f Fit) inverse(limit float64, of func(MMC) float64) (stat.Estimate, bool) {
	if err := above("response time", limit, 0); err != nil {
		return stat.NotEstimable(f.N, err.Error()), false
	}
	chosen := f.chosen()
	most := 0.0
	for _, c := range f.fits {
		most = math.Max(most, fitFullest*float64(c.servers)/math.Exp(c.low))
	}
	at := func(value func(rps float64) float64) float64 { return highestRate(most, limit, value) }
	middle := at(func(rps float64) float64 { return seconds(rps, chosen.logS, chosen.servers, of) })
	if math.IsNaN(middle) {
		idle := seconds(0, chosen.logS, chosen.servers, of)
		return stat.NotEstimable(f.N, fmt.Sprintf("infeasible: without any load a request takes %.3g s", idle)), false
	}
	low := at(func(rps float64) float64 { _, high := f.band(rps, of); return high })
	high := at(func(rps float64) float64 { low, _ := f.band(rps, of); return low })
	if math.IsNaN(low) {
		low = 0
	}
	e := stat.Estimate{Value: middle, Low: low, High: math.Max(high, middle), Confidence: stat.Confidence, N: f.N}
	if w := f.extrapolated(middle); w != "" {
		e.Warnings = append(e.Warnings, w)
	}
	return e, true
}

// highestRate returns the highest rate in [0, most] whose value, rising with the
// rate, is at most limit; NaN when there is none.
func highestRate(most, limit float64, value func(rps float64) float64) float64 {
	if !(value(0) <= limit) {
		return math.NaN()
	}
	low, high := 0.0, most
	for range 60 {
		middle := (low + high) / 2
		if value(middle) <= limit {
			low = middle
		} else {
			high = middle
		}
	}
	return low
}
