package experiment

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Connections are measured where somebody asks for it, and of a lab that takes its time.
func TestWhoseConnectionsAreHeld(t *testing.T) {
	lab := &scenarios.Lab{}
	for _, test := range []struct {
		name         string
		lab          *scenarios.Lab
		quick, asked bool
		want         bool
	}{
		{"a lab at full length", lab, false, false, true},
		{"a quick lab", lab, true, false, false},
		{"a quick lab that is asked", lab, true, true, true},
		{"a target", nil, false, false, false},
		{"a target that is asked", nil, false, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			scenario := scenarios.Scenario{Lab: test.lab, Sizing: scenarios.Sizing{PerConnection: test.asked}}
			s := sizing{runner: &runner{options: Options{Scenario: scenario, Quick: test.quick}}}
			if got := s.holdsConnections(); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// More are opened as long as no component's memory comes near its limit.
func TestRoomForConnections(t *testing.T) {
	const limit = 100 << 20
	components := []record.Component{{Name: "gateway", MemoryLimitBytes: limit}, {Name: "service"}}
	for _, test := range []struct {
		name      string
		component string
		metric    record.Metric
		share     float64 // of the limit
		want      bool
	}{
		{"plenty", "gateway", record.RSSBytes, 0.5, true},
		{"near it", "gateway", record.RSSBytes, 0.9, false},
		{"near it by the working set", "gateway", record.WorkingSetBytes, 0.9, false},
		{"without a limit", "service", record.RSSBytes, 5, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			phase := record.PhaseData{
				Phase:   record.Phase{End: 2 * time.Second, SendEnd: 2 * time.Second},
				Samples: []record.Sample{{At: time.Second, Component: test.component, Metrics: map[record.Metric]float64{test.metric: test.share * limit}}},
			}
			if got := roomFor(phase, components); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}
