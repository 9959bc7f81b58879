package sampler

import (
	"sync"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

const (
	// keptInstants is how many instants of a series are remembered.
	keptInstants = 256
	// ceased is how far a series may be behind its component's newest sample
	// before its replica counts as gone.
	ceased = time.Minute
)

// freshness remembers when each series was sampled.
type freshness struct {
	mu     sync.Mutex // guards series
	series map[freshKey][]time.Duration
}

type freshKey struct {
	component, replica string
	metric             record.Metric
}

func (f *freshness) note(sample record.Sample) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.series == nil {
		f.series = map[freshKey][]time.Duration{}
	}
	for metric := range sample.Metrics {
		key := freshKey{sample.Component, sample.Replica, metric}
		instants := f.series[key]
		if len(instants) == keptInstants {
			copy(instants, instants[1:])
			instants = instants[:keptInstants-1]
		}
		f.series[key] = append(instants, sample.At)
	}
}

func (f *freshness) count(component string, since time.Duration) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	newest := time.Duration(-1 << 62)
	for key, instants := range f.series {
		if key.component == component {
			newest = max(newest, instants[len(instants)-1])
		}
	}
	least := -1
	for key, instants := range f.series {
		if key.component != component || instants[len(instants)-1] < newest-ceased {
			continue
		}
		n := 0
		for i := len(instants) - 1; i >= 0 && instants[i] >= since; i-- {
			n++
		}
		if least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}
