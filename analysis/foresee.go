package analysis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sailplan-io/sailplan/analysis/compare"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// ForeseePairs tells what so many pairs will show, by the pairs that were measured: those
// of the same index of both sides. margins and alpha are as of CompareRuns and
// compare.Pairs.
func ForeseePairs(base, after []*record.Record, margins map[string]float64, pairs int, alpha float64) ([]compare.Expectation, error) {
	if len(base) == 0 || len(base) != len(after) {
		return nil, errors.New("telling what pairs will show: there are no pairs")
	}
	allowed := marginsOf(after[len(after)-1])
	old, _ := measuredRuns(base, allowed, true)
	fresh, _ := measuredRuns(after, allowed, true)
	return compare.Foresee(seriesOf(old, fresh, margins), true, pairs, alpha), nil
}

// ForeseeByRuns tells the same by earlier runs of the base, which have to be of what the
// scenario asks: ErrOtherScenario.
func ForeseeByRuns(base []*record.Record, scenario scenarios.Scenario, margins map[string]float64, pairs int, alpha float64) ([]compare.Expectation, error) {
	for _, rec := range base {
		if differs := scenarioDifferences(scenario, rec.Scenario); len(differs) > 0 {
			return nil, fmt.Errorf("%s: %w: %s", rec.Dir, ErrOtherScenario, strings.Join(differs, "; "))
		}
	}
	runs, _ := measuredRuns(base, scenarios.Defaults(scenario).Margins, false)
	return compare.Foresee(seriesOf(runs, nil, margins), false, pairs, alpha), nil
}
