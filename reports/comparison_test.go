package reports

import "testing"

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
