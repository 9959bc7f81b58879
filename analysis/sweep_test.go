package analysis

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// sweptRecord is a sizing of one made-up gateway with so many threads and such a limit.
func sweptRecord(t *testing.T, threads int, limit float64, change func(*chain)) *record.Record {
	t.Helper()
	c := chains()[0]
	c.name = "sweep"
	c.parts[0] = gatewayPart(func(p *part) { p.Concurrency, p.CPULimitCores = threads, limit })
	change(c)
	dir := filepath.Join(t.TempDir(), fmt.Sprintf("%d-%g", threads, limit))
	if err := c.write(dir, 3); err != nil {
		t.Fatal(err)
	}
	rec, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

func TestSweepChooses(t *testing.T) {
	plain := func(*chain) {}
	small, whole := sweptRecord(t, 1, 0.3, plain), sweptRecord(t, 1, 1, plain)
	s, err := SweepOf([]*record.Record{small, whole})
	if err != nil {
		t.Fatal(err)
	}
	if s.Outcome != Recommended || s.Chosen < 0 || len(s.Runs) != 2 || s.PlannedRps != 6000 {
		t.Fatalf("sweep %+v", s)
	}
	for i, r := range s.Runs {
		if r.WhyNot != "" || r.Replicas == 0 || math.Abs(r.CPUCores-float64(r.Replicas)*mustCPU(t, r.Requests.CPU)) > 1e-9 {
			t.Errorf("run %d: %+v", i, r)
		}
	}
	// Wake-ups get rarer with the load, so a whole core carries more than 3⅓ times what 300m
	// does; but losses take whole replicas. What is chosen takes the least cores.
	if best, other := s.Runs[s.Chosen], s.Runs[1-s.Chosen]; best.CPUCores > other.CPUCores {
		t.Errorf("chosen %s with %g cores, and %s takes %g", best.Name(), best.CPUCores, other.Name(), other.CPUCores)
	}
	if whole := s.Runs[1].Capacity.Safe(); !(whole > 3.3*s.Runs[0].Capacity.Safe()) {
		t.Errorf("a whole core carries %.0f/s, 300m carry %.0f", whole, s.Runs[0].Capacity.Safe())
	}
	if s.BoundBy != s.Runs[s.Chosen].Name() || s.RunnerUp != s.Runs[1-s.Chosen].Name() || len(s.Explain) != 2 {
		t.Errorf("bound by %q, then %q, in %d steps", s.BoundBy, s.RunnerUp, len(s.Explain))
	}
	// The price of the quota: by the formulas of the chain, p99 at the rate that was
	// throttled, with the limit and without.
	if len(s.Prices) != 1 {
		t.Fatalf("prices %+v, want that of 300m", s.Prices)
	}
	p := s.Prices[0]
	if p.With != 0 || p.Without != 1 || p.ThrottledRatio < 0.5 || math.Abs(p.WithoutRps/p.WithRps-1) > nearbyRates {
		t.Errorf("price %+v", p)
	}
	for _, c := range []struct {
		limit, rps, got float64
	}{{0.3, p.WithRps, p.WithSeconds}, {1, p.WithoutRps, p.WithoutSeconds}} {
		c0 := chains()[0]
		c0.parts[0] = gatewayPart(func(p *part) { p.CPULimitCores = c.limit })
		if _, want, _ := c0.latency(c.rps); math.Abs(c.got/want-1) > 0.2 {
			t.Errorf("p99 with a limit of %g at %.0f/s is %g s, want %g", c.limit, c.rps, c.got, want)
		}
	}

	t.Run("by prices", func(t *testing.T) {
		records := []*record.Record{sweptRecord(t, 1, 0.3, plain), sweptRecord(t, 1, 1, plain)}
		for _, rec := range records {
			rec.Scenario.Prices = scenarios.Prices{GiBHour: 1}
		}
		s, err := SweepOf(records)
		if err != nil {
			t.Fatal(err)
		}
		// Memory alone costs, and each replica needs about as much: fewer are cheaper.
		if s.Chosen != 1 || !(s.Runs[1].CostPerHour > 0) || s.Runs[1].CostPerHour > s.Runs[0].CostPerHour {
			t.Errorf("chosen %d of %+v, want the one with fewer replicas", s.Chosen, s.Runs)
		}
	})
	t.Run("no rate to plan for", func(t *testing.T) {
		none := func(c *chain) { c.peak = 0 }
		s, err := SweepOf([]*record.Record{sweptRecord(t, 1, 0.3, none), sweptRecord(t, 1, 1, none)})
		if err != nil || s.Chosen < 0 || !strings.Contains(s.OutcomeReason, "for 1\u00a0000/s") {
			t.Errorf("%v: %+v", err, s)
		}
	})
	t.Run("one that is of no use", func(t *testing.T) {
		s, err := SweepOf([]*record.Record{sweptRecord(t, 1, 0.3, func(c *chain) { c.floor, c.edge = 0.06, 1000 }), whole})
		if err != nil || s.Chosen != 1 || s.Runs[0].WhyNot == "" || len(s.Warnings) != 1 {
			t.Errorf("%v: %+v, want the other one", err, s)
		}
	})
	t.Run("none that is of use", func(t *testing.T) {
		slow := func(c *chain) { c.floor, c.edge = 0.06, 1000 }
		s, err := SweepOf([]*record.Record{sweptRecord(t, 1, 0.3, slow), sweptRecord(t, 2, 0.3, slow)})
		if err != nil || s.Chosen != -1 || s.Outcome != Infeasible {
			t.Errorf("%v: %+v, want infeasible", err, s)
		}
	})
	if _, err := SweepOf([]*record.Record{small}); err == nil {
		t.Error("one sizing makes no sweep")
	}
	other := *whole
	other.Scenario.Metadata.Name = "other"
	if _, err := SweepOf([]*record.Record{small, &other}); err == nil {
		t.Error("two scenarios make no sweep")
	}
}

func mustCPU(t *testing.T, text string) float64 {
	t.Helper()
	cpu, err := scenarios.ParseCPU(text)
	if err != nil {
		t.Fatal(err)
	}
	return cpu.Cores()
}
