package loadgen

import (
	"slices"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// The slack is none up to 5 000/s, full from 20 000/s on, and on a straight line
// between.
func TestSlack(t *testing.T) {
	tests := []struct {
		name    string
		gap     time.Duration
		precise bool
		most    time.Duration
		want    time.Duration
	}{
		{"1 000/s", time.Millisecond, false, 880 * time.Microsecond, 0},
		{"5 000/s", 200 * time.Microsecond, false, 880 * time.Microsecond, 0},
		{"10 000/s", 100 * time.Microsecond, false, 880 * time.Microsecond, 293333 * time.Nanosecond},
		{"20 000/s", 50 * time.Microsecond, false, 880 * time.Microsecond, 880 * time.Microsecond},
		{"100 000/s", 10 * time.Microsecond, false, 880 * time.Microsecond, 880 * time.Microsecond},
		{"beyond counting", 0, false, 880 * time.Microsecond, 880 * time.Microsecond},
		{"20 000/s with a strict objective", 50 * time.Microsecond, false, 50 * time.Microsecond, 50 * time.Microsecond},
		{"20 000/s, precise", 50 * time.Microsecond, true, 880 * time.Microsecond, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &run{meanGap: int64(tt.gap), precise: tt.precise, mostSlack: int64(tt.most)}
			if got := time.Duration(r.slack()); got != tt.want {
				t.Errorf("slack %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	none := rateLimit{}
	none.sent(0)
	if !none.allows(0) {
		t.Error("without a limit something is held back")
	}
	l := rateLimit{gap: int64(time.Millisecond)} // 1 000/s
	sent := 0
	for now := int64(0); now < int64(time.Second); now += int64(100 * time.Microsecond) {
		if l.allows(now) != (now >= l.at()) {
			t.Fatalf("at %d something is allowed: %t, and so it should be from %d on", now, l.allows(now), l.at())
		}
		if l.allows(now) {
			l.sent(now)
			sent++
		}
	}
	if sent < 1000 || sent > 1002 {
		t.Errorf("%d sent in a second at 1 000/s", sent)
	}
}

func TestShareOfEndpoints(t *testing.T) {
	tests := []struct {
		name    string
		weights []float64
		n       int
		want    []int
	}{
		{"one", []float64{0}, 3, []int{0, 0, 0}},
		{"alike", []float64{0, 0}, 4, []int{0, 1, 0, 1}},
		{"one to three", []float64{1, 3}, 8, []int{1, 0, 1, 1, 1, 0, 1, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &connector{}
			for _, w := range tt.weights {
				c.endpoints = append(c.endpoints, &endpoint{at: scenarios.Endpoint{Weight: w}})
			}
			if got := c.share(tt.n); !slices.Equal(got, tt.want) {
				t.Errorf("share %v, want %v", got, tt.want)
			}
		})
	}
}

func TestSlowestTraces(t *testing.T) {
	var s slowest
	for i := range 1000 {
		latency := int64((i*7919)%1000 + 1) // each of 1 … 1000 once
		s.add(&exchangeRecord{trace: [2]uint64{1, uint64(latency)}}, latency)
	}
	s.cut()
	for i, trace := range s.all {
		if want := int64(1000 - i); trace.latency != want || trace.id[1] != uint64(want) {
			t.Errorf("place %d has %d, want %d", i, trace.latency, want)
		}
	}
	if len(s.all) != maxSlowest {
		t.Errorf("%d are kept, want %d", len(s.all), maxSlowest)
	}
}
