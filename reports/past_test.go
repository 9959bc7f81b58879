package reports

import (
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
)

func TestCourse(t *testing.T) {
	rising := make([]float64, 96)
	for i := range rising {
		rising[i] = float64(i / 48)
	}
	for _, test := range []struct {
		name   string
		values []float64
		want   string
	}{
		{"one", []float64{3}, "▁"},
		{"all equal", []float64{2, 2, 2}, "▁▁▁"},
		{"from low to high", []float64{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"},
		{"a step in more values than columns", rising, "▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁████████████████"},
	} {
		if got := course(test.values); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

// The answer stands first, and few runs are no proof that nothing changed.
func TestPastVerdict(t *testing.T) {
	series := func(higher bool, n int, past compare.Past) analysis.MetricPast {
		return analysis.MetricPast{Metric: compare.Metric{Name: "x", Higher: higher}, Runs: make([]string, n), Values: make([]float64, n), Past: past}
	}
	step := compare.Past{Changes: []compare.Change{{At: 4, Before: 10, After: 12}}}
	for _, test := range []struct {
		name    string
		metrics []analysis.MetricPast
		text    string
		detail  string
	}{
		{"too few", []analysis.MetricPast{series(false, 7, compare.Past{})}, "Not known yet", "takes 8 runs to tell a change, and there are 7"},
		{"nothing", []analysis.MetricPast{series(false, 8, compare.Past{})}, "No change", "None of 1 metrics"},
		{"slower", []analysis.MetricPast{series(false, 9, step), series(false, 9, compare.Past{})}, "Worse than it was", "1 of 2 metrics became worse, and 0 better"},
		{"more a second", []analysis.MetricPast{series(true, 9, step)}, "Better than it was", "1 of 1 metrics became better"},
		{"little by little", []analysis.MetricPast{series(false, 9, compare.Past{Drift: 0.1})}, "Worse than it was", "1 of 1"},
		{"the last stands out", []analysis.MetricPast{series(false, 9, compare.Past{Pending: true})}, "No change yet", "1 of 1"},
		{"an outlier", []analysis.MetricPast{series(false, 9, compare.Past{Outliers: []int{3}})}, "No change", "None of 1"},
	} {
		d := PastOf("shop", test.metrics, nil)
		v, ok := d.Sections[0].Blocks[0].(Verdict)
		if !ok || v.Text != test.text || !strings.Contains(v.Detail, test.detail) || v.Status == Failed {
			t.Errorf("%s: %+v, want %q and %q", test.name, d.Sections[0].Blocks[0], test.text, test.detail)
		}
	}
}

// The chart has each value once, outliers apart, and a line where a change is.
func TestPastCharts(t *testing.T) {
	m := analysis.MetricPast{
		Metric: compare.Metric{Name: "error ratio", Unit: "ratio"}, Values: []float64{0.01, 0.5, 0.01, 0.02},
		Past: compare.Past{Changes: []compare.Change{{At: 3}}, Outliers: []int{1}},
	}
	chart, _ := pastCharts([]analysis.MetricPast{m}).Blocks[0].(Series)
	if len(chart.Lines) != 2 || len(chart.Lines[0].Points) != 3 || len(chart.Lines[1].Points) != 1 {
		t.Fatalf("lines %+v", chart.Lines)
	}
	if p := chart.Lines[1].Points[0]; p.X != 2 || p.Y != 50 || chart.Y.Unit != "%" {
		t.Errorf("the outlier is at %+v, in %s", p, chart.Y.Unit)
	}
	if len(chart.Markers) != 1 || chart.Markers[0].At != 3.5 { // between the third run and the fourth
		t.Errorf("markers %+v", chart.Markers)
	}
}

// Runs that do not count are named in the document.
func TestPastNamesWhatIsLeftOut(t *testing.T) {
	d := PastOf("shop", nil, []analysis.ComparedRun{{Dir: "runs/3", WhyNot: "it was killed"}})
	last := d.Sections[len(d.Sections)-1]
	table, _ := last.Blocks[0].(Table)
	if last.Title != "Left out" || len(table.Rows) != 1 || table.Rows[0].Cells[0] != "runs/3" || table.Rows[0].Cells[1] != "it was killed" {
		t.Errorf("%+v", last)
	}
}
