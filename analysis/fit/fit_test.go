package fit

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/models/scaling"
)

// specsdm91 is the data set of that name in the R package usl.
const specsdm91 = "load,throughput\n1,64.9\n18,995.9\n36,1652.4\n72,1853.2\n108,1828.9\n144,1775.0\n216,1702.2\n"

func fitted(t *testing.T, text string, o Options) Result {
	t.Helper()
	table, err := read(text, Columns{ZeroX: ZeroX(o.Model)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Fit(table, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance*math.Abs(want) }

func parameter(t *testing.T, r Result, name string) float64 {
	t.Helper()
	for _, p := range r.Parameters {
		if p.Name == name {
			return p.Value
		}
	}
	t.Fatalf("no parameter %q in %v", name, r.Parameters)
	return 0
}

// TestPublished: README of the R package usl 2.0.0, whose fit weighs all alike.
func TestPublished(t *testing.T) {
	r := fitted(t, specsdm91, Options{Model: USL, Noise: scaling.Constant, Predict: []float64{18}, Inverse: []float64{1540.98, 2000}})
	for name, want := range map[string]float64{"sigma": 0.0277285, "kappa": 0.0001044, "lambda": 89.9952330} {
		if got := parameter(t, r, name); !near(got, want, 5e-4) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	if !near(float64(r.ResidualStandardError), 82.8, 1e-3) || r.Noise != "constant" {
		t.Errorf("residual standard error: got %v (%s), want 82.8", r.ResidualStandardError, r.Noise)
	}
	if got := r.Peak.Concurrency.Value; !near(got, 96.51956, 1e-5) {
		t.Errorf("peak: got %v, want 96.51956", got)
	}
	if got := r.Predictions[0]; got.X != 18 || !near(got.Value, 1078, 5e-4) {
		t.Errorf("prediction: got %+v, want 1078 at 18", got)
	}
	// It gives 1541 at 36.
	if got := r.Inverse[0]; !got.Feasible || !near(got.Value, 36, 1e-3) {
		t.Errorf("inverse: got %+v, want 36", got)
	}
	if got := r.Inverse[1]; got.Feasible || got.OK() || !strings.HasPrefix(got.Warnings[0], "infeasible: ") {
		t.Errorf("inverse above the peak: got %+v, want infeasible with a reason", got)
	}
}

func TestAlternatives(t *testing.T) {
	r := fitted(t, specsdm91, Options{Model: Amdahl})
	var names []string
	for _, a := range r.Alternatives {
		names = append(names, a.Model)
	}
	if got := strings.Join(names, " "); got != "linear usl piecewise" {
		t.Errorf("got %s, want all others", got)
	}
	if r.Alternatives[0].Rejected == "" || r.Alternatives[1].Rejected != "" {
		t.Errorf("rejected: got linear %q and usl %q, want the first only", r.Alternatives[0].Rejected, r.Alternatives[1].Rejected)
	}
	if all := strings.Join(r.Warnings, "\n"); !strings.Contains(all, "amdahl: the points reject it") {
		t.Errorf("got %q, want it to say that the model is rejected", all)
	}
	if r.Preferred != Piecewise {
		t.Errorf("preferred: got %s, want piecewise", r.Preferred)
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name, text, model, want string
	}{
		{"few points", "n,x\n1,100\n2,190\n4,340\n8,530\n", USL, "4 points leave one degree of freedom"},
		{"a bound", "n,x\n1,100\n2,196\n4,370\n8,680\n16,1180\n32,1830\n", USL, "kappa is at its bound 0"},
		{"superlinear", "n,x\n1,100\n2,215\n4,450\n8,950\n16,1950\n32,3800\n", USL, "superlinear: at 16"},
		{"a better one", "n,x\n1,20\n4,78\n8,130\n12,170\n16,190\n20,200\n24,210\n28,230\n32,260\n48,280\n64,310\n", USL, "amdahl predicts better what it was not shown"},
		{"residuals", specsdm91, Linear, "neighbouring residuals err alike"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := strings.Join(fitted(t, c.text, Options{Model: c.model}).Warnings, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

// TestDemand: 20 millicores idle and 700 µs a request, without noise.
func TestDemand(t *testing.T) {
	r := fitted(t, "rps,cores\n0,0.02\n100,0.09\n200,0.16\n400,0.30\n800,0.58\n",
		Options{Model: Demand, Predict: []float64{500, 2000}, Inverse: []float64{0.51, 0.01}})
	if got := parameter(t, r, "cpuSecondsPerRequest"); !near(got, 700e-6, 1e-9) {
		t.Errorf("CPU of a request: got %v, want 700 µs", got)
	}
	if got := parameter(t, r, "idleCores"); !near(got, 0.02, 1e-9) {
		t.Errorf("idle: got %v, want 0.02", got)
	}
	if got := r.Predictions[0]; !near(got.Value, 0.37, 1e-9) || len(got.Warnings) > 0 {
		t.Errorf("at 500: got %+v, want 0.37", got)
	}
	if got := r.Predictions[1]; !near(got.Value, 1.42, 1e-9) || len(got.Warnings) != 1 {
		t.Errorf("at 2000: got %+v, want 1.42 with a warning", got)
	}
	if got := r.Inverse[0]; !got.Feasible || !near(got.Value, 700, 1e-6) {
		t.Errorf("for 0.51 cores: got %+v, want 700/s", got)
	}
	if got := r.Inverse[1]; got.Feasible || got.OK() {
		t.Errorf("for less than idle: got %+v, want infeasible", got)
	}
	if r.LooError > 1e-9 || r.Peak != nil {
		t.Errorf("got an error of %v and a peak %v, want none", r.LooError, r.Peak)
	}
}

// TestDemandLeftOut: three points in a line and one off it by 0.1 cores; the fit
// without it is that line.
func TestDemandLeftOut(t *testing.T) {
	r := fitted(t, "rps,cores\n100,0.1\n200,0.2\n300,0.3\n400,0.5\n", Options{Model: Demand})
	if float64(r.LooError) < 0.1/2 {
		t.Errorf("got %v, want the 0.1 of one in four in it", r.LooError)
	}
}

// TestMMC: one server of 10 ms answers after 1 ÷ (100 − rate) seconds.
func TestMMC(t *testing.T) {
	r := fitted(t, "rps,seconds\n10,0.011111\n50,0.02\n80,0.05\n90,0.1\n", Options{Model: MMC, Servers: 1, Predict: []float64{60, 200}, Inverse: []float64{0.04, 0.005}})
	if got := parameter(t, r, "serviceSeconds"); !near(got, 0.01, 1e-4) {
		t.Errorf("service time: got %v, want 0.01", got)
	}
	if got := parameter(t, r, "capacityRps"); !near(got, 100, 1e-4) {
		t.Errorf("capacity: got %v, want 100", got)
	}
	if got := r.Predictions[0]; !near(got.Value, 0.025, 1e-3) {
		t.Errorf("at 60: got %+v, want 25 ms", got)
	}
	if got := r.Predictions[1]; got.OK() {
		t.Errorf("beyond capacity: got %+v, want no value", got)
	}
	if got := r.Inverse[0]; !got.Feasible || !near(got.Value, 75, 1e-3) {
		t.Errorf("for 40 ms: got %+v, want 75/s", got)
	}
	if got := r.Inverse[1]; got.Feasible {
		t.Errorf("for half the service time: got %+v, want infeasible", got)
	}
}

func TestFitRefuses(t *testing.T) {
	for _, c := range []struct {
		name, text string
		o          Options
		want       string
	}{
		{"too few", "n,x\n1,2\n2,3\n3,4\n", Options{Model: USL}, "data.csv:4: too few points: 3; usl has 3 parameters and needs at least 4, better 6 or more"},
		{"too few for a line", "n,x\n1,2\n", Options{Model: Linear}, "data.csv:2: too few points: 1; linear has one parameter and needs at least 2, better 6 or more"},
		{"too few rates", "n,x\n1,2\n2,3\n", Options{Model: Demand}, "data.csv:3: too few points: 2; demand needs at least 3 different rates"},
		{"too few to find servers", "n,x\n1,2\n2,3\n3,4\n", Options{Model: MMC}, "data.csv:4: too few points: 3; mmc needs at least 4"},
		{"demand that falls", "n,x\n1,9\n2,5\n3,1\n4,0.5\n", Options{Model: Demand}, "data.csv: demand can't be fitted"},
		{"no such model", specsdm91, Options{Model: "cubic"}, `no model "cubic"`},
		{"predict at 0", specsdm91, Options{Model: USL, Predict: []float64{0}}, "--predict 0: has to be a number from 1e-12 to 1e+15"},
		{"predict at infinity", specsdm91, Options{Model: USL, Predict: []float64{math.Inf(1)}}, "--predict +Inf"},
		{"inverse of nothing", specsdm91, Options{Model: USL, Inverse: []float64{math.NaN()}}, "--inverse NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := read(c.text, Columns{})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Fit(table, c.o)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s…", err, c.want)
			}
		})
	}
}

// TestExtremes: whatever passes the reader is fitted without a panic, and what
// comes out is JSON.
func TestExtremes(t *testing.T) {
	for name, text := range map[string]string{
		"smallest and largest": "n,x\n1e-12,1e15\n1,1e-12\n1e6,1\n1e15,1e15\n",
		"steps":                "n,x\n1,1\n2,1e-9\n3,1e9\n4,1e-9\n5,1\n",
		"flat":                 "n,x\n1,5\n2,5\n3,5\n4,5\n5,5\n",
		"falling":              "n,x\n1,50\n2,20\n3,5\n4,1\n5,0.1\n",
		"close together":       "n,x\n1,1\n1.0001,1\n1.0002,1.0001\n1.0003,1\n",
		"fractions":            "n,x\n0.1,10\n0.2,19\n0.4,35\n0.8,60\n",
	} {
		for _, noise := range []scaling.Noise{scaling.Relative, scaling.Constant} {
			t.Run(fmt.Sprintf("%s %d", name, noise), func(t *testing.T) {
				for _, model := range []string{USL, Piecewise} {
					r := fitted(t, text, Options{Model: model, Noise: noise, Predict: []float64{1e-12, 3, 1e15}, Inverse: []float64{1e-12, 3, 1e15}})
					if _, err := json.Marshal(r); err != nil {
						t.Errorf("%s: %v", model, err)
					}
				}
			})
		}
	}
}

func TestJSON(t *testing.T) {
	r := fitted(t, specsdm91, Options{Model: USL, Predict: []float64{18, 500}, Inverse: []float64{1000, 5000}})
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"model":"usl"`, `"parameters":{"lambda":{"value":67.9`, `"sigma":{"value":0.01345`, `"kappa":{"value":0.000115`,
		`"predictions":[{"x":18,"value":`, `"inverse":[{"y":1000,"feasible":true,"value":`, `{"y":5000,"feasible":false,"value":null,"low":null`,
		`"alternatives":[{"model":"linear","parameters":{"lambda":`, `"rejected":true`, `"looError":0.13`, `"peak":{"concurrency":{"value":92.5`, `"throughput":{"value":1960`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	var again Result
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatal(err)
	}
	data2, err := json.Marshal(again)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != string(data2) {
		t.Errorf("read and written again: got %s, want %s", data2, data)
	}
	for i, p := range again.Parameters {
		if p.Name != r.Parameters[i].Name || p.Meaning != r.Parameters[i].Meaning || p.Value != r.Parameters[i].Value {
			t.Errorf("parameter %d: got %+v, want %+v", i, p, r.Parameters[i])
		}
	}
}
