package sampler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseProcessStat(t *testing.T) {
	captured, err := os.ReadFile(filepath.Join("testdata", "v1", "proc", "4242", "stat"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, text string
		want       processStat
		fails      bool
	}{
		{"captured, with parentheses in the name", string(captured), processStat{'S', 260 * time.Millisecond, 2, 303740}, false},
		{"empty", "", processStat{}, true},
		{"cut off", string(captured[:80]), processStat{}, true},
		{"no number", strings.Replace(string(captured), " 25 1 ", " x 1 ", 1), processStat{}, true},
		{"negative", strings.Replace(string(captured), " 25 1 ", " -25 1 ", 1), processStat{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseProcessStat([]byte(test.text))
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("parseProcessStat = %+v, %v, want %+v, error %v", got, err, test.want, test.fails)
			}
		})
	}
}

func TestField(t *testing.T) {
	tests := []struct {
		name, text, field string
		want              uint64
		ok                bool
	}{
		{"first line", "nr_periods 23\nnr_throttled 20\n", "nr_periods", 23, true},
		{"last line without a break", "a 1\nnr_throttled 20", "nr_throttled", 20, true},
		{"with a colon and a unit", "MemFree: 1 kB\nMemAvailable:   24070904 kB\n", "MemAvailable", 24070904, true},
		{"with a colon and a tab", "nonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t36\n", "voluntary_ctxt_switches", 36, true},
		{"not a longer name", "inactive_file_x 3\n", "inactive_file", 0, false},
		{"not inside a name", "total_inactive_file 3\n", "inactive_file", 0, false},
		{"absent", "a 1\n", "b", 0, false},
		{"without a number", "a\n", "a", 0, false},
		{"not a number", "a max\n", "a", 0, false},
		{"empty", "", "a", 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, ok := field([]byte(test.text), test.field)
			if got != test.want || ok != test.ok {
				t.Errorf("field = %d, %v, want %d, %v", got, ok, test.want, test.ok)
			}
		})
	}
}

func TestParseHostCPU(t *testing.T) {
	tests := []struct {
		name, text string
		want       hostCPU
		fails      bool
	}{
		// Captured; idle 536793 + iowait 1461 ticks of 10 ms.
		{"captured", "cpu  17879 33107 16371 536793 1461 0 247 77 0 0\ncpu0 1 1 1 1\n",
			hostCPU{5382540 * time.Millisecond, 770 * time.Millisecond, true}, false},
		{"before steal was counted", "cpu 1 2 3 100 20 0 0\n", hostCPU{1200 * time.Millisecond, 0, false}, false},
		{"too short", "cpu 1 2 3\n", hostCPU{}, true},
		{"something else", "intr 1 2 3 4 5 6\n", hostCPU{}, true},
		{"empty", "", hostCPU{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseHostCPU([]byte(test.text))
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("parseHostCPU = %+v, %v, want %+v", got, err, test.want)
			}
		})
	}
}

func TestParsePressure(t *testing.T) {
	tests := []struct {
		name, text string
		want       time.Duration
		fails      bool
	}{
		{"captured", "some avg10=49.32 avg60=36.21 avg300=16.68 total=151227084\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
			151227084 * time.Microsecond, false},
		{"full first", "full avg10=0.00 total=7\nsome avg10=0.00 total=8\n", 8 * time.Microsecond, false},
		{"no total", "some avg10=1\n", 0, true},
		{"empty", "", 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parsePressure([]byte(test.text))
			if (err != nil) != test.fails || got != test.want {
				t.Errorf("parsePressure = %v, %v, want %v", got, err, test.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/v1/proc/*", "testdata/v1/proc/*/*", "testdata/v1/proc/*/task/*/*", "testdata/v2/*/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range paths {
			if text, err := os.ReadFile(path); err == nil {
				f.Add(text)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if stat, err := parseProcessStat(text); err == nil && stat.threads < 0 {
			t.Errorf("parseProcessStat(%q) = %+v", text, stat)
		}
		if cpu, err := parseHostCPU(text); err == nil && !cpu.hasSteal && cpu.steal != 0 {
			t.Errorf("parseHostCPU(%q) = %+v", text, cpu)
		}
		_, _ = parseResidentPages(text)
		_, _, _ = parseSchedstat(text)
		_, _ = parsePressure(text)
		for _, name := range []string{"nr_periods", "MemAvailable", "inactive_file", ""} {
			_, _ = field(text, name)
		}
	})
}

func FuzzParseStats(f *testing.F) {
	captured, err := os.ReadFile(filepath.Join("testdata", "envoy-1.40-stats.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(captured)
	f.Add([]byte(`{"stats":[{"histograms":{"supported_quantiles":[99],"computed_quantiles":[{"name":"cluster.a.upstream_cx_connect_ms","values":[]}]}}]}`))
	f.Add([]byte(`{"stats":[{"name":"http.x.downstream_rq_total","value":"text"},{"name":"","value":null}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		metrics, err := parseStats(body, Target{Role: "sidecar"})
		if err == nil && len(metrics) == 0 {
			t.Error("neither metrics nor an error")
		}
	})
}
