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

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen"
	"github.com/sailplan-io/sailplan/scenarios"
)

// manyEnv makes the test binary a generator with many connections, against the
// address that it holds; manyCount is how many, and manyLimit the limit of file
// descriptors that it sets itself before, if any.
const (
	manyEnv   = "LOADGEN_TEST_MANY"
	manyCount = "LOADGEN_TEST_MANY_COUNT"
	manyLimit = "LOADGEN_TEST_MANY_LIMIT"
)

// runMany keeps one request in flight on each connection, and prints a report.
func runMany(address string) {
	var report memoryReport
	defer func() { _ = json.NewEncoder(os.Stdout).Encode(report) }()
	length := 2 * time.Second
	if limit, _ := strconv.ParseUint(os.Getenv(manyLimit), 10, 64); limit > 0 {
		length = 500 * time.Millisecond
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}); err != nil {
			report.Failure = err.Error()
			return
		}
	}
	count, _ := strconv.Atoi(os.Getenv(manyCount))
	plan := planFor(address)
	plan.Timeout = time.Minute
	plan.Connections = scenarios.Connections{Count: count, StreamsPerConnection: 1, ConnectTimeout: time.Minute}
	facts, err := loadgen.Run(context.Background(), plan, scenarios.Phase{
		Process: scenarios.Closed, Duration: length, Interval: 250 * time.Millisecond,
	}, &resident{report: &report}, loadgen.Options{Workers: 1})
	report.Answered = facts.Counts.Answered
	switch c, n := facts.Counts, facts.Connection; {
	case err != nil:
		report.Failure = err.Error()
	case c.Answered != c.Intended || n.MaxInFlight != int64(count) || n.Opened != int64(count) || n.Closed != 0:
		report.Failure = fmt.Sprintf("counts %+v, errors %v, opened %d, closed %d, %d in flight at once", c, facts.Errors, n.Opened, n.Closed, n.MaxInFlight)
	}
}

// many runs a generator with so many connections, in a process of its own.
func many(t *testing.T, address string, count int, more ...string) memoryReport {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(append(os.Environ(), manyEnv+"="+address, fmt.Sprintf("%s=%d", manyCount, count)), more...)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report memoryReport
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("the generator says %q, %v", out, err)
	}
	return report
}

// TestTenThousandConnections: each of them has a request in flight and gets answers, and
// takes little memory. The server is another process than the generator.
func TestTenThousandConnections(t *testing.T) {
	const few, most, each = 100, 10_000, 24 << 10
	if raceEnabled {
		t.Skip("the race detector takes memory for what it watches")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < most+200 {
		t.Skipf("the limit of file descriptors is %d and can't be raised to %d", limit.Max, most+200)
	}
	address := serverProcess(t)
	base := many(t, address, few)
	report := many(t, address, most)
	for _, r := range []memoryReport{base, report} {
		if r.Failure != "" {
			t.Fatalf("the generator says: %s", r.Failure)
		}
	}
	got := float64(report.Peak-base.Peak) / (most - few)
	t.Logf("%d and %d requests, %.1f and %.1f MB, %.0f bytes for each connection", base.Answered, report.Answered, float64(base.Peak)/1e6, float64(report.Peak)/1e6, got)
	if got > each || got <= 0 {
		t.Errorf("%.0f bytes for each connection, want %d at most", got, each)
	}
}

// TestDescriptors: what the limit allows is enough, and where it is not, the error
// comes before any connection and names the limit.
func TestDescriptors(t *testing.T) {
	address := serverProcess(t)
	if r := many(t, address, 200, manyLimit+"=264"); r.Failure != "" {
		t.Errorf("200 connections with 264 descriptors: %s", r.Failure)
	}
	r := many(t, "127.0.0.1:1", 200, manyLimit+"=263")
	for _, want := range []string{"200 connections need 264 file descriptors", "RLIMIT_NOFILE is 263", "hard limit 263", "ulimit -n 264"} {
		if !strings.Contains(r.Failure, want) {
			t.Errorf("the error is %q, want %q in it", r.Failure, want)
		}
	}
}
