package models

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// ClassPoint is one phase as the cost of each request of a mix sees it, all per
// replica of a component and a second.
type ClassPoint struct {
	Rates        []float64 // answers, by class
	RequestBytes float64   // on the wire, from clients
	AnswerBytes  float64   // on the wire, to clients
	Cores        float64
	WakeUps      float64 // NaN: not known
}

// Classes is what each request of a mix costs a replica in CPU:
//
//	cores = Idle + Σ own cost·rate + perWakeUp·wakeUps
//
// and, as another form of the same cost, what a byte does:
//
//	cores = Idle + own cost·rate + PerRequestByte·requestBytes + PerAnswerByte·answerBytes + perWakeUp·wakeUps
//
// Rate and wake-ups rise together, so that what tells well is their sum: the cost of
// a request has in it its share of the wake-ups at the rate At. Valid as Demand is.
// What the phases do not tell apart is not estimable, and says so.
type Classes struct {
	PerClass       []stat.Estimate // CPU seconds of a request, by class
	AboveMean      []stat.Estimate // CPU seconds that it costs more than the mean request of the mix, by class
	PerRequest     stat.Estimate   // CPU seconds of a request of no bytes
	PerRequestByte stat.Estimate   // CPU seconds
	PerAnswerByte  stat.Estimate   // CPU seconds
	Idle           stat.Estimate   // cores, of the first form
	Told           int             // how many classes are told apart
	At             float64         // rps per replica, the middle of those measured
	ResidualCores  float64         // of the first form, root mean square
	Words          string          // what was fitted, or why nothing was
	perRequest     float64         // wake-ups a request at the rate At; 0: not known
}

// mostInflation is the variance inflation from which on two things rise together so
// closely that their costs are not told apart (Kutner and others, "Applied linear
// statistical models", 2005, §10.5).
const mostInflation = 10

// FitClasses fits what each class of a mix costs, by weighted non-negative least
// squares with intervals of a bootstrap over phases. Names are those of the classes,
// and shares how much each has of the usual mix; they sum up to 1. A class whose rate
// rose together with the others' is not estimable: then only their sum shows, which is
// the demand of the mix.
func FitClasses(points []ClassPoint, names []string, shares []float64) Classes {
	points = slices.DeleteFunc(slices.Clone(points), func(p ClassPoint) bool {
		return len(p.Rates) != len(names) || !finiteAll(p.Rates...) || !finiteAll(p.Cores, p.RequestBytes, p.AnswerBytes)
	})
	none := func(why string) Classes {
		e := stat.NotEstimable(len(points), why)
		all := slices.Repeat([]stat.Estimate{e}, len(names))
		return Classes{PerClass: all, AboveMean: slices.Clone(all), PerRequest: e, PerRequestByte: e, PerAnswerByte: e, Idle: e, Words: "not estimable: " + why}
	}
	if need := len(names) + 3; len(points) < need {
		return none(fmt.Sprintf("%d phases below throttling, the cost of each of %d requests needs %d", len(points), len(names), need))
	}
	out := none("")
	out.At, out.perRequest = wakeUpsPerRequest(points)
	out.byClass(points, names, shares)
	out.byByte(points)
	return out
}

// wakeUpsPerRequest returns the middle of the rates, and how many wake-ups a request
// comes with there; 0 when they are not known.
func wakeUpsPerRequest(points []ClassPoint) (rps, wakeUps float64) {
	rates, all := make([]float64, len(points)), make([]DemandPoint, len(points))
	for i, p := range points {
		rates[i] = sumOf(p.Rates)
		all[i] = DemandPoint{RPS: rates[i], WakeUps: p.WakeUps}
	}
	slices.Sort(rates)
	rps = rates[len(rates)/2]
	if scale, exponent, ok := fitWakeUps(all); ok && rps > 0 {
		wakeUps = scale * math.Pow(rps, exponent-1)
	}
	return rps, wakeUps
}

func finiteAll(values ...float64) bool {
	return !slices.ContainsFunc(values, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) })
}

// column is one cause of CPU.
type column struct {
	name string
	of   func(ClassPoint) float64
	into *stat.Estimate // nil: nobody asks
	wake bool           // a request comes with wake-ups
}

// byClass fits the first form.
func (c *Classes) byClass(points []ClassPoint, names []string, shares []float64) {
	var columns []column
	for i, name := range names {
		columns = append(columns, column{name: name, of: func(p ClassPoint) float64 { return p.Rates[i] }, into: &c.PerClass[i], wake: true})
	}
	together := inflated(points, columns)
	fit, used, err := c.fit(points, columns)
	if err != nil {
		c.Words = "not estimable: " + err.Error()
		for i := range c.PerClass {
			c.PerClass[i] = stat.NotEstimable(len(points), err.Error())
			c.AboveMean[i] = c.PerClass[i]
		}
		return
	}
	for i, inflation := range together {
		if inflation > mostInflation {
			c.PerClass[i] = stat.NotEstimable(len(points), fmt.Sprintf(
				"its rate rose together with those of the other requests (variance inflation %s, more than %d): only the sum of their costs shows", inflationWords(inflation), mostInflation))
			c.AboveMean[i] = c.PerClass[i]
			continue
		}
		c.Told++
		// Idle CPU and wake-ups, which are in all of them, are not in the difference:
		// it is better known than either.
		row := make([]float64, len(fit.Coefficients))
		for j, share := range shares {
			row[1+j] = -share
		}
		row[1+i]++
		c.AboveMean[i] = fit.Mean(row, stat.Confidence)
	}
	sum := 0.0
	for _, r := range fit.Residuals {
		sum += r * r / float64(len(points))
	}
	c.ResidualCores = math.Sqrt(sum)
	switch {
	case c.Told == 0:
		c.Words = fmt.Sprintf("the requests rose together in all of %d phases, so that only the sum of their costs shows", len(points))
	case c.Told < len(names):
		c.Words = fmt.Sprintf("%d of %d requests are told apart, over %d phases", c.Told, len(names), len(points))
	default:
		c.Words = fmt.Sprintf("told apart over %d phases, residual %.2g cores", len(points), c.ResidualCores)
	}
	if used {
		c.Words += "; with its share of the wake-ups at " + quantity.Rate(c.At) + " per replica"
	}
}

func inflationWords(v float64) string {
	if v > 1e6 {
		return "beyond bounds"
	}
	return fmt.Sprintf("%.3g", v)
}

// byByte fits the second form, as far as bytes and requests are told apart: both
// directions by themselves, or the one that varied alone.
func (c *Classes) byByte(points []ClassPoint) {
	request := column{name: "requests", of: func(p ClassPoint) float64 { return sumOf(p.Rates) }, into: &c.PerRequest, wake: true}
	in := column{name: "bytes of requests", of: func(p ClassPoint) float64 { return p.RequestBytes }, into: &c.PerRequestByte}
	out := column{name: "bytes of answers", of: func(p ClassPoint) float64 { return p.AnswerBytes }, into: &c.PerAnswerByte}
	for _, columns := range [][]column{{request, in, out}, {request, out}, {request, in}} {
		if slices.Max(inflated(points, columns)) > mostInflation {
			continue
		}
		idle := c.Idle
		_, _, err := c.fit(points, columns)
		c.Idle = idle
		if err == nil {
			for _, rest := range []column{in, out} {
				if !slices.ContainsFunc(columns, func(k column) bool { return k.name == rest.name }) {
					*rest.into = stat.NotEstimable(len(points), rest.name+" rose together with the requests: their cost is in that of a request")
				}
			}
			return
		}
	}
	why := "bytes rose together with the requests: the cost of a byte does not show"
	c.PerRequest, c.PerRequestByte, c.PerAnswerByte = stat.NotEstimable(len(points), why), stat.NotEstimable(len(points), why), stat.NotEstimable(len(points), why)
}

func sumOf(values []float64) (sum float64) {
	for _, v := range values {
		sum += v
	}
	return sum
}

// inflated returns the variance inflation of each column among the others.
func inflated(points []ClassPoint, columns []column) []float64 {
	out := make([]float64, len(columns))
	if len(columns) == 1 {
		return []float64{1}
	}
	rows := make([][]float64, len(points))
	for i, p := range points {
		for _, c := range columns {
			rows[i] = append(rows[i], c.of(p))
		}
	}
	for j := range out {
		out[j] = stat.VarianceInflation(rows, j)
	}
	return out
}

// fit fits the columns with idle CPU, and with the wake-ups unless they make
// predictions of left-out phases worse: a proxy pays for them.
func (c *Classes) fit(points []ClassPoint, columns []column) (fit stat.Fit, wakeUps bool, err error) {
	plain := append([]column{{name: "idle", of: func(ClassPoint) float64 { return 1 }, into: &c.Idle}}, columns...)
	if c.perRequest > 0 && len(points) >= len(columns)+4 {
		with := append(slices.Clone(plain), column{name: "wake-ups", of: func(p ClassPoint) float64 { return p.WakeUps }})
		if leftOut(points, with) < wakeUpsAsGood*leftOut(points, plain) {
			if fit, dropped, err := solve(points, with); err == nil && !slices.Contains(dropped, len(with)-1) {
				c.assign(fit, dropped, with, c.perRequest)
				return fit, true, nil
			}
		}
	}
	fit, dropped, err := solve(points, plain)
	if err != nil {
		return fit, false, err
	}
	c.assign(fit, dropped, plain, 0)
	return fit, false, nil
}

// classRows are the regression of columns, with the weights of FitDemand.
func classRows(points []ClassPoint, columns []column) (x [][]float64, y, w []float64) {
	for _, p := range points {
		row := make([]float64, len(columns))
		for j, c := range columns {
			row[j] = c.of(p)
		}
		sd := 0.01 + p.Cores
		x, y, w = append(x, row), append(y, p.Cores), append(w, 1/(sd*sd))
	}
	return x, y, w
}

func solve(points []ClassPoint, columns []column) (stat.Fit, []int, error) {
	x, y, w := classRows(points, columns)
	fit, dropped, err := stat.NonNegative(x, y, w, nil)
	if err != nil {
		return fit, nil, fmt.Errorf("the regression failed: %w", err)
	}
	return fit.OverBlocks(x, y, w, demandSeed), dropped, nil
}

// assign hands the coefficients out, those of requests with so many wake-ups each,
// whose cost is the last column's.
func (c *Classes) assign(fit stat.Fit, dropped []int, columns []column, wakeUps float64) {
	for j, column := range columns {
		row := make([]float64, len(columns))
		row[j] = 1
		if column.wake && wakeUps > 0 {
			row[len(row)-1] = wakeUps
		}
		switch {
		case column.into == nil:
		case slices.Contains(dropped, j) && !(column.wake && wakeUps > 0):
			*column.into = stat.NotEstimable(fit.N, fmt.Sprintf("the CPU of %s is too small to see", column.name))
		default:
			*column.into = notNegative(fit.Mean(row, stat.Confidence))
		}
	}
}

// leftOut is leaveOneOut for any columns.
func leftOut(points []ClassPoint, columns []column) float64 {
	sum := 0.0
	for i, out := range points {
		x, y, w := classRows(slices.Delete(slices.Clone(points), i, i+1), columns)
		fit, _, err := stat.NonNegative(x, y, w, nil)
		if err != nil {
			return math.Inf(1)
		}
		row, _, _ := classRows([]ClassPoint{out}, columns)
		e := (fit.Mean(row[0], stat.Confidence).Value - out.Cores) / (0.01 + out.Cores)
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(points)))
}
