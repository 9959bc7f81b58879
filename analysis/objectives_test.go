package analysis

import (
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// TestObjectivesOfALoad holds each objective against the load by itself.
func TestObjectivesOfALoad(t *testing.T) {
	yes, no := true, false
	latency := scenarios.Objective{Quantile: 0.99, Latency: 50 * time.Millisecond}
	errors := scenarios.Objective{ErrorRatio: 0.001}
	for _, test := range []struct {
		name    string
		outcome Outcome
		took    time.Duration
		answers int64
		failed  int64
		want    [2]*bool
		reasons [2]string
	}{
		{"both hold", Held, 10 * time.Millisecond, 5000, 0, [2]*bool{&yes, &yes}, [2]string{"p99 10 ms ≤ 50 ms", "errors 0 % ≤ 0.1 %"}},
		{"errors alone miss", Missed, 10 * time.Millisecond, 5000, 50, [2]*bool{&yes, &no}, [2]string{"p99 10 ms ≤ 50 ms", "errors 1 % > 0.1 %"}},
		{"latency alone misses", Missed, 80 * time.Millisecond, 5000, 0, [2]*bool{&no, &yes}, [2]string{"p99 80 ms > 50 ms", "errors 0 %"}},
		{"too few answers to tell", Missed, 10 * time.Millisecond, 100, 2, [2]*bool{nil, &no}, [2]string{"too few to tell", "errors 2 %"}},
		{"few, but a third never answered", Missed, 10 * time.Millisecond, 100, 50, [2]*bool{&no, &no}, [2]string{"33.3 % were never answered", "errors 33.3 %"}},
		{"few, but far beyond", Missed, 80 * time.Millisecond, 100, 0, [2]*bool{&no, &yes}, [2]string{"p99 of only 100 answers 80 ms > 50 ms", "errors 0 %"}},
		{"no valid answer", Invalid, 10 * time.Millisecond, 5000, 0, [2]*bool{}, [2]string{"not a valid answer", "not a valid answer"}},
		{"interrupted", Incomplete, 10 * time.Millisecond, 5000, 0, [2]*bool{}, [2]string{"not a valid answer", "not a valid answer"}},
		{"nothing sent", Incomplete, 10 * time.Millisecond, 0, 0, [2]*bool{}, [2]string{"nothing was measured", "nothing was measured"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			load := examine(record.PhaseData{
				Phase: record.Phase{
					Spec:   scenarios.Phase{Kind: scenarios.KindLoad},
					Counts: record.Counts{Intended: test.answers + test.failed, Sent: test.answers + test.failed, Answered: test.answers, Failed: test.failed},
				},
				Latency: all(test.took, test.answers), SendLag: all(time.Microsecond, test.answers), Service: all(test.took, test.answers),
			}, Conditions{Objectives: []scenarios.Objective{latency, errors}})
			r := Result{Outcome: test.outcome, Objectives: make([]Objective, 2)}
			r.judgeObjectives([]scenarios.Objective{latency, errors}, []examined{load})
			for i, got := range r.Objectives {
				if (got.Holds == nil) != (test.want[i] == nil) || got.Holds != nil && *got.Holds != *test.want[i] || !strings.Contains(plain(got.Reason), test.reasons[i]) {
					t.Errorf("objective %d: holds %s, %q, want %s, … %q …", i, told(got.Holds), got.Reason, told(test.want[i]), test.reasons[i])
				}
			}
		})
	}
}

func told(holds *bool) string {
	switch {
	case holds == nil:
		return "unknown"
	case *holds:
		return "true"
	}
	return "false"
}

// TestObjectivesOfASizing: what each objective is told by the outcome.
func TestObjectivesOfASizing(t *testing.T) {
	for _, test := range []struct {
		outcome Outcome
		edge    SLOEdge
		want    string
		reason  string
	}{
		{Recommended, SLOEdge{End: "reached"}, "true", "held up to the SLO edge of the chain"},
		{Recommended, SLOEdge{End: "not-reached"}, "true", "held up to the highest rate measured"},
		{Infeasible, SLOEdge{Objective: "p99 ≤ 50 ms"}, "false", "no number of replicas meets it"},
		{Infeasible, SLOEdge{Objective: "errors ≤ 0.1 %"}, "unknown", "another objective cannot be met"},
		{Contradicted, SLOEdge{}, "unknown", "contradicts"},
		{Invalid, SLOEdge{}, "unknown", "no valid answer"},
	} {
		r := Result{Outcome: test.outcome, SLOEdge: test.edge, Objectives: []Objective{{Text: "p99 ≤ 50 ms"}}}
		r.judgeObjectives(make([]scenarios.Objective, 1), nil)
		if got := r.Objectives[0]; told(got.Holds) != test.want || !strings.Contains(got.Reason, test.reason) {
			t.Errorf("%s: holds %s, %q, want %s, … %q …", test.outcome, told(got.Holds), got.Reason, test.want, test.reason)
		}
	}
}
