package experiment

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

func TestRankedClasses(t *testing.T) {
	got := rankedClasses([]map[string]float64{{"list": 10, "get": 30, "": 1, "gone": 0}, {"list": 50}, nil})
	want := [][]record.Class{
		{{Name: "list", Requests: 10}, {Name: "get", Requests: 30}, {Name: "without it", Requests: 1}},
		{{Name: "list", Requests: 50}, {Name: "get"}, {Name: "without it"}},
		{{Name: "list"}, {Name: "get"}, {Name: "without it"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Of more than twelve the eleven most frequent are kept apart, and no request is lost.
func TestRankedClassesOfMany(t *testing.T) {
	window := map[string]float64{}
	for i := range 20 {
		window[fmt.Sprintf("c%02d", i)] = float64(100 - i)
	}
	got := rankedClasses([]map[string]float64{window})[0]
	// 100 − 11 to 100 − 19.
	rest := 89.0 + 88 + 87 + 86 + 85 + 84 + 83 + 82 + 81
	if len(got) != 12 || got[0] != (record.Class{Name: "c00", Requests: 100}) || got[11] != (record.Class{Name: "others", Requests: rest}) {
		t.Errorf("got %v, want eleven and the others with %g", got, rest)
	}
}
