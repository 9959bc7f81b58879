package loadgen

import (
	"math"
	"os"
	"path/filepath"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

// usage is what the process had used at an instant.
type usage struct {
	cpuSeconds float64
	throttled  int64
	metrics    []metrics.Sample // histograms: pauses by the collector, scheduling latencies
}

// readUsage takes a reading. What this machine does not tell stays 0.
func readUsage() usage {
	u := usage{
		throttled: throttledPeriods(),
		metrics:   []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/latencies:seconds"}},
	}
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err == nil {
		u.cpuSeconds = seconds(r.Utime) + seconds(r.Stime)
	}
	metrics.Read(u.metrics)
	return u
}

func seconds(t unix.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }

// complete fills in what was used since the reading.
func (u usage) complete(g *record.Generator) {
	now := readUsage()
	g.CPUSeconds = now.cpuSeconds - u.cpuSeconds
	g.ThrottledPeriods = now.throttled - u.throttled
	g.PeakMemoryBytes = peakMemory()
	g.GCPauseMax = quantileSince(u.metrics[0], now.metrics[0], 1)
	g.SchedLatencyP99 = quantileSince(u.metrics[1], now.metrics[1], 0.99)
}

// quantileSince returns a quantile of what a histogram of seconds has got since
// an earlier reading: the upper bound of its bucket, 0 when nothing came.
func quantileSince(before, after metrics.Sample, q float64) time.Duration {
	if before.Value.Kind() != metrics.KindFloat64Histogram || after.Value.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	old, h := before.Value.Float64Histogram(), after.Value.Float64Histogram()
	if len(old.Counts) != len(h.Counts) {
		return 0
	}
	total := uint64(0)
	for i, n := range h.Counts {
		total += n - old.Counts[i]
	}
	if total == 0 {
		return 0
	}
	rank, seen := uint64(math.Ceil(q*float64(total))), uint64(0)
	for i, n := range h.Counts {
		seen += n - old.Counts[i]
		if seen < rank {
			continue
		}
		bound := h.Buckets[i+1]
		if math.IsInf(bound, 1) {
			bound = h.Buckets[i]
		}
		return time.Duration(bound * float64(time.Second))
	}
	return 0
}

// peakMemory returns the process's highest resident size in bytes.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// runDelay returns for how many seconds the calling thread was runnable without
// running.
func runDelay() float64 {
	text, err := os.ReadFile("/proc/thread-self/schedstat")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	nanos, _ := strconv.ParseInt(fields[1], 10, 64)
	return float64(nanos) / 1e9
}

// throttledPeriods returns in how many periods of its quota the process's own
// cgroup was throttled; 0 where it can't be read.
func throttledPeriods() int64 {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		root := ""
		switch {
		case parts[1] == "":
			root = "/sys/fs/cgroup"
		case strings.Contains(","+parts[1]+",", ",cpu,"):
			root = "/sys/fs/cgroup/cpu"
		default:
			continue
		}
		stat, err := os.ReadFile(filepath.Join(root, parts[2], "cpu.stat"))
		if err != nil {
			continue
		}
		for entry := range strings.Lines(string(stat)) {
			if rest, ok := strings.CutPrefix(entry, "nr_throttled "); ok {
				n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
				return n
			}
		}
	}
	return 0
}
