package sampler

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
)

func TestReadProcessTree(t *testing.T) {
	page := float64(os.Getpagesize())
	process := map[record.Metric]float64{
		// Of testdata/v1/proc/4242: two threads' schedstat, statm, switches.
		record.CPUSeconds:        0.269884583,
		record.RunDelaySeconds:   0.088332025,
		record.RSSBytes:          3398 * page,
		record.Threads:           2,
		record.VoluntarySwitches: 37,
	}
	quota := map[record.Metric]float64{record.Periods: 23, record.ThrottledPeriods: 20}
	const workingSet = 90030080 - 47665152
	join := func(parts ...map[record.Metric]float64) map[record.Metric]float64 {
		all := map[record.Metric]float64{}
		for _, part := range parts {
			maps.Copy(all, part)
		}
		return all
	}
	tests := []struct {
		name   string
		root   string
		target Target
		want   map[record.Metric]float64
	}{
		{"process alone", "v1", Target{PID: 4242}, process},
		{"process in a group of version 1", "v1",
			Target{PID: 4242, Cgroup: Cgroup{1, "/cgroup/cpu", "/cgroup/cpuacct", "/cgroup/memory"}},
			join(process, quota, map[record.Metric]float64{record.ThrottledSeconds: 1.128822127, record.WorkingSetBytes: workingSet})},
		{"group of version 1 alone", "v1", Target{Cgroup: Cgroup{1, "/cgroup/cpu", "/cgroup/cpuacct", "/cgroup/memory"}},
			join(quota, map[record.Metric]float64{
				record.ThrottledSeconds: 1.128822127, record.WorkingSetBytes: workingSet, record.CPUSeconds: 0.634963799,
			})},
		{"group of version 2 alone", "v2", Target{Cgroup: Cgroup{2, "/limited", "", "/limited"}},
			join(quota, map[record.Metric]float64{
				record.ThrottledSeconds: 1.128822, record.WorkingSetBytes: workingSet, record.CPUSeconds: 0.634963,
			})},
		// Without the controllers there is no quota, and memory.stat is missing too.
		{"group of version 2 without controllers", "v2", Target{Cgroup: Cgroup{2, "/plain", "", "/plain"}},
			map[record.Metric]float64{record.CPUSeconds: plainUsage(t)}},
		{"group that is not there", "v2", Target{Cgroup: Cgroup{2, "/none", "/none", "/none"}}, map[record.Metric]float64{}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := newProcessSource(test.target, filepath.Join("testdata", test.root)).read()
			if err != nil {
				t.Fatal(err)
			}
			compareMetrics(t, got.metrics, test.want)
		})
	}
}

// plainUsage reads the captured usage by other means than the code under test.
func plainUsage(t *testing.T) float64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "v2", "plain", "cpu.stat"))
	if err != nil {
		t.Fatal(err)
	}
	var micros float64
	for _, r := range strings.Fields(string(text))[1] {
		micros = micros*10 + float64(r-'0')
	}
	return micros / 1e6
}

func compareMetrics(t *testing.T, got, want map[record.Metric]float64) {
	t.Helper()
	for metric, value := range want {
		if g, has := got[metric]; !has || g-value > 1e-9*value || value-g > 1e-9*value {
			t.Errorf("%s = %v (there: %v), want %v", metric, g, has, value)
		}
	}
	for metric, value := range got {
		if _, expected := want[metric]; !expected {
			t.Errorf("%s = %v, want it absent", metric, value)
		}
	}
}

func TestHostTree(t *testing.T) {
	host := hostSource{files: newFileReader(filepath.Join("testdata", "v1"))}
	compareMetrics(t, host.read().metrics, map[record.Metric]float64{
		record.IdleSeconds: 5382.54, record.StealSeconds: 0.77, record.CPUPressure: 151.227084,
		record.AvailableMemory: 24070904 * 1024,
	})
	bare := hostSource{files: newFileReader(filepath.Join("testdata", "v2"))}
	compareMetrics(t, bare.read().metrics, map[record.Metric]float64{})
}

// copyTree makes a tree of files that a test can change.
func copyTree(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	if err := os.CopyFS(root, os.DirFS(filepath.Join("testdata", "v1"))); err != nil {
		t.Fatal(err)
	}
	return root
}

func write(t *testing.T, root, path, text string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCountersDoNotFallWhenThreadsEnd(t *testing.T) {
	root := copyTree(t)
	source := newProcessSource(Target{PID: 4242}, root)
	read := func() [3]float64 {
		t.Helper()
		got, err := source.read()
		if err != nil {
			t.Fatal(err)
		}
		return [3]float64{
			got.metrics[record.CPUSeconds] * 1e9, got.metrics[record.RunDelaySeconds] * 1e9, got.metrics[record.VoluntarySwitches],
		}
	}
	thread := func(id, schedstat, switches string) {
		t.Helper()
		write(t, root, "proc/4242/task/"+id+"/schedstat", schedstat+"\n")
		write(t, root, "proc/4242/task/"+id+"/status", "Name:\tx\nvoluntary_ctxt_switches:\t"+switches+"\n")
	}
	check := func(what string, want [3]float64) {
		t.Helper()
		got := read()
		for i := range got {
			if d := got[i] - want[i]; d > 0.5 || d < -0.5 {
				t.Errorf("%s: %v, want %v", what, got, want)
				return
			}
		}
	}
	thread("4242", "1000 100 5", "10")
	thread("4243", "200 20 5", "3")
	check("two threads", [3]float64{1200, 120, 13})
	if err := os.RemoveAll(filepath.Join(root, "proc/4242/task/4243")); err != nil {
		t.Fatal(err)
	}
	check("one ended", [3]float64{1200, 120, 13})
	thread("4244", "50 5 1", "1")
	check("a new one", [3]float64{1250, 125, 14})
	thread("4242", "1100 100 5", "11")
	check("one ran on", [3]float64{1350, 125, 15})
	thread("4244", "30 2 1", "1")
	check("a number was given again", [3]float64{1380, 127, 16})
	if err := os.Remove(filepath.Join(root, "proc/4242/task/4244/schedstat")); err != nil {
		t.Fatal(err)
	}
	check("one is just ending", [3]float64{1380, 127, 16})
}

func TestTicksWhereSchedstatIsMissing(t *testing.T) {
	for name, content := range map[string]string{"no file": "", "zeros": "0 0 0\n"} {
		t.Run(name, func(t *testing.T) {
			root := copyTree(t)
			for _, id := range []string{"4242", "4243"} {
				if content == "" {
					if err := os.Remove(filepath.Join(root, "proc/4242/task", id, "schedstat")); err != nil {
						t.Fatal(err)
					}
				} else {
					write(t, root, "proc/4242/task/"+id+"/schedstat", content)
				}
			}
			got, err := newProcessSource(Target{PID: 4242}, root).read()
			if err != nil {
				t.Fatal(err)
			}
			compareMetrics(t, got.metrics, map[record.Metric]float64{
				record.CPUSeconds: 0.26, record.RSSBytes: 3398 * float64(os.Getpagesize()), record.Threads: 2,
				record.VoluntarySwitches: 37,
			})
		})
	}
}

func TestProcessThatIsGone(t *testing.T) {
	stat, err := os.ReadFile(filepath.Join("testdata", "v1", "proc", "4242", "stat"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(root string)
		want   error
	}{
		{"removed", func(root string) { _ = os.RemoveAll(filepath.Join(root, "proc/4242")) }, errGone},
		{"not waited for", func(root string) {
			write(t, root, "proc/4242/stat", strings.Replace(string(stat), ") S ", ") Z ", 1))
		}, errGone},
		{"another under its number", func(root string) {
			write(t, root, "proc/4242/stat", strings.Replace(string(stat), " 303740 ", " 303999 ", 1))
		}, errReplaced},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			root := copyTree(t)
			source := newProcessSource(Target{PID: 4242}, root)
			if _, err := source.read(); err != nil {
				t.Fatal(err)
			}
			test.change(root)
			if _, err := source.read(); !errors.Is(err, test.want) {
				t.Errorf("error = %v, want %v", err, test.want)
			}
		})
	}
}

// TestClockOfAnotherProcess holds the CPU clock to what the kernel says when the
// process has ended.
func TestClockOfAnotherProcess(t *testing.T) {
	child := exec.Command("sh", "-c", "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done; echo done; read x || true")
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	source := newProcessSource(Target{PID: child.Process.Pid}, "")
	got, readErr := source.read()
	stdin.Close()
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	if readErr != nil {
		t.Fatal(readErr)
	}
	usage := (child.ProcessState.UserTime() + child.ProcessState.SystemTime()).Seconds()
	if cpu := got.metrics[record.CPUSeconds]; cpu <= 0 || cpu > usage+0.02 || cpu < usage/2 {
		t.Errorf("CPU = %v s, want at most the %v s of its whole life, and most of it", cpu, usage)
	}
	if source.cpu != cpuFromClock {
		t.Skip("no CPU clock of other processes here: the fallback was used")
	}
	if _, err := source.read(); !errors.Is(err, errGone) {
		t.Errorf("error after its end = %v, want %v", err, errGone)
	}
}

func TestSharedMetricsAreNotReused(t *testing.T) {
	source := newProcessSource(Target{PID: 4242}, filepath.Join("testdata", "v1"))
	first, err := source.read()
	if err != nil {
		t.Fatal(err)
	}
	kept := maps.Clone(first.metrics)
	if _, err := source.read(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(first.metrics, kept) {
		t.Errorf("the first row changed to %v, want %v", first.metrics, kept)
	}
}
