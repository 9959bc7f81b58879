package loadgen

import (
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// A worker rests at a slack of at least 200 µs and only while nothing waits for what
// might come in.
func TestRests(t *testing.T) {
	const full = 50 * time.Microsecond // between arrivals: 20 000/s, a slack of 880 µs
	tests := []struct {
		name     string
		gap      time.Duration
		patience time.Duration
		change   func(*worker)
		want     bool
	}{
		{"20 000/s", full, 900 * time.Microsecond, nil, true},
		{"10 000/s", 100 * time.Microsecond, 390 * time.Microsecond, nil, true},
		{"8 000/s, a slack of 176 µs", 125 * time.Microsecond, 300 * time.Microsecond, nil, false},
		{"5 000/s", 200 * time.Microsecond, 200 * time.Microsecond, nil, false},
		{"a batch is due", full, 0, nil, false},
		{"the next arrival is far", full, 5 * time.Millisecond, nil, false},
		{"no phase", full, 900 * time.Microsecond, func(w *worker) { w.run = nil }, false},
		{"precise, or closed", full, 900 * time.Microsecond, func(w *worker) { w.run.rests = false }, false},
		{"a strict objective", full, 900 * time.Microsecond, func(w *worker) { w.run.mostSlack = int64(50 * time.Microsecond) }, false},
		{"no more arrivals", full, 900 * time.Microsecond, func(w *worker) { w.run.hasNext = false }, false},
		{"an arrival waits for a stream", full, 900 * time.Microsecond, func(w *worker) { w.run.backlog.push(waiting{}) }, false},
		{"something is to be sent again", full, 900 * time.Microsecond, func(w *worker) { w.again = []uint32{1} }, false},
		{"a connection waits for room", full, 900 * time.Microsecond, func(w *worker) { w.blocked = 1 }, false},
		{"a connection was crowded just now", full, 900 * time.Microsecond, func(w *worker) { w.restless = 2 }, false},
		{"a connection was crowded", full, 900 * time.Microsecond, func(w *worker) { w.restless = 1 }, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &worker{run: &run{meanGap: int64(tt.gap), mostSlack: mostSlack, rests: true, hasNext: true, backlog: newBacklog(8, []flight{{timeout: 1}}, []int32{0})}}
			if tt.change != nil {
				tt.change(w)
			}
			if got := w.rests(1, int64(tt.patience)); got != tt.want {
				t.Errorf("rests: %t, want %t", got, tt.want)
			}
		})
	}
}

// Resting would hold up requests whose bodies wait for the peer's windows.
func TestMayRest(t *testing.T) {
	tests := []struct {
		name    string
		request scenarios.Request
		feed    bool
		want    bool
	}{
		{"no body", scenarios.Request{}, true, true},
		{"a short body", scenarios.Request{Body: "short"}, false, true},
		{"a long body", scenarios.Request{Body: strings.Repeat("a", 2049)}, false, false},
		{"a body from a file", scenarios.Request{BodyFile: "body"}, false, false},
		{"a body from a feed", scenarios.Request{Body: "${row}"}, true, false},
		{"a short message", scenarios.Request{GRPC: &scenarios.Call{Message: "{}"}}, false, true},
		{"a message from a feed", scenarios.Request{GRPC: &scenarios.Call{Message: "{}"}}, true, false},
		{"a long message", scenarios.Request{GRPC: &scenarios.Call{Message: strings.Repeat("a", 2049)}}, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := scenarios.Plan{Requests: []scenarios.Request{{}, tt.request}}
			if tt.feed {
				plan.Feed = &scenarios.Feed{}
			}
			if got := mayRest(plan); got != tt.want {
				t.Errorf("may rest: %t, want %t", got, tt.want)
			}
		})
	}
}
