package quantity

import (
	"math"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

// plain makes no-break spaces visible as ordinary ones.
func plain(text string) string { return strings.ReplaceAll(text, "\u00a0", " ") }

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want string
	}{
		{"rate", Rate(1240), "1 240/s"},
		{"large rate", Rate(1234567.4), "1 234 567/s"},
		{"rate below a hundred", Rate(12.54), "12.5/s"},
		{"rate rounded up to a hundred", Rate(99.97), "100/s"},
		{"small rate", Rate(0.25), "0.25/s"},
		{"tiny rate", Rate(0.0031), "0.0031/s"},
		{"no rate", Rate(0), "0/s"},
		{"unlimited", Rate(math.Inf(1)), "unlimited"},
		{"unknown", Rate(math.NaN()), "–"},
		{"milliseconds", Duration(0.0084), "8.4 ms"},
		{"microseconds", Duration(66e-6), "66 µs"},
		{"nanoseconds", Duration(5e-9), "5 ns"},
		{"rounded into the next unit", Duration(0.0009996), "1 ms"},
		{"seconds", Duration(1.25), "1.25 s"},
		{"minutes", Duration(125), "2 min 5 s"},
		{"full minutes", Duration(180), "3 min"},
		{"hours", Duration(3900), "1 h 5 min"},
		{"no time", Duration(0), "0 ms"},
		{"negative", Duration(-0.002), "−2 ms"},
		{"bytes", Bytes(1000), "1 000 B"},
		{"mebibytes", Bytes(48.3 * (1 << 20)), "48.3 MiB"},
		{"gibibytes", Bytes(8 << 30), "8 GiB"},
		{"cores", Cores(0.237), "0.237 cores"},
		{"few cores", Cores(0.0005), "0.0005 cores"},
		{"many cores", Cores(12.34), "12.3 cores"},
		{"percent", Percent(0.123), "12.3 %"},
		{"small percent", Percent(0.0005), "0.05 %"},
		{"one in a million", Percent(1e-6), "0.0001 %"},
		{"no percent", Percent(0), "0 %"},
		{"all", Percent(1), "100 %"},
		{"above", SignedPercent(0.031), "+3.1 %"},
		{"below", SignedPercent(-0.031), "−3.1 %"},
		{"count", Count(60000), "60 000"},
		{"number", Number(1.003), "1"},
		{"four digits", FineNumber(0.020453908), "0.02045"},
		{"four digits of a tiny number", FineNumber(3.3584292e-06), "0.000003358"},
		{"four digits of a large number", FineNumber(12208.4), "12 208"},
		{"four digits between", FineNumber(960.15091), "960.2"},
	} {
		if got := plain(c.got); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEstimate(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		name string
		e    stat.Estimate
		unit Unit
		want string
	}{
		{"rate", stat.Estimate{Value: 1240, Low: 1180, High: 1300, Confidence: 0.95}, PerSecond, "1 240/s (1 180 – 1 300)"},
		{"the interval has the unit of the value", stat.Estimate{Value: 0.00095, Low: 0.0009, High: 0.0012, Confidence: 0.95}, Seconds, "950 µs (900 – 1 200)"},
		{"only a lower bound", stat.Estimate{Value: 3100, Low: 2700, High: inf, Confidence: 0.95}, PerSecond, "3 100/s (at least 2 700)"},
		{"only an upper bound", stat.Estimate{Value: 3100, Low: -inf, High: 3200, Confidence: 0.95}, PerSecond, "3 100/s (at most 3 200)"},
		{"no bound", stat.Estimate{Value: 0.0893, Low: -inf, High: inf}, Seconds, "89.3 ms"},
		{"four digits", stat.Estimate{Value: 0.00089096, Low: 0.000754, High: 0.0010277, Confidence: 0.95}, Fine, "0.000891 (0.000754 – 0.0010277)"},
		{"zero has the digits of its upper end", stat.Estimate{Value: 0, Low: 0, High: 0.00013274, Confidence: 0.95}, Fine, "0 (0 – 0.0001327)"},
		{"no confidence, so no interval", stat.Estimate{Value: 5}, PerSecond, "5/s"},
		{"negative end", stat.Estimate{Value: 0.01, Low: -0.002, High: 0.022, Confidence: 0.95}, CoreCount, "0.01 cores (−0.002 – 0.022)"},
		{"not estimable", stat.NotEstimable(3, "too few phases (3)"), PerSecond, "not estimable: too few phases (3)"},
		{"without a reason", stat.Estimate{Value: math.NaN()}, PerSecond, "not estimable"},
	} {
		if got := plain(Estimate(c.e, c.unit)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
