package record

import (
	"reflect"
	"testing"
)

func TestTimesMerge(t *testing.T) {
	short := &Times{Seconds: []float64{0.1, 0.3}, Counts: []int64{2, 1}}
	long := &Times{Seconds: []float64{0.2, 0.3, 0.9}, Counts: []int64{5, 4, 1}}
	both := &Times{Seconds: []float64{0.1, 0.2, 0.3, 0.9}, Counts: []int64{2, 5, 5, 1}}
	tests := []struct {
		name    string
		a, b    *Times
		want    *Times
		wantAll int64
	}{
		{"nothing", nil, nil, nil, 0},
		{"with nothing", short, nil, short, 3},
		{"nothing with something", nil, long, long, 10},
		{"two", short, long, both, 13},
		{"the other way round", long, short, both, 13},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.a.Merge(tt.b)
			if !reflect.DeepEqual(got, tt.want) || got.N() != tt.wantAll {
				t.Errorf("got %+v of %d, want %+v of %d", got, got.N(), tt.want, tt.wantAll)
			}
		})
	}
}
