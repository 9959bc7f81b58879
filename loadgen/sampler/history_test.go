package sampler

import (
	"math"
	"reflect"
	"testing"

	"github.com/prometheus/common/model"
)

func TestBucketsOf(t *testing.T) {
	vector := func(pairs ...any) (out model.Vector) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, &model.Sample{Metric: model.Metric{"le": model.LabelValue(pairs[i].(string))}, Value: model.SampleValue(pairs[i+1].(float64))})
		}
		return out
	}
	for _, test := range []struct {
		name   string
		vector model.Vector
		unit   float64
		want   []Bucket
	}{
		{"none", nil, 1, nil},
		{"in any order", vector("+Inf", 10., "0.1", 4., "0.5", 9.), 1, []Bucket{{0, 0.1, 4}, {0.1, 0.5, 5}, {0.5, math.Inf(1), 1}}},
		{"milliseconds, and an empty bucket", vector("5", 3., "10", 3., "25", 7.), 1e-3, []Bucket{{0, 0.005, 3}, {0.01, 0.025, 4}}},
		{"a sum that falls a little", vector("1", 5., "2", 4.9, "4", 6.), 1, []Bucket{{0, 1, 5}, {2, 4, 1}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := bucketsOf(test.vector, test.unit)
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %v, %v, want %v", got, err, test.want)
			}
		})
	}
	if got, err := bucketsOf(vector("", 5.), 1); err == nil {
		t.Errorf("without le: got %v, want an error", got)
	}
}
