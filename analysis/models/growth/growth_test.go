package growth

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// season is by day from the first of the histories here, a Wednesday.
var season = [7]float64{0.6, 1.1, 1.2, 1.15, 1.1, 1.25, 0.6}

func wednesday() time.Time { return time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC) }

// daily returns a history of one rate a day.
func daily(days int, rate func(day int) float64) History {
	var h History
	for d := range days {
		h.Times, h.Rates = append(h.Times, wednesday().AddDate(0, 0, d)), append(h.Rates, rate(d))
	}
	return h
}

func exponential(d int) float64 { return 1000 * math.Pow(1.002, float64(d)) * season[d%7] }

func linear(d int) float64 { return 1000 + 4*float64(d) + 500*season[d%7] }

// firstAt returns the first day ahead on which the rate is at least the limit.
func firstAt(days int, limit float64, rate func(day int) float64) float64 {
	for d := days; ; d++ {
		if rate(d) >= limit {
			return float64(d - days)
		}
	}
}

// TestKnownGrowth: without noise everything is found exactly.
func TestKnownGrowth(t *testing.T) {
	for _, c := range []struct {
		name     string
		rate     func(int) float64
		shape    Shape
		perMonth float64
		weekday  float64 // of Friday, the third day
	}{
		{"exponential", exponential, Exponential, math.Pow(1.002, 30.4375) - 1, 1.2},
		// At the end of 84 days the level is 1000 + 4·83 + 500.
		{"linear", linear, Linear, 4 * 30.4375 / 1832, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			const days = 84
			f := FromHistory(daily(days, c.rate), Options{Seed: 1, Draws: 50})
			if !f.OK() || f.Shape != c.shape || math.Abs(f.PerMonth.Value-c.perMonth) > 1e-6 {
				t.Fatalf("%s, %s growth of %.6f a month, want %s of %.6f", f.Why, f.Shape, f.PerMonth.Value, c.shape, c.perMonth)
			}
			if c.weekday > 0 && math.Abs(f.Weekdays[time.Friday]-c.weekday) > 1e-6 {
				t.Errorf("on Fridays %.4f, want %.4f", f.Weekdays[time.Friday], c.weekday)
			}
			if want := wednesday().AddDate(0, 0, days); !f.Start.Equal(want) {
				t.Errorf("starts at %s, want %s", f.Start, want)
			}
			for _, limit := range []float64{1.1, 1.2, 1.4} {
				limit *= f.Highest
				r := f.Reaches(limit)
				want := firstAt(days, limit, c.rate)
				if r.Outcome != Reached || r.Chance < 0.999 || r.Days.Value != want || r.Days.Low != want || r.Days.High != want {
					t.Errorf("%.0f/s: %s after %+v, want %.0f days", limit, r.Outcome, r.Days, want)
				}
				if got := f.PeakWithin(int(want)); want > 0 && got.Value >= limit {
					t.Errorf("a peak of %.1f/s within %.0f days, before %.1f/s is reached", got.Value, want, limit)
				}
				if got := f.PeakWithin(int(want) + 1); got.Value < limit {
					t.Errorf("a peak of %.1f/s within %.0f days, want at least %.1f", got.Value, want+1, limit)
				}
			}
		})
	}
}

// TestHourly: the peak of a day counts, and days that were not seen whole do not.
func TestHourly(t *testing.T) {
	var h History
	for hour := 15; hour < 30*24+5; hour++ {
		if hour/24 == 12 && hour%24 < 12 {
			continue // half a day is missing
		}
		h.Times = append(h.Times, wednesday().Add(time.Duration(hour)*time.Hour))
		h.Rates = append(h.Rates, exponential(hour/24)*(0.5+0.5*math.Sin(math.Pi*float64(hour%24)/24)))
	}
	f := FromHistory(h, Options{Draws: 50})
	if f.N != 28 || !f.Start.Equal(wednesday().AddDate(0, 0, 30)) {
		t.Errorf("%d days up to %s, want 28 up to the 30th", f.N, f.Start)
	}
	if r := f.Reaches(1500); r.Days.Value != firstAt(30, 1500, exponential) {
		t.Errorf("%+v, want %.0f days", r, firstAt(30, 1500, exponential))
	}
}

func TestOutcomes(t *testing.T) {
	noisy := func(d int) float64 {
		return 1000 * season[d%7] * (1 + 0.02*math.Sin(float64(d*d)))
	}
	for _, c := range []struct {
		name    string
		history History
		limit   float64
		outcome Outcome
		why     string
	}{
		{"already", daily(28, exponential), 1200, Already, ""},
		{"level demand", daily(56, noisy), 3000, NotWithinHorizon, "not within the horizon of 365 days"},
		{"thirteen days", daily(13, exponential), 2000, NotEstimable, "13 whole days: less than two weeks has no season"},
		{"one value", daily(1, exponential), 2000, NotEstimable, "fewer than two values"},
		{"nothing", History{}, 2000, NotEstimable, "fewer than two values"},
		{"seven weeks of weeks", weekly(7), 2000, NotEstimable, "7 values more than a day apart"},
		{"no Mondays", without(daily(56, exponential), time.Monday), 2000, NotEstimable, "fit"},
		{"out of order", History{Times: []time.Time{wednesday(), wednesday()}, Rates: []float64{1, 2}}, 9, NotEstimable, "do not rise"},
		{"below zero", History{Times: []time.Time{wednesday()}, Rates: []float64{-1}}, 9, NotEstimable, "a rate of -1"},
		{"one too few", History{Times: []time.Time{wednesday()}}, 9, NotEstimable, "1 instants and 0 rates"},
		{"no limit", daily(28, exponential), math.NaN(), NotEstimable, "the limit is not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := FromHistory(c.history, Options{Draws: 100, Seed: 1})
			r := f.Reaches(c.limit)
			if r.Outcome != c.outcome || !strings.Contains(strings.Join(r.Days.Warnings, " "), c.why) {
				t.Errorf("%s, %q, want %s, %q", r.Outcome, r.Days.Warnings, c.outcome, c.why)
			}
			if ok := c.outcome == Already; r.Days.OK() != ok {
				t.Errorf("days %+v", r.Days)
			}
			if peak := f.PeakWithin(30); peak.OK() != f.OK() {
				t.Errorf("peak %+v, forecast %q", peak, f.Why)
			}
		})
	}
}

func weekly(n int) History {
	var h History
	for i := range n {
		h.Times, h.Rates = append(h.Times, wednesday().AddDate(0, 0, 7*i)), append(h.Rates, float64(100+i))
	}
	return h
}

func without(h History, weekday time.Weekday) History {
	var out History
	for i, at := range h.Times {
		if at.Weekday() != weekday {
			out.Times, out.Rates = append(out.Times, at), append(out.Rates, h.Rates[i])
		}
	}
	return out
}

func TestPeakWithinTheHorizon(t *testing.T) {
	f := FromHistory(daily(28, exponential), Options{HorizonDays: 60, Draws: 20})
	for days, ok := range map[int]bool{0: false, 1: true, 60: true, 61: false} {
		if got := f.PeakWithin(days); got.OK() != ok {
			t.Errorf("%d days: %+v", days, got)
		}
	}
}

func TestZeroIsLinear(t *testing.T) {
	f := FromHistory(daily(28, func(d int) float64 { return float64(10 * d) }), Options{Draws: 20})
	if f.Shape != Linear || !strings.Contains(strings.Join(f.Warnings, " "), "no logarithm") {
		t.Errorf("%s, %q", f.Shape, f.Warnings)
	}
}

func TestFromRate(t *testing.T) {
	f := FromRate(wednesday(), 1000, 0.05, 500)
	// ln 2 ÷ ln 1.05 are 14.2067 months of 30.4375 days: on the 433rd day.
	r := f.Reaches(2000)
	if r.Outcome != Reached || r.Days.Value != 432 || r.Days.Confidence != 0 || r.Chance != 1 {
		t.Errorf("%s after %+v, want 432 days", r.Outcome, r.Days)
	}
	if got := f.Date(432); !got.Equal(wednesday().AddDate(0, 0, 432)) {
		t.Errorf("on %s", got)
	}
	// A year is 12 months: 1.05^(365/30.4375).
	if got, want := f.PeakWithin(365).Value, 1000*math.Exp(math.Log(1.05)*365/30.4375); math.Abs(got-want) > 1e-6 {
		t.Errorf("%.3f/s within a year, want %.3f", got, want)
	}
	if r := f.Reaches(1000); r.Outcome != Already {
		t.Errorf("the peak of today: %s", r.Outcome)
	}
	if r := FromRate(wednesday(), 1000, -0.05, 0).Reaches(1001); r.Outcome != NotWithinHorizon {
		t.Errorf("falling demand: %s", r.Outcome)
	}
	for _, wrong := range [][2]float64{{0, 0.05}, {math.NaN(), 0.05}, {1, -1}, {1, math.Inf(1)}} {
		if r := FromRate(wednesday(), wrong[0], wrong[1], 0).Reaches(10); r.Outcome != NotEstimable {
			t.Errorf("%v: %s", wrong, r.Outcome)
		}
	}
}

// TestCoverage: 150 histories of 17 weeks that grow by 3 % a month, with a season and
// noise of 5 % that lasts (autocorrelation 0.5), and what really comes after each. The
// nominal 95 % have a standard error of 1.8 points; that the length of the noise has
// to be guessed may cost five.
func TestCoverage(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	const histories, days = 150, 119
	var dates, peaks, late float64
	for i := range histories {
		noise := 0.0
		path := make([]float64, days+1200)
		for d := range path {
			noise = 0.5*noise + 0.05*math.Sqrt(1-0.25)*random.NormFloat64()
			path[d] = 1000 * math.Pow(1.03, float64(d)/30.4375) * season[d%7] * math.Exp(noise)
		}
		f := FromHistory(daily(days, func(d int) float64 { return path[d] }), Options{Seed: uint64(i), Draws: 200, HorizonDays: 600})
		limit := 1.25 * f.Highest
		r := f.Reaches(limit)
		truth := firstAt(days, limit, func(d int) float64 { return path[d] })
		if r.Days.Low <= truth && truth <= r.Days.High {
			dates++
		}
		if truth > r.Days.Value {
			late++
		}
		highest := 0.0
		for _, v := range path[days : days+120] {
			highest = math.Max(highest, v)
		}
		if e := f.PeakWithin(120); e.Low <= highest && highest <= e.High {
			peaks++
		}
	}
	t.Logf("dates %.3f, peaks %.3f, later than foretold %.3f", dates/histories, peaks/histories, late/histories)
	if dates/histories < 0.88 || peaks/histories < 0.88 {
		t.Errorf("%.3f of the intervals of dates and %.3f of those of peaks cover, want about %.2f", dates/histories, peaks/histories, stat.Confidence)
	}
	if late/histories < 0.35 || late/histories > 0.65 {
		t.Errorf("%.3f of the limits are reached later than foretold, want about half", late/histories)
	}
}
