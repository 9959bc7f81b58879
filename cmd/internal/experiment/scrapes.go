package experiment

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

const (
	// scrapesNeeded lie inside every phase that counts, so that a counter can be
	// differenced between two of them even when the third is late.
	scrapesNeeded = 3
	// scrapePatience is how long a run waits to be scraped before it begins.
	scrapePatience = 5 * time.Minute
)

// scraped lists the components that are read from Prometheus.
func (r *runner) scraped() (components []scenarios.ObservedComponent) {
	for _, c := range r.options.Scenario.Observe.Components {
		if c.Prometheus.Any() {
			components = append(components, c)
		}
	}
	return components
}

// learnScrapes finds out how far the scrapes of the components lie apart, and
// with it how long a phase has to be. Scrapes from before the run tell as well:
// the sampler's first question is for them. Where there are none, it waits.
func (r *runner) learnScrapes(ctx context.Context) error {
	components := r.scraped()
	if len(components) == 0 {
		return nil
	}
	for began := time.Now(); ; {
		apart, fewest := time.Duration(0), math.MaxInt
		for _, c := range components {
			spacing, n := scrapeSpacing(time.Since(r.base), func(since time.Duration) int { return r.sampler.Fresh(c.Name, since) })
			apart, fewest = max(apart, spacing), min(fewest, n)
		}
		if fewest > scrapesNeeded {
			r.scrapes = apart
			r.shortest = apart * (scrapesNeeded + 1)
			r.options.Observer.Note(fmt.Sprintf("scrapes of Prometheus lie %s apart, so a phase lasts %s or longer",
				apart.Round(10*time.Millisecond), r.shortest.Round(10*time.Millisecond)))
			return nil
		}
		if time.Since(began) > scrapePatience {
			return fmt.Errorf("prometheus %s: %d samples of a component in %s, %d are needed: is it scraped?",
				r.options.Scenario.Observe.Prometheus, fewest, scrapePatience, scrapesNeeded+1)
		}
		r.settle(ctx, 200*time.Millisecond)
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}

// scrapeSpacing returns how far samples lie apart at most, and how many that is
// known from. fresh counts those since an instant. A window with n of them holds
// n − 1 distances; the window that the samples fill best comes closest.
func scrapeSpacing(now time.Duration, fresh func(since time.Duration) int) (spacing time.Duration, n int) {
	const longest = 2 * scrapePatience
	spacing = longest
	for window := time.Second; window < longest; window += window / 16 {
		got := fresh(now - window)
		if got > scrapesNeeded {
			spacing = min(spacing, window/time.Duration(got-1))
		}
		n = max(n, got)
	}
	return spacing, n
}

// sparse says which component was scraped too rarely during a phase; empty: none.
func (r *runner) sparse(phase record.PhaseData) string {
	components := r.scraped()
	if len(components) == 0 {
		return ""
	}
	samples := models.Samples(phase)
	for _, c := range components {
		if n := fewestSamples(samples[c.Name]); n < scrapesNeeded {
			return fmt.Sprintf("%s: %d samples of %s from Prometheus lie inside, %d are needed", phase.Spec.Name, n, c.Name, scrapesNeeded)
		}
	}
	return ""
}

// fewestSamples counts the samples of the replica and metric with the fewest.
func fewestSamples(replicas map[string]models.Replica) int {
	fewest := math.MaxInt
	for _, replica := range replicas {
		for _, series := range replica {
			fewest = min(fewest, series.N)
		}
	}
	if fewest == math.MaxInt {
		return 0
	}
	return fewest
}

// counts reports whether a phase is one that samples are differenced in.
func counts(kind scenarios.PhaseKind) bool {
	return kind != scenarios.KindPreflight && kind != scenarios.KindWarmUp
}

// awaitScrapes waits until the samples of a phase that come from Prometheus are
// in: they arrive a scrape and a question later. It is bounded, since a source
// that has fallen silent is for the verdict to find.
func (r *runner) awaitScrapes(ctx context.Context, sent time.Duration) {
	components := r.scraped()
	for deadline := time.Now().Add(20*time.Second + 2*r.scrapes); ctx.Err() == nil && time.Now().Before(deadline); {
		late := false
		for _, c := range components {
			late = late || r.sampler.Fresh(c.Name, sent) == 0
		}
		if !late {
			return
		}
		r.settle(ctx, 200*time.Millisecond)
	}
}
