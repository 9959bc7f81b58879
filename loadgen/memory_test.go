//go:build linux

package loadgen_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// memoryEnv makes the test binary a generator that tells how much memory it takes,
// against the address that it holds; memoryKinds is how many kinds of requests.
const (
	memoryEnv   = "LOADGEN_TEST_MEMORY"
	memoryKinds = "LOADGEN_TEST_MEMORY_KINDS"
)

// memoryReport is what that generator tells, in bytes.
type memoryReport struct {
	// What is resident but for the pages of files, of which a test has others than a
	// product: after a third of the time, at the end, and the most after any interval.
	Early, Late, Peak int64
	Answered          int64
	Failure           string
}

// resident notes how much is resident after so many intervals, and after each one
// from then on.
type resident struct {
	after, seen int
	report      *memoryReport
}

func (r *resident) Interval(record.Interval) {
	r.seen++
	r.report.Late = residentBytes()
	r.report.Peak = max(r.report.Peak, r.report.Late)
	if r.seen == r.after {
		r.report.Early = r.report.Late
	}
}

func residentBytes() int64 {
	text, _ := os.ReadFile("/proc/self/statm")
	var total, resident, ofFiles int64
	_, _ = fmt.Sscan(string(text), &total, &resident, &ofFiles)
	return (resident - ofFiles) * int64(os.Getpagesize())
}

// runMemory sends as much as goes, and prints a report.
func runMemory(address string) {
	const seconds = 15
	plan := planFor(address)
	plan.Connections.Count, plan.Connections.StreamsPerConnection = 8, 32
	if kinds, _ := strconv.Atoi(os.Getenv(memoryKinds)); kinds > 1 {
		headers := map[string]string{"authorization": "Bearer " + strings.Repeat("t", 1024)}
		for i := range 11 {
			headers[fmt.Sprintf("x-header-%d", i)] = strings.Repeat("v", 20)
		}
		plan.Requests = nil
		for i := range kinds {
			plan.Requests = append(plan.Requests, scenarios.Request{
				Name: fmt.Sprintf("request %d", i), Weight: 1, Method: "GET", Path: fmt.Sprintf("/%d", i), Headers: headers,
				Check: &scenarios.Check{Status: "200", Body: "\x00\x00"},
			})
		}
	}
	var report memoryReport
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Closed, Duration: seconds * time.Second,
	}, &resident{after: seconds / 3, report: &report}, loadgen.Options{})
	if err != nil {
		report.Failure = err.Error()
	}
	report.Answered = facts.Counts.Answered
	_ = json.NewEncoder(os.Stdout).Encode(report)
}

// TestMemoryIsFlat: what 8 × 32 streams take is bounded, and does not grow with the
// number of requests that were sent.
func TestMemoryIsFlat(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory for what it watches")
	}
	address := serverProcess(t)
	for _, tt := range []struct {
		name  string
		kinds int
	}{{"one plain request", 1}, {"ten realistic ones", 10}} {
		t.Run(tt.name, func(t *testing.T) {
			command := exec.Command(os.Args[0])
			command.Env = append(os.Environ(), memoryEnv+"="+address, fmt.Sprintf("%s=%d", memoryKinds, tt.kinds))
			out, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			var report memoryReport
			if err := json.Unmarshal(out, &report); err != nil || report.Failure != "" || report.Answered == 0 || report.Early == 0 {
				t.Fatalf("the generator says %q, %v", out, err)
			}
			t.Logf("%d requests: %.1f MB after a third of the time, %.1f MB at the end, %.1f MB at most",
				report.Answered, float64(report.Early)/1e6, float64(report.Late)/1e6, float64(report.Peak)/1e6)
			if grown := report.Late - report.Early; grown > 4_000_000 {
				t.Errorf("it grew by %d bytes while it went on, want 4 MB at most", grown)
			}
			// The aim of 32 MB is held by a test of the whole program.
			if report.Peak > 18_000_000 {
				t.Errorf("it took %d bytes, want 18 MB at most", report.Peak)
			}
		})
	}
}
