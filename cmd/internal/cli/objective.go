package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// parseObjective reads p99<50ms, p99.9 <= 1s, errors<0.1% and the like. Both
// signs mean the same: what is measured is never exactly the limit.
func parseObjective(text string) (scenarios.Objective, error) {
	wrong := func(why string) (scenarios.Objective, error) {
		return scenarios.Objective{}, fmt.Errorf("objective %q: %s; write for instance 'p99<50ms' or 'errors<0.1%%'", text, why)
	}
	what, limit, ok := strings.Cut(text, "<")
	if !ok {
		return wrong("there is no <")
	}
	what, limit = strings.ToLower(strings.TrimSpace(what)), strings.TrimSpace(strings.TrimPrefix(limit, "="))
	if what == "errors" {
		ratio, err := scenarios.ParseRatio(limit)
		if err != nil {
			return wrong(err.Error())
		}
		return scenarios.Objective{ErrorRatio: ratio}, nil
	}
	percent, isQuantile := strings.CutPrefix(what, "p")
	q, err := strconv.ParseFloat(percent, 64)
	if !isQuantile || err != nil || !(q > 0 && q < 100) {
		return wrong(strconv.Quote(what) + " is neither a quantile nor errors")
	}
	latency, err := time.ParseDuration(limit)
	if err != nil || latency <= 0 {
		return wrong(strconv.Quote(limit) + " is no time")
	}
	// Through whole numbers, so that 99.9 becomes 0.999 and not its neighbour.
	return scenarios.Objective{Quantile: math.Round(q*1e7) / 1e9, Latency: latency}, nil
}
