package analysis

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/sailplan-io/sailplan/analysis/stat"
)

func TestCapacityKeepsItsFieldsInJSON(t *testing.T) {
	want := Capacity{
		Estimate: stat.Estimate{Value: 1013, Low: 960, High: 1070, Confidence: 0.95, N: 9, Warnings: []string{"few"}},
		BoundBy:  "cpu-75%",
		Candidates: []Candidate{
			{BoundBy: "cpu-75%", Rps: stat.Estimate{Value: 1013, Low: 960, High: 1070, Confidence: 0.95, N: 9, Warnings: []string{}}, Safe: 960, Reason: "CPU"},
		},
	}
	data, err := json.Marshal(map[string]Capacity{"capacity": want})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]Capacity
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got["capacity"], want) {
		t.Errorf("read back %+v, want %+v\n%s", got["capacity"], want, data)
	}
}
