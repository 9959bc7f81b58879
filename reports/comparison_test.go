package reports

import (
	"strings"
	"testing"

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

// What was told beforehand is in the document as it was told.
func TestExpectedSection(t *testing.T) {
	section := expectedSection([]compare.Expectation{
		{Metric: compare.Metric{Name: "latency p50", Unit: "seconds"}, Pairs: 12, Detectable: 0.05, Low: 0.04, High: 0.09, From: 4},
		{Metric: compare.Metric{Name: "error ratio", Unit: "ratio", Absolute: true}, Pairs: 12, From: 4},
		{Metric: compare.Metric{Name: "handshakes"}, Pairs: 12, Needs: 13, From: 4},
	})
	table, _ := section.Blocks[0].(Table)
	want := []string{"5 % (4 % … 9 %)", "not known: they are all alike", "none: that takes 13 pairs"}
	for i, row := range table.Rows {
		if got := strings.ReplaceAll(row.Cells[1], "\u00a0", " "); got != want[i] {
			t.Errorf("%s: %q, want %q", row.Cells[0], got, want[i])
		}
	}
	if len(table.Rows) != len(want) || len(expectedSection(nil).Blocks) != 0 {
		t.Errorf("%d rows", len(table.Rows))
	}
}
