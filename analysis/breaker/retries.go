package breaker

import (
	"fmt"
	"math"
	"time"
)

// serverErrors are the condition under which retries are tried: an endpoint's 5xx,
// since that lasts as long as the trial wants.
const serverErrors = "5xx"

// retries is the trial of what bounds retries: maxRetries, or instead of it the
// retry budget.
func (s Setup) retries() []Trial {
	budget := s.Client.RetryBudget
	limit := s.Client.ConnectionPool.HTTP.MaxRetries
	switch {
	case budget.Enabled.Value:
		return []Trial{s.budgetTrial()}
	case isSet(limit):
		return []Trial{s.retryTrial(float64(limit.Value))}
	}
	return nil
}

// attempts are those of the route, or of a usual one.
func (s Setup) attempts() uint32 {
	if s.Retries != nil && s.Retries.Attempts > 0 {
		return s.Retries.Attempts
	}
	return 2
}

func (s Setup) retryTrial(n float64) Trial {
	b := s.direct()
	b.Client.ConnectionPool.HTTP.MaxRetries = s.Client.ConnectionPool.HTTP.MaxRetries
	b.Retries = &Retries{Attempts: s.attempts(), On: serverErrors}
	attempts := float64(s.attempts())
	// In flight as retries: rate × attempts × hold.
	wanted := 2*n + 6
	hold := seconds(math.Min(math.Max(0.25, wanted/attempts/(mostRate/4)), longestHold.Seconds()))
	rate := wanted / attempts / hold.Seconds()
	t := Trial{
		Name: "maxRetries", Field: fieldRetries, Side: Client, Limit: uint32(n),
		Expected:   fmt.Sprintf("a client has %.0f retries in flight; what would be one more gets the endpoint's error instead", n),
		Impossible: b.tooMany(2 * wanted),
	}
	bad := Fault{Hold: hold, Status: 500}
	t.Parts = []Part{{b, []Step{
		{Name: "few retries", Faults: all(b, bad), Load: load(rate*0.35*n/wanted, n, 20*hold), For: 4 * hold},
		{Name: "many retries", Load: load(rate, 2*wanted, 20*hold), For: 4 * hold},
	}}}
	inFlight := func(p Point) float64 { return p.InFlight }
	t.judge = func(facts []Facts) outcome {
		few, many := facts[0], facts[1]
		refused, first := many.Client["upstream_rq_retry_overflow"], rate*hold.Seconds()
		usual := middle(many, inFlight)
		observed := fmt.Sprintf("few: %.0f retries refused; many: %.0f refused, %.0f sent, with %.0f requests in flight of which %.0f are first attempts", few.Client["upstream_rq_retry_overflow"], refused, many.Client["upstream_rq_retry"], usual, first)
		switch {
		case few.Client["upstream_rq_retry_overflow"] > 0:
			return failed(observed, "retries were refused below the limit")
		case refused == 0 && many.Client["upstream_rq_retry"]*hold.Seconds()/many.Seconds < n/2:
			return unmeasured(observed, "there were not more than %.0f retries at once", n)
		case refused == 0:
			return failed(observed, "no retry was refused at the limit")
		case usual > first*1.1+n+s.tolerance(n+first):
			return failed(observed, "that is more than the first attempts and %.0f retries", n)
		case many.Errors[classOverflow] > 0:
			return failed(observed, "callers saw an overflow instead of the endpoint's error: %v", many.Errors)
		}
		return passed(observed)
	}
	return t
}

func (s Setup) budgetTrial() Trial {
	budget := s.Client.RetryBudget
	share, least := budget.Percent.Value/100, float64(budget.MinRetryConcurrency.Value)
	b := s.direct()
	b.Client.RetryBudget = budget
	b.Retries = &Retries{Attempts: s.attempts(), On: serverErrors}
	const first = 100.0 // first attempts in flight
	hold := 400 * time.Millisecond
	t := Trial{
		Name: "retryBudget", Field: fieldBudget, Side: Client, Limit: fmt.Sprintf("%g %%, at least %.0f", budget.Percent.Value, least),
		Expected: fmt.Sprintf("when all requests fail, no more than %g %% of those in flight are retries, or %.0f", budget.Percent.Value, least),
	}
	if share >= 1 {
		t.Impossible = fmt.Sprintf("a budget of %g %% allows any number of retries", budget.Percent.Value)
	}
	t.Parts = []Part{{b, []Step{{
		Name: "all requests fail", Faults: all(b, Fault{Hold: hold, Status: 500}), Load: load(first/hold.Seconds(), 3*first, 10*time.Second), For: 3 * time.Second,
	}}}}
	t.judge = func(facts []Facts) outcome {
		f := facts[0]
		usual := middle(f, func(p Point) float64 { return p.InFlight })
		// The retries are a share of all that is in flight, themselves included.
		allowed := math.Max(first+least, first/(1-share))
		perRequest := f.Client["upstream_rq_retry"] / math.Max(1, float64(f.Sent))
		observed := fmt.Sprintf("%.0f in flight, of which %.0f are first attempts; %.2f retries for each request, %.0f refused", usual, first, perRequest, f.Client["upstream_rq_retry_overflow"])
		switch {
		case f.Client["upstream_rq_retry_overflow"] == 0:
			return failed(observed, "no retry was refused although all requests failed")
		case usual > allowed*1.1+s.tolerance(allowed):
			return failed(observed, "the budget allows %.0f", allowed)
		case f.Client["upstream_rq_retry"] == 0:
			return failed(observed, "nothing was retried")
		}
		return passed(observed)
	}
	return t
}
