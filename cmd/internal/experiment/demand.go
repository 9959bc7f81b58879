package experiment

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models/growth"
	"github.com/sailplan-io/sailplan/scenarios"
)

// mostDemand is how many values of a history of demand are recorded.
const mostDemand = 20_000

// pastDemand returns what demand was, as the scenario says where to find it; nil
// where it does not.
func pastDemand(ctx context.Context, scenario scenarios.Scenario) ([]scenarios.RateSample, error) {
	past := scenario.Demand.History
	var h growth.History
	switch {
	case past.Query != "":
		samples, err := rateSamples(ctx, scenario.Observe.Prometheus, past.Query, past.Last, time.Now())
		if err != nil {
			return nil, fmt.Errorf("demand.history.query: %w", err)
		}
		for _, s := range samples {
			if !(s.RPS >= 0) || math.IsInf(s.RPS, 0) {
				return nil, fmt.Errorf("demand.history.query: a rate of %v at %s", s.RPS, s.At.UTC().Format(time.RFC3339))
			}
			h.Times, h.Rates = append(h.Times, s.At), append(h.Rates, s.RPS)
		}
	case past.File != "":
		name := past.File
		if !filepath.IsAbs(name) {
			name = filepath.Join(scenario.Dir, name)
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("demand.history.file: %w", err)
		}
		defer f.Close()
		if h, err = growth.ReadCSV(f); err != nil {
			return nil, fmt.Errorf("demand.history.file %s: %w", name, err)
		}
	}
	h = h.Thin(mostDemand)
	var out []scenarios.RateSample
	for i, at := range h.Times {
		if !math.IsNaN(h.Rates[i]) {
			out = append(out, scenarios.RateSample{At: at, RPS: h.Rates[i]})
		}
	}
	return out, nil
}
