package scenarios_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/scenarios"
)

// TestReadingAllocates bounds what reading a scenario costs by its allocations,
// which a busy machine does not change: compiling one pattern for each value took
// ten times as many.
func TestReadingAllocates(t *testing.T) {
	yaml, _ := scenarios.Example("target")
	text := []byte(mustJSON(t, exampleScenario(t, "target")))
	for _, test := range []struct {
		name  string
		read  func() error
		bound float64
	}{
		{"YAML", func() error { _, err := scenarios.Decode("target.yaml", yaml); return err }, 4000},
		{"JSON", func() error { var s scenarios.Scenario; return json.Unmarshal(text, &s) }, 4000},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := testing.AllocsPerRun(5, func() {
				if err := test.read(); err != nil {
					t.Fatal(err)
				}
			})
			if got > test.bound {
				t.Errorf("%.0f allocations, want at most %.0f", got, test.bound)
			}
			t.Logf("%.0f allocations", got)
		})
	}
}

// BenchmarkReadJSON reads scenarios that stand on one line, as a program writes
// them: the time per request stays the same however many there are.
func BenchmarkReadJSON(b *testing.B) {
	for _, requests := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("requests=%d", requests), func(b *testing.B) {
			text := []byte(`{"requests":[` + strings.TrimSuffix(strings.Repeat(`{"path":"/products","weight":2},`, requests), ",") + `]}`)
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				var s scenarios.Scenario
				if err := json.Unmarshal(text, &s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
