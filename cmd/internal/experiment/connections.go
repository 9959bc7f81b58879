package experiment

import (
	"context"
	"fmt"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// connectionsShare is the share of the edge at which connections are held open: as
// little in flight as a load has.
const connectionsShare = 0.1

// holdsConnections reports whether the memory of connections is measured: where the
// scenario asks for it, and of a lab at full length.
func (s *sizing) holdsConnections() bool {
	return s.options.Scenario.Sizing.PerConnection || s.options.Scenario.Lab != nil && !s.options.Quick
}

// connections measures what connections take of memory: phases of a low rate, with more
// and more of them beside those of the load, which do nothing. It comes after all that
// is fitted: what a program frees it may keep.
func (s *sizing) connections(ctx context.Context, edge float64) error {
	for _, held := range models.ConnectionSteps() {
		enough, err := s.withConnections(ctx, held, connectionsShare*edge)
		if err != nil {
			return err
		}
		if enough != "" {
			s.options.Observer.Note(enough)
			return nil
		}
	}
	return nil
}

// withConnections runs one phase with so many connections more, and says why there are
// to be no others; empty: there may be.
func (s *sizing) withConnections(ctx context.Context, held int, rps float64) (enough string, err error) {
	if held > 0 {
		plan := s.plan
		plan.Connections.Count = held
		others, err := loadgen.Open(ctx, plan, loadgen.Options{Base: s.base, Credential: s.credential()})
		if err != nil {
			// What was measured tells as much as it does.
			return fmt.Sprintf("%d connections more could not be opened: %v", held, err), context.Cause(ctx)
		}
		defer others.Close()
	}
	s.settle(ctx, s.pace.Settle)
	spec := s.spec(scenarios.KindConnections, fmt.Sprintf("%d connections more", held), rps, s.pace.Connections)
	spec.Process, spec.Duration, spec.HeldConnections = scenarios.Constant, s.pace.Connections, held
	_, data, err := s.phase(ctx, spec)
	if err == nil && !roomFor(data, s.system.components) {
		enough = fmt.Sprintf("no more than %d connections are held open: the memory of a component comes near its limit", held)
	}
	return enough, err
}

// roomFor reports whether no component's memory is near its limit.
func roomFor(data record.PhaseData, components []record.Component) bool {
	samples := models.Samples(data)
	for _, c := range components {
		for _, metric := range []record.Metric{record.WorkingSetBytes, record.RSSBytes} {
			if most, ok := samples.Max(c.Name, metric); ok && c.MemoryLimitBytes > 0 && most > models.ConnectionShare*float64(c.MemoryLimitBytes) {
				return false
			}
		}
	}
	return true
}
