package reports

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// TestTimeline checks rates of seconds: phases are not joined, and what is left
// of a second at the end of a phase is not drawn.
func TestTimeline(t *testing.T) {
	second := func(at float64, answered int64, p99 time.Duration) record.Tick {
		return record.Tick{At: time.Duration(at * 1e9), Answered: answered, P50: p99 / 2, P99: p99}
	}
	rec := &record.Record{Data: []record.PhaseData{
		{Phase: record.Phase{Start: time.Second}, Timeline: []record.Tick{
			second(2, 100, 20*time.Millisecond), second(3, 0, 0), second(3.01, 1, 500*time.Millisecond),
		}},
		{Phase: record.Phase{Start: 5 * time.Second}, Timeline: []record.Tick{second(5.5, 100, 30*time.Millisecond)}},
	}}
	result := analysis.Result{Phases: []analysis.PhaseSummary{{OfferedRps: 100, StartSeconds: 1, Seconds: 2}}}
	got := map[string][][2]float64{}
	for _, b := range timelineCharts(result, rec) {
		for _, l := range b.(Series).Lines {
			for _, p := range l.Points {
				y := p.Y
				if math.IsNaN(y) {
					y = -1
				}
				got[b.(Series).Title+" "+l.Name] = append(got[b.(Series).Title+" "+l.Name], [2]float64{p.X, y})
			}
		}
	}
	want := map[string][][2]float64{
		"Rate over the run answered": {{2, 100}, {3, 0}, {3.01, -1}, {5.5, 200}, {5.5, -1}},
		"Rate over the run offered":  {{1, 100}, {3, 100}, {3, -1}},
		"Latency over the run p99":   {{2, 20}, {3.01, -1}, {5.5, 30}, {5.5, -1}},
		"Latency over the run p50":   {{2, 10}, {3.01, -1}, {5.5, 15}, {5.5, -1}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}
