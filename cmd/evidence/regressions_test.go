package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/scenarios"
)

// The page in the docs is what the raw results say, and nothing else.
func TestRegressionsPage(t *testing.T) {
	all, err := readVerdicts(filepath.Join("results", "regressions.jsonl"))
	if err != nil || len(all) == 0 {
		t.Fatalf("%d results, error %v", len(all), err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "regressions.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(page, regressionsPage(all)) {
		t.Error("docs/regressions.md is not what the raw results say: run make evidence-regressions TIME=0s")
	}
}

func TestTasks(t *testing.T) {
	count := map[string]int{}
	all := tasks([]string{"a", "b"})
	for i, task := range all {
		count[task.kind]++
		if task.number != count[task.kind] {
			t.Errorf("%s %d is called %d", task.kind, count[task.kind], task.number)
		}
		if i < firstSame && task.kind != same {
			t.Errorf("%d is a %s: it is not known yet what can be found", i, task.kind)
		}
	}
	if count[same] != sameCount || count[dearer] != worseCount || count[slower] != worseCount || count[canary] != 2 {
		t.Errorf("got %v", count)
	}
}

// The summary counts what the issue of a goal asks for: alarms and open verdicts of all
// metrics, a change found by the metric that it is in, and in time.
func TestSummary(t *testing.T) {
	made := func(kind string, outcome analysis.Outcome, seconds float64, regressed string) verdict {
		return verdict{Kind: kind, How: how(kind), Outcome: outcome, Seconds: seconds, Metrics: []metricVerdict{{Name: regressed, Verdict: compare.Regressed}}}
	}
	by := map[string][]verdict{}
	for i := range sameCount {
		outcome := analysis.NothingRegressed
		switch {
		case i < 2:
			outcome = analysis.Regression
		case i < 6:
			outcome = analysis.Undecided
		}
		by[same] = append(by[same], made(same, outcome, 60, ""))
	}
	for i := range worseCount {
		cpu, latency, seconds := gatewayCPU, "latency p90", 60.0
		switch i {
		case 0:
			cpu = medianLatency // by the wrong one
		case 1:
			seconds = 601
		}
		by[dearer] = append(by[dearer], made(dearer, analysis.Regression, seconds, cpu))
		by[slower] = append(by[slower], made(slower, analysis.Regression, 60, latency))
	}
	var w bytes.Buffer
	writeSummary(&w, by)
	for _, want := range []string{
		"alarms | 2 of 20 | at most 1 of 20 | **missed** |", "left open | 4 of 20 | at most 4 of 20 | met |",
		"| 8 of 10 | 9 of 10 | **missed** |", "| 10 of 10 | 9 of 10 | met |",
	} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("the summary has no %q:\n%s", want, w.String())
		}
	}
}

// A worse gateway is the same Envoy with one filter more, and nothing else is changed.
func TestWithFilter(t *testing.T) {
	config := `{"static_resources": {"listeners": [{"filter_chains": [{"filters": [{"typed_config": {"http_filters": [{"name": "envoy.filters.http.router"}]}}]}]}]}}`
	for _, kind := range []string{dearer, slower} {
		text, err := withFilter([]byte(config), kind)
		if err != nil {
			t.Fatal(err)
		}
		var tree struct {
			StaticResources struct {
				Listeners []struct {
					FilterChains []struct {
						Filters []struct {
							TypedConfig struct {
								HTTPFilters []struct{ Name string } `json:"http_filters"`
							} `json:"typed_config"`
						}
					} `json:"filter_chains"`
				}
			} `json:"static_resources"`
		}
		if err := json.Unmarshal(text, &tree); err != nil {
			t.Fatal(err)
		}
		filters := tree.StaticResources.Listeners[0].FilterChains[0].Filters[0].TypedConfig.HTTPFilters
		if len(filters) != 2 || filters[1].Name != "envoy.filters.http.router" {
			t.Errorf("%s: %+v", kind, filters)
		}
	}
	if _, err := withFilter([]byte(`{}`), dearer); err == nil {
		t.Error("a configuration without filters was taken")
	}
	if _, err := withFilter([]byte(config), "faster"); err == nil {
		t.Error("a gateway was made worse in no known way")
	}
	sidecar := filepath.Join(t.TempDir(), "sidecar-0.json")
	if name, err := worsen(sidecar, dearer); err != nil || name != sidecar {
		t.Errorf("a sidecar's configuration became %s, %v", name, err)
	}
}

func TestReadVerdicts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "raw.jsonl")
	if all, err := readVerdicts(file); err != nil || len(all) != 0 {
		t.Errorf("no file: %v, %v", all, err)
	}
	if err := appendVerdict(file, verdict{Kind: same, Number: 1}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"kind": "same", "num`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if all, err := readVerdicts(file); err != nil || len(all) != 1 || all[0].Kind != same {
		t.Errorf("with a line that was cut off: %v, %v", all, err)
	}
}

func TestRegressionsScenario(t *testing.T) {
	s, err := scenarios.Decode("regressions.yaml", regressionsScenario)
	if err != nil {
		t.Fatal(err)
	}
	if err := scenarios.Validate(scenarios.Defaults(*s)); err != nil {
		t.Error(err)
	}
}
