package analysis

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// TestThreeRatesOfARecord holds the rates of a made-up gateway with a quota to its
// formulas.
func TestThreeRatesOfARecord(t *testing.T) {
	for _, c := range chains() {
		if c.name != "gateway-quota" && c.name != "gateway-concurrency" {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			rec, err := record.Open(filepath.Join("testdata", "records", c.name))
			if err != nil {
				t.Fatal(err)
			}
			result, err := Analyze(rec)
			if err != nil {
				t.Fatal(err)
			}
			if len(result.Rates) != 3 {
				t.Fatalf("rates %+v, want three", result.Rates)
			}
			edge, limit, full := result.Rates[0], result.Rates[1], result.Rates[2]
			if edge.Rate != RateOfEdge || limit.Rate != RateOfCPULimit || full.Rate != RateOfSaturation || limit.Component != "gateway" {
				t.Fatalf("rates %s, %s of %s, %s", edge.Rate, limit.Rate, limit.Component, full.Rate)
			}
			if edge.Measured.Value != result.Verification.MeasuredRps.Value || edge.Fitted.Value != result.SLOEdge.Rps.Value || math.Abs(*edge.FittedError-result.Verification.RelativeError) > 1e-9 {
				t.Errorf("edge %+v is not what the proof says", edge)
			}
			if result.Forecast != nil && edge.Forecast.Value != result.Forecast.SLOEdgeRps.Value {
				t.Errorf("edge forecast %v, want %v", edge.Forecast, result.Forecast.SLOEdgeRps)
			}
			p := c.parts[0]
			want := solve(func(rate float64) bool { _, wanted := p.cores(rate, 1); return wanted >= atCeiling*p.ceiling() })
			if m := limit.Measured; !(m.Low <= want*1.05 && want*0.95 <= m.High) && !math.IsInf(m.High, 1) {
				t.Errorf("CPU at its limit between %.0f and %.0f/s, want %.0f", m.Low, m.High, want)
			}
			for _, r := range result.Rates {
				if (r.ForecastError != nil) != (r.Forecast.OK() && r.Measured.OK() && !math.IsInf(r.Measured.High, 1)) {
					t.Errorf("%s: error %v of %v against %v", r.Rate, r.ForecastError, r.Forecast, r.Measured)
				}
			}
		})
	}
}

// rated is a valid phase that offered a rate, of which so much was answered, with so
// many cores of the gateway.
func rated(offered, achieved, cores float64) examined {
	p := examined{}
	p.Spec.Kind = "search"
	p.summary = PhaseSummary{OfferedRps: offered, AchievedRps: achieved, CPUCores: map[string]stat.Estimate{"gateway": {Value: cores}}}
	p.summary.Verdict.Valid = true
	return p
}

func TestMeasuredRates(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name         string
		phases       []examined
		limit, full  [2]float64 // low, high; 0, 0: not estimable
		value, inAll float64
	}{
		{"between two phases", []examined{rated(1000, 1000, 0.2), rated(1500, 1500, 0.295), rated(4000, 3100, 0.3)}, [2]float64{1000, 1500}, [2]float64{3100, 3100}, 1250, 3100},
		{"never at the ceiling", []examined{rated(1000, 1000, 0.2)}, [2]float64{1000, inf}, [2]float64{1000, inf}, 1000, 1000},
		{"always at the ceiling", []examined{rated(1000, 990, 0.3)}, [2]float64{}, [2]float64{990, inf}, math.NaN(), 990},
		{"noise turns two around", []examined{rated(1400, 1400, 0.296), rated(1500, 1500, 0.28)}, [2]float64{1400, 1500}, [2]float64{1500, inf}, 1450, 1500},
		// What a phase that is not full answers, a full one must answer as well.
		{"a disturbed phase", []examined{rated(2000, 1000, 0.3), rated(1500, 1500, 0.2)}, [2]float64{1500, 2000}, [2]float64{1500, inf}, 1750, 1500},
		{"nothing", nil, [2]float64{}, [2]float64{}, math.NaN(), math.NaN()},
	} {
		t.Run(c.name, func(t *testing.T) {
			gateway := Component{Name: "gateway", ReplicasMeasured: 1, Concurrency: 1, CPULimitCores: 0.3}
			r := &Result{}
			limit, full := r.cpuLimit(gateway, nil, c.phases).Measured, r.saturation("gateway", nil, c.phases).Measured
			same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
			if !same(limit.Value, c.value) || limit.OK() && (limit.Low != c.limit[0] || limit.High != c.limit[1]) {
				t.Errorf("CPU at its limit %+v, want %v in %v", limit, c.value, c.limit)
			}
			if !same(full.Value, c.inAll) || full.OK() && (full.Low != c.full[0] || full.High != c.full[1]) {
				t.Errorf("saturation %+v, want %v in %v", full, c.inAll, c.full)
			}
			if limit.OK() && math.IsInf(limit.High, 1) && len(limit.Warnings) == 0 {
				t.Error("a bound does not say that it is one")
			}
		})
	}
}
