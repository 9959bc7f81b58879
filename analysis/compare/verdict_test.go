package compare

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

var latency = Metric{Name: "latency p50", Unit: "seconds", Margin: 0.05}

// ten runs around a value, with a scatter of about 1 %.
func runsAround(centre float64, shape ...float64) []float64 {
	out := make([]float64, 0, 10)
	for _, v := range []float64{-1.5, -1, -0.7, -0.4, -0.1, 0.1, 0.4, 0.7, 1, 1.5} {
		out = append(out, centre*(1+0.01*v*append(shape, 1)[0]))
	}
	return out
}

func TestVerdicts(t *testing.T) {
	rate := Metric{Name: "highest rate", Unit: "rps", Margin: 0.05, Higher: true}
	errors := Metric{Name: "error ratio", Unit: "ratio", Margin: 0.001, Absolute: true}
	zeros := make([]float64, 10)
	for _, test := range []struct {
		name   string
		series Series
		want   Verdict
	}{
		{"a tenth slower", Series{latency, runsAround(1), runsAround(1.1)}, Regressed},
		{"a tenth faster", Series{latency, runsAround(1), runsAround(0.9)}, Improved},
		{"the same", Series{latency, runsAround(1), runsAround(1.002)}, Equivalent},
		{"at the margin", Series{latency, runsAround(1), runsAround(1.05)}, Inconclusive},
		{"at the margin, on the better side", Series{latency, runsAround(1), runsAround(1 / 1.05)}, Inconclusive},
		{"a tenth fewer a second", Series{rate, runsAround(1000), runsAround(900)}, Regressed},
		{"a tenth more a second", Series{rate, runsAround(1000), runsAround(1100)}, Improved},
		{"three runs a side at twice the time", Series{latency, []float64{1, 1.01, 1.02}, []float64{2, 2.01, 2.02}}, Regressed},
		{"two runs a side at twice the time", Series{latency, []float64{1, 1.01}, []float64{2, 2.01}}, Inconclusive},
		{"the same middle, ten times the scatter", Series{latency, runsAround(1, 0.2), runsAround(1, 2.5)}, Inconclusive},
		{"no errors on either side", Series{errors, zeros, zeros}, Equivalent},
		{"errors where there were none", Series{errors, zeros, runsAround(0.02)}, Regressed},
		{"hardly an error where there were none", Series{errors, zeros, runsAround(0.0001)}, Equivalent},
		{"no handshakes on either side", Series{latency, zeros, zeros}, Equivalent},
		{"handshakes where there were none", Series{latency, zeros, runsAround(5)}, Regressed},
		{"no handshakes any more", Series{latency, runsAround(5), zeros}, Improved},
		{"a handshake in one run where there were none", Series{latency, zeros, append(make([]float64, 9), 1)}, Inconclusive},
		{"no value on the new side", Series{latency, runsAround(1), []float64{math.NaN(), math.NaN()}}, Inconclusive},
		{"no value at all", Series{latency, nil, nil}, Inconclusive},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := Runs([]Series{test.series})[0]
			if f.Verdict != test.want || f.Reason == "" {
				t.Errorf("%s: %s (change %v, p %.3g and %.3g), want %s", f.Verdict, f.Reason, f.Change, f.worse, f.better, test.want)
			}
		})
	}
}

// Values at which the interval and the verdict must agree: that of the change in the
// unit in which the margin is.
func TestChangeIsReadable(t *testing.T) {
	f := Runs([]Series{{latency, runsAround(1), runsAround(1.1)}})[0]
	if math.Abs(f.Change.Value-0.1) > 0.002 || !(f.Change.Low > 0.08 && f.Change.High < 0.12) {
		t.Errorf("change %v, want about +0.1", f.Change)
	}
	rate := Metric{Name: "rate", Margin: 0.05, Higher: true}
	f = Runs([]Series{{rate, runsAround(1000), runsAround(900)}})[0]
	if math.Abs(f.Change.Value+0.1) > 0.002 || !(f.Change.Low < f.Change.High) {
		t.Errorf("change %v, want about −0.1", f.Change)
	}
}

// With pairs a drift of the machine by a third does not hide a tenth.
func TestPairsSeeThroughDrift(t *testing.T) {
	var s Series
	s.Metric = latency
	for i := range 12 {
		speed := 1 + 0.3*math.Sin(float64(i)/3)
		s.Base = append(s.Base, speed*(1+0.003*float64(i%3)))
		s.New = append(s.New, 1.1*speed*(1+0.003*float64(i%4)))
	}
	if f := Pairs([]Series{s}, Alpha)[0]; f.Verdict != Regressed {
		t.Errorf("pairs: %s: %s", f.Verdict, f.Reason)
	}
	if f := Runs([]Series{s})[0]; f.Verdict != Inconclusive {
		t.Errorf("runs: %s: %s, although they drift by a third", f.Verdict, f.Reason)
	}
}

func TestMoreRuns(t *testing.T) {
	f := Runs([]Series{{latency, runsAround(1, 5), runsAround(1.09, 5)}})[0]
	if f.Verdict != Inconclusive || f.MoreRuns < 1 || f.MoreRuns > 30 || f.Detectable < 0.07 || f.Detectable > 0.15 {
		t.Errorf("%s, %d more runs, detectable %.3g: %s", f.Verdict, f.MoreRuns, f.Detectable, f.Reason)
	}
}

// Where more runs would hardly tell, that is said, and large changes are written out.
func TestWordsOfInconclusive(t *testing.T) {
	at := Runs([]Series{{latency, runsAround(1), runsAround(1.05)}})[0]
	if at.Verdict != Inconclusive || at.MoreRuns != 0 || !strings.Contains(at.Reason, "more than 1\u00a0000 more") {
		t.Errorf("at the margin: %d more runs: %s", at.MoreRuns, at.Reason)
	}
	wide := Runs([]Series{{latency, []float64{1, 2, 40, 80}, []float64{1, 3, 50, 90}}})[0]
	if wide.Verdict != Inconclusive || !(wide.Detectable > 10) || strings.Contains(wide.Reason, "e+") {
		t.Errorf("%s, detectable %g: %s", wide.Verdict, wide.Detectable, wide.Reason)
	}
	two := Runs([]Series{{latency, []float64{1, 1.01}, []float64{2, 2.01}}})[0]
	if two.MoreRuns != 1 || strings.Contains(two.Reason, "takes more than") {
		t.Errorf("two runs a side, %d more: %s", two.MoreRuns, two.Reason)
	}
}

// What lies far beyond the margin needs so many pairs as it takes to stand out among
// the metrics: of nine at 5 %, 2⁻⁸ < 0.05 ÷ 9 < 2⁻⁷, so eight.
func TestMorePairsAmongMetrics(t *testing.T) {
	all := make([]Series, 9)
	for i := range all {
		all[i] = Series{latency, []float64{1, 1.01, 0.99, 1, 1.02, 1}, []float64{1, 1, 1.01, 0.99, 1, 1.01}}
	}
	all[2] = Series{Metric{Name: "error ratio", Unit: "ratio", Margin: 0.001, Absolute: true}, make([]float64, 6), []float64{0.1, 0.12, 0.11, 0.13, 0.12, 0.1}}
	f := Pairs(all, Alpha)[2]
	if f.Verdict != Inconclusive || f.MoreRuns != 2 || !strings.Contains(f.Reason, "beyond 0.1\u00a0%") {
		t.Errorf("%s, %d more: %s; want inconclusive and 2 more", f.Verdict, f.MoreRuns, f.Reason)
	}
}

// draw makes runs of a metric: one value each, of a log-normal with deviation sd.
func draw(random *rand.Rand, runs int, centre, sd float64) []float64 {
	out := make([]float64, runs)
	for i := range out {
		out[i] = centre * math.Exp(sd*random.NormFloat64())
	}
	return out
}

// seconds makes the medians of a run's seconds, which depend on each other: the
// values that a test over seconds would take for so many measurements.
func seconds(random *rand.Rand, n int, lag, offset float64) float64 {
	const scatter = 0.05 // from second to second
	level := offset * scatter * random.NormFloat64()
	state, sum := random.NormFloat64(), 0.0
	for range n {
		state = lag*state + math.Sqrt(1-lag*lag)*random.NormFloat64()
		sum += math.Exp(level + scatter*state)
	}
	return sum / float64(n)
}

// What nothing changed between must be called regressed in one of twenty comparisons
// at most, of eight metrics and without any margin to hide behind; whatever seconds or
// runs share.
func TestFalseAlarms(t *testing.T) {
	const comparisons, metrics, runs = 2000, 8, 8
	for _, test := range []struct {
		name        string
		lag, offset float64
	}{
		{"independent", 0, 0}, {"lag 0.3", 0.3, 0}, {"lag 0.6", 0.6, 0}, {"lag 0.9", 0.9, 0},
		{"runs differ by 0.2 deviations", 0, 0.2}, {"runs differ by 0.5 deviations", 0, 0.5}, {"both", 0.9, 0.5},
	} {
		t.Run(test.name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(11, uint64(100*test.lag+10*test.offset)))
			alarms := 0
			for range comparisons {
				all := make([]Series, metrics)
				for m := range all {
					all[m].Metric = Metric{Name: "x"}
					for range runs {
						all[m].Base = append(all[m].Base, seconds(random, 60, test.lag, test.offset))
						all[m].New = append(all[m].New, seconds(random, 60, test.lag, test.offset))
					}
				}
				for _, f := range Runs(all) {
					if f.Verdict == Regressed {
						alarms++
						break
					}
				}
			}
			// Three standard errors above 5 %.
			if most := 0.05 + 3*math.Sqrt(0.05*0.95/comparisons); float64(alarms)/comparisons > most {
				t.Errorf("%d alarms in %d comparisons", alarms, comparisons)
			}
		})
	}
}

// A shift by two deviations of runs is found in nine of ten comparisons of ten runs a
// side, although it is one of eight metrics.
func TestPower(t *testing.T) {
	const comparisons, metrics, runs, sd = 2000, 8, 10, 0.02
	random := rand.New(rand.NewPCG(12, 0))
	found, by := 0, 0
	for range comparisons {
		all := make([]Series, metrics)
		for m := range all {
			shift := 0.0
			if m == 3 {
				shift = 2 * sd
			}
			all[m] = Series{Metric{Name: "x"}, draw(random, runs, 1, sd), draw(random, runs, math.Exp(shift), sd)}
		}
		for m, f := range Runs(all) {
			if f.Verdict == Regressed && m == 3 {
				found++
			} else if f.Verdict == Regressed {
				by++
			}
		}
	}
	if float64(found)/comparisons < 0.9 {
		t.Errorf("found in %d of %d", found, comparisons)
	}
	if float64(by)/comparisons > 0.08 {
		t.Errorf("%d others were called regressed", by)
	}
}

// Adding pairs until everything is decided does not raise the alarms: all looks
// together stay within one in twenty.
func TestFalseAlarmsOfLooks(t *testing.T) {
	const series = 400
	random := rand.New(rand.NewPCG(13, 0))
	alarms := 0
	for range series {
		var s Series
		s.Metric = Metric{Name: "x", Margin: 0}
		for pairs, more := FirstLook(), true; more; pairs, more = NextLook(pairs) {
			for len(s.Base) < pairs {
				drift := math.Exp(0.1 * random.NormFloat64())
				s.Base = append(s.Base, drift*math.Exp(0.02*random.NormFloat64()))
				s.New = append(s.New, drift*math.Exp(0.02*random.NormFloat64()))
			}
			findings := Pairs([]Series{s}, LookAlpha)
			if findings[0].Verdict == Regressed {
				alarms++
			}
			if Decided(findings) {
				break
			}
		}
	}
	if most := 0.05 + 3*math.Sqrt(0.05*0.95/series); float64(alarms)/series > most {
		t.Errorf("%d alarms in %d", alarms, series)
	}
}

// A change of the scatter is none of the middle, and is told of pairs as well, whose
// sides share what the machine does.
func TestPairsWithMoreScatter(t *testing.T) {
	random := rand.New(rand.NewPCG(23, 0))
	for _, test := range []struct {
		name string
		more float64
		want Verdict
	}{{"the same", 1, Equivalent}, {"six times the scatter", 6, Inconclusive}} {
		s := Series{Metric: latency}
		for range 24 {
			drift := 0.005 * random.NormFloat64()
			s.Base = append(s.Base, math.Exp(drift+0.005*random.NormFloat64()))
			s.New = append(s.New, math.Exp(drift+0.005*test.more*random.NormFloat64()))
		}
		f := Pairs([]Series{s}, Alpha)[0]
		if f.Verdict != test.want || test.more > 1 && !strings.Contains(f.Reason, "differ from each other") {
			t.Errorf("%s: %s: %s (scatter %.3g, p %.3g)", test.name, f.Verdict, f.Reason, f.Scatter, f.scattered)
		}
	}
}

// Where the scatter is the same, it is told to be larger in one of twenty comparisons at
// most, over all metrics, of runs and of pairs.
func TestFalseAlarmsOfScatter(t *testing.T) {
	const comparisons, metrics, runs = 400, 8, 12
	random := rand.New(rand.NewPCG(22, 0))
	wide := Metric{Name: "x", Margin: 10}
	for name, decide := range map[string]func([]Series) []Finding{
		"runs": Runs, "pairs": func(all []Series) []Finding { return Pairs(all, Alpha) },
	} {
		alarms := 0
		for range comparisons {
			all := make([]Series, metrics)
			for m := range all {
				all[m] = Series{wide, draw(random, runs, 1, 0.02), draw(random, runs, 1, 0.02)}
			}
			if !Decided(decide(all)) {
				alarms++
			}
		}
		if most := 0.05 + 3*math.Sqrt(0.05*0.95/comparisons); float64(alarms)/comparisons > most {
			t.Errorf("%s: %d alarms in %d", name, alarms, comparisons)
		}
	}
}
