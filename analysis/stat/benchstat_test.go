package stat

import (
	"math"
	"slices"
	"testing"
)

// The examples of benchstat's documentation (golang.org/x/perf/cmd/benchstat): medians,
// their intervals as a share, and p to the digits that it prints.
func TestBenchstatExample(t *testing.T) {
	oldJSON := []float64{1726, 1723, 1707, 1707, 1713, 1729, 1736, 1707, 1705, 1774}
	newJSON := []float64{1423, 1416, 1411, 1413, 1412, 1426, 1422, 1424, 1447, 1425}
	oldGob := []float64{3069, 3075, 3069, 3067, 3207, 3064, 3064, 3058, 3059, 3062}
	newGob := []float64{3075, 3065, 3059, 3065, 3060, 3081, 3186, 3135, 3087, 3062}
	for _, test := range []struct {
		name       string
		values     []float64
		want, most float64 // µs to three decimals, and the larger half of the interval in %
	}{
		{"json, old", oldJSON, 1.718, 1}, {"json, new", newJSON, 1.423, 1},
		{"gob, old", oldGob, 3.066, 0}, {"gob, new", newGob, 3.070, 2},
		{"both formats, new", slices.Concat(newJSON, newGob), 2.253, 37},
	} {
		e := Median(test.values, 0.95)
		// What it prints is rounded half away from zero.
		if got := math.Round(e.Value) / 1e3; math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%s: median %g µs, want %g", test.name, got, test.want)
		}
		if half := math.Round(100 * math.Max(e.High/e.Value-1, 1-e.Low/e.Value)); half != test.most {
			t.Errorf("%s: ± %g %%, want %g", test.name, half, test.most)
		}
	}
	for _, test := range []struct {
		name     string
		old, new []float64
		want     string // what it prints
		p        float64
	}{
		{"json", oldJSON, newJSON, "0.000", 0}, {"gob", oldGob, newGob, "0.446", 0.446},
		{"gob against json", newJSON, newGob, "0.000", 0}, {"json against gob", newGob, newJSON, "0.000", 0},
	} {
		// Its test has two sides: the smaller tail, twice.
		p := 2 * math.Min(Above(test.old, test.new, 0), Above(test.new, test.old, 0))
		if math.Round(p*1000)/1000 != test.p {
			t.Errorf("%s: p = %.4f, want %s", test.name, p, test.want)
		}
	}
	for _, test := range []struct {
		name     string
		old, new []float64
		want     float64 // %
	}{
		{"json", oldJSON, newJSON, -17.20}, {"gob against json", newJSON, newGob, 115.82}, {"json against gob", newGob, newJSON, -53.66},
	} {
		if change := Median(test.new, 0.95).Value/Median(test.old, 0.95).Value - 1; math.Round(change*1e4)/100 != test.want {
			t.Errorf("%s: change %.4g %%, want %.2f %%", test.name, 100*change, test.want)
		}
	}
}
