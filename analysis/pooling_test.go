package analysis

import (
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

func TestBunchSize(t *testing.T) {
	for _, test := range []struct {
		name    string
		edge    float64
		limit   string // http2MaxRequests
		count   int
		streams int
		want    int
	}{
		{"a lab that carries much", 8000, "1000", 8, 100, 64},
		{"a small quota: less than half of what a period of 100 ms carries", 900, "1000", 8, 100, 36},
		{"a tight breaker: half of it", 4000, "16", 8, 100, 8},
		{"a breaker that would refuse any bunch", 4000, "6", 8, 100, 1},
		{"no limit", 4000, "4294967295", 8, 100, 64},
		{"few streams: half of them", 4000, "1000", 16, 1, 8},
		{"two streams", 4000, "1000", 1, 2, 1},
		{"hardly any load", 60, "1000", 8, 100, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := record.Run{
				Scenario: scenarios.Scenario{Connections: scenarios.Connections{Count: test.count, StreamsPerConnection: test.streams}},
				Lab:      &record.Lab{Policy: []record.Policy{{Field: "connectionPool.http.http2MaxRequests", Value: test.limit}}},
			}
			if got := BunchSize(run, test.edge); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}
