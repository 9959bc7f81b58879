package compare

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// Seconds are the latencies of one run, second by second.
type Seconds []stat.Distribution

const (
	// leastBlocks is how many seconds' worth of independent information a run needs
	// on its own, and leastBeyond how many answers beyond the quantile.
	leastBlocks = 20
	leastBeyond = 10
	// runShare is by how much runs may differ that nothing changed between, as a share
	// of the deviation from second to second. One run a side can't show it, so the
	// interval has room for it.
	runShare = 0.5

	singleDraws = 200
)

// Single compares a quantile of one run a side: the change by resampling blocks of
// consecutive seconds, with room for what runs differ by. It gives no verdict but
// Inconclusive where the seconds depend on each other so much that they tell too
// little, and says so. alpha is the chance of a false verdict; of several metrics each
// is given its part.
func Single(m Metric, base, after Seconds, q, alpha float64, seed uint64) Finding {
	f := Finding{Metric: m, scale: scale{m, !m.Absolute}, alpha: alpha, part: alpha, worse: 1, better: 1}
	random := rand.New(rand.NewPCG(seed, 0x5eed))
	a, b := oneSide(base, q, random), oneSide(after, q, random)
	f.BaseMedian, f.NewMedian = a.estimate, b.estimate
	f.Change, f.Effective = stat.NotEstimable(0, ""), [2]float64{a.effective, b.effective}
	for _, side := range []struct {
		name string
		side
	}{{"the base", a}, {"the new run", b}} {
		if side.why != "" {
			f.Verdict, f.Reason = Inconclusive, side.name+": "+side.why
			f.Change = stat.NotEstimable(int(side.effective), f.Reason)
			return f
		}
	}
	distance := f.scale.of(b.estimate.Value) - f.scale.of(a.estimate.Value)
	f.sd = math.Sqrt(square(a.error) + square(b.error) + square(runShare)*(square(a.deviation)+square(b.deviation)))
	f.n = 1
	half := z(1-f.alpha) * f.sd
	f.low, f.high = distance-half, distance+half
	f.Change = f.changeOf(stat.Estimate{
		Value: distance, Low: f.low, High: f.high, Confidence: f.confidence(), N: int(math.Min(a.effective, b.effective)),
		Warnings: []string{fmt.Sprintf("one run a side: the seconds are worth %.0f and %.0f independent ones, and what runs differ by is assumed, not measured", a.effective, b.effective)},
	})
	limit := f.scale.limit()
	f.Detectable = math.Abs(f.scale.change(limit + (z(1-f.alpha)+z(power))*f.sd))
	switch {
	case f.low > limit:
		f.Verdict, f.Reason = Regressed, f.words("worse")
	case f.high < -limit:
		f.Verdict, f.Reason = Improved, f.words("better")
	case f.low >= -limit && f.high <= limit:
		f.Verdict, f.Reason = Equivalent, "the change lies within "+f.marginWords()
	default:
		f.Verdict, f.Reason = Inconclusive, f.whyNot(1)
		f.MoreRuns = f.needs(f.alpha) - 1
	}
	return f
}

// side is what one run tells of a quantile.
type side struct {
	estimate  stat.Estimate
	error     float64 // standard error of its logarithm, by resampling
	deviation float64 // of the logarithm from second to second
	effective float64 // independent seconds
	why       string  // why it tells too little; empty: it does not
}

func oneSide(seconds Seconds, q float64, random *rand.Rand) side {
	all := stat.Merge(seconds...)
	s := side{estimate: stat.Quantile(all, q, stat.Confidence)}
	if !s.estimate.OK() {
		s.why = s.estimate.Warnings[0]
		return s
	}
	var series []float64
	for _, second := range seconds {
		if second.N() > 0 {
			series = append(series, math.Log(second.Quantile(min(q, 0.9))))
		}
	}
	s.effective = EffectiveSize(series)
	switch {
	case len(series) < leastBlocks:
		s.why = fmt.Sprintf("it has %d seconds with answers, %d are needed", len(series), leastBlocks)
	case s.effective < leastBlocks:
		s.why = fmt.Sprintf("its %d seconds depend on each other, and are worth %.0f independent ones; %d are needed", len(series), s.effective, leastBlocks)
	case float64(all.N())*(1-q) < leastBeyond:
		s.why = fmt.Sprintf("%.0f answers lie beyond %s, %d are needed", float64(all.N())*(1-q), stat.QuantileName(q), leastBeyond)
	}
	if s.why != "" {
		return s
	}
	length := int(math.Ceil(float64(len(series)) / s.effective * 2))
	draws := stat.Bootstrap(seconds, []float64{q}, length, singleDraws, random)[0]
	logs := make([]float64, 0, len(draws))
	for _, d := range draws {
		if d > 0 && !notFinite(d) {
			logs = append(logs, math.Log(d))
		}
	}
	s.error, s.deviation = deviation(logs), deviation(series)
	s.estimate = s.estimate.Widen(draws)
	return s
}

// EffectiveSize returns how many independent values a series is worth whose values
// depend on those before: n ÷ (1 + 2·Σρ), the autocorrelations summed up for as long as
// those of two neighbouring lags together are positive. At least 1, at most n.
//
// Source: Geyer, "Practical Markov chain Monte Carlo", 1992 (initial positive sequence).
func EffectiveSize(series []float64) float64 {
	n := len(series)
	if n < 3 {
		return float64(n)
	}
	m, variance := mean(series), 0.0
	for _, v := range series {
		variance += square(v - m)
	}
	if !(variance > 0) {
		return float64(n)
	}
	at := func(lag int) float64 {
		sum := 0.0
		for i := lag; i < n; i++ {
			sum += (series[i] - m) * (series[i-lag] - m)
		}
		return sum / variance
	}
	time := -1.0
	for lag := 0; lag+1 < n; lag += 2 {
		pair := at(lag) + at(lag+1)
		if pair <= 0 {
			break
		}
		time += 2 * pair
	}
	return math.Min(float64(n), math.Max(1, float64(n)/math.Max(time, 1e-9)))
}
