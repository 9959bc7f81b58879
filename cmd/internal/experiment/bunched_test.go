package experiment

import (
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

func TestBunchesAreForLabs(t *testing.T) {
	rates := []float64{150, 300, 600, 1000, 1200}
	lab := &scenarios.Lab{}
	for _, test := range []struct {
		name string
		lab  *scenarios.Lab
		pace models.Pace
		want []float64
	}{
		{"a lab", lab, models.QuickPace(), []float64{150, 300}},
		{"a target", nil, models.QuickPace(), nil},
		{"a search for the highest rate", lab, models.FindPace(0), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			scenario := scenarios.Scenario{
				Lab: test.lab, Load: scenarios.Load{Arrivals: scenarios.Poisson},
				Connections: scenarios.Connections{Count: 8, StreamsPerConnection: 100},
			}
			writer, err := record.Create(t.TempDir()+"/run", record.Run{Scenario: scenario}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close(record.EndedDone, "")
			s := sizing{runner: &runner{options: Options{Scenario: scenario}, writer: writer}, pace: test.pace}
			got := s.bunched(rates, 1000)
			if len(got) != len(test.want) {
				t.Fatalf("got %d phases, want %d", len(got), len(test.want))
			}
			for i, p := range got {
				if p.Kind != scenarios.KindBunched || p.Bunch != 40 || p.Process != scenarios.Constant || p.Rate.RPS() != test.want[i] || p.Duration != test.pace.Bunched {
					t.Errorf("phase %d: got %+v, want 40 at a time, evenly, at %v/s", i+1, p, test.want[i])
				}
			}
		})
	}
}
