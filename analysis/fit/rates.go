package fit

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/models/queue"
	"github.com/sailplan-io/sailplan/analysis/stat"
)

// fitDemand fits CPU cores against a rate.
func fitDemand(t Table, o Options) (Result, error) {
	if len(t.Rows) < models.LeastRates {
		return Result{}, tooFew(t, fmt.Sprintf("%d; demand needs at least %d different rates", len(t.Rows), models.LeastRates))
	}
	points := make([]models.DemandPoint, len(t.Rows))
	for i, row := range t.Rows {
		points[i] = models.DemandPoint{RPS: row.X, Cores: row.Y, WakeUps: math.NaN()}
	}
	d := models.FitDemand(points)
	if !d.OK() {
		return Result{}, fmt.Errorf("%s: demand can't be fitted: %s", t.File, d.Words)
	}
	r := result(t, o.Model, "constant")
	r.Formula = "cores = idle + CPU time of a request × rate"
	r.Parameters = Parameters{
		{"idleCores", meaningOf("idleCores"), d.Idle},
		{"cpuSecondsPerRequest", meaningOf("cpuSecondsPerRequest"), d.PerRequest},
	}
	r.ResidualStandardError, r.LooError = Number(d.ResidualCores), Number(demandLeftOut(points))
	for _, x := range o.Predict {
		r.Predictions = append(r.Predictions, Prediction{x, d.CoresAt(x)})
	}
	for _, y := range o.Inverse {
		e := d.RateAt(y)
		feasible := e.OK() && e.Value > 0
		if e.OK() && !feasible {
			e = stat.NotEstimable(e.N, "infeasible: idling alone needs as much")
		}
		r.Inverse = append(r.Inverse, Inverse{y, feasible, e})
	}
	for _, row := range t.Rows {
		r.Points = append(r.Points, FittedPoint{row.Line, row.X, row.Y, Number(d.CoresAt(row.X).Value)})
	}
	r.draw(d.CoresAt)
	return r, nil
}

// demandLeftOut is the root mean square, in cores, of what is missed when each
// point is predicted from the others; NaN when one can't be.
func demandLeftOut(points []models.DemandPoint) float64 {
	sum := 0.0
	for i, out := range points {
		d := models.FitDemand(slices.Delete(slices.Clone(points), i, i+1))
		missed := d.CoresAt(out.RPS).Value - out.Cores
		sum += missed * missed
	}
	return math.Sqrt(sum / float64(len(points)))
}

// fitMMC fits the mean response time of a queue with several servers against the
// rate.
func fitMMC(t Table, o Options) (Result, error) {
	points := make([]queue.Point, len(t.Rows))
	for i, row := range t.Rows {
		points[i] = queue.Point{RPS: row.X, ResponseSeconds: row.Y}
	}
	least := 3
	if o.Servers == 0 {
		least = 4
	}
	if len(points) < least {
		return Result{}, tooFew(t, fmt.Sprintf("%d; mmc needs at least %d", len(points), least))
	}
	f, err := queue.FitMMC(points, o.Servers)
	if err != nil {
		return Result{}, fmt.Errorf("%s: %w", t.File, err)
	}
	r := result(t, o.Model, "relative")
	if o.Servers > 0 {
		if words := f.Rejected(points); words != "" {
			f.Warnings = append(f.Warnings, words)
		}
	}
	r.Formula = "mean response time of c servers with service rate μ each, random arrivals: 1 ÷ μ + C(c, rate ÷ μ) ÷ (cμ − rate)"
	servers := stat.Estimate{Value: float64(f.Servers), Low: float64(f.Servers), High: float64(f.Servers), Confidence: stat.Confidence, N: f.N}
	if n := len(f.Candidates); n > 0 {
		servers.Low, servers.High = float64(f.Candidates[0]), float64(f.Candidates[n-1])
	}
	r.Parameters = Parameters{
		{"servers", meaningOf("servers"), servers},
		{"serviceSeconds", meaningOf("serviceSeconds"), f.ServiceSeconds},
		{"capacityRps", meaningOf("capacityRps"), f.CapacityRPS},
	}
	r.ResidualStandardError, r.LooError = Number(f.ResidualSD), Number(f.LooError)
	for _, x := range o.Predict {
		r.Predictions = append(r.Predictions, Prediction{x, f.Response(x)})
	}
	for _, y := range o.Inverse {
		rate, feasible := f.RateFor(y)
		r.Inverse = append(r.Inverse, Inverse{y, feasible, rate})
	}
	for _, row := range t.Rows {
		r.Points = append(r.Points, FittedPoint{row.Line, row.X, row.Y, Number(f.Response(row.X).Value)})
	}
	r.draw(f.Response)
	r.Warnings = append(r.Warnings, f.Warnings...)
	return r, nil
}
