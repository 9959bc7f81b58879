package record

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRoundTrip(t *testing.T) {
	dir, inMemory := writeExample(t)
	got, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Warnings) != 0 {
		t.Errorf("warnings = %q, want none", got.Warnings)
	}
	want := exampleHeader()
	if got.Scenario.Requests[1].Headers["Authorization"] != withheld {
		t.Errorf("the credential is in run.json: %v", got.Scenario.Requests[1].Headers)
	}
	got.Scenario.Requests[1].Headers["Authorization"] = "Bearer abc"
	asJSON := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if g, w := asJSON(got.Scenario), asJSON(want.Scenario); g != w {
		t.Errorf("scenario = %s\nwant       %s", g, w)
	}
	if !got.StartedAt.Equal(exampleAnchor()) || !got.EndedAt.Equal(exampleAnchor().Add(10*time.Second)) || got.Ended != EndedDone {
		t.Errorf("started %v, ended %v %q", got.StartedAt, got.EndedAt, got.Ended)
	}
	if !reflect.DeepEqual(got.Components, want.Components) || !reflect.DeepEqual(got.Lab, want.Lab) || got.Host != want.Host {
		t.Errorf("components, lab or host differ: %+v %+v %+v", got.Components, got.Lab, got.Host)
	}
	if len(got.Data) != 2 {
		t.Fatalf("phases = %d, want 2", len(got.Data))
	}
	for i := range got.Data {
		comparePhases(t, got.Data[i], inMemory[i])
	}
	checkExamplePhase(t, got.Data[1], 6*time.Second, 3)
	kinds := []EventKind{}
	for _, event := range got.Events {
		kinds = append(kinds, event.Kind)
	}
	wantKinds := []EventKind{EventNote, EventPhaseStart, EventPhaseEnd, EventPhaseStart, EventPhaseEnd}
	if !reflect.DeepEqual(kinds, wantKinds) {
		t.Errorf("events = %v, want %v", kinds, wantKinds)
	}
}

// whole returns a histogram of a request at full length. In memory it ends where its
// values do.
func whole(h *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	full := NewHistogram()
	full.Merge(h)
	return full
}

// comparePhases holds what was read to what the writer returned.
func comparePhases(t *testing.T, got, want PhaseData) {
	t.Helper()
	if !reflect.DeepEqual(got.Phase, want.Phase) {
		t.Errorf("phase = %+v\nwant    %+v", got.Phase, want.Phase)
	}
	if !reflect.DeepEqual(got.Timeline, want.Timeline) {
		t.Errorf("timeline = %+v\nwant       %+v", got.Timeline, want.Timeline)
	}
	if !reflect.DeepEqual(got.Seconds, want.Seconds) {
		t.Errorf("seconds = %+v\nwant      %+v", got.Seconds, want.Seconds)
	}
	if !reflect.DeepEqual(got.Samples, want.Samples) {
		t.Errorf("samples = %+v\nwant      %+v", got.Samples, want.Samples)
	}
	for q := range quantities {
		if !got.of(q).Equals(want.of(q)) {
			t.Errorf("%s differs", q)
		}
		for i := range want.ByRequest {
			if got.ByRequest[i].Request != want.ByRequest[i].Request || !got.ByRequest[i].of(q).Equals(whole(want.ByRequest[i].of(q))) {
				t.Errorf("%s of request %d differs", q, i)
			}
		}
	}
}

// checkExamplePhase compares with the numbers the example was made from.
func checkExamplePhase(t *testing.T, got PhaseData, start time.Duration, seconds int) {
	t.Helper()
	if got.Counts != exampleCounts(int64(seconds)) {
		t.Errorf("counts = %+v, want %+v", got.Counts, exampleCounts(int64(seconds)))
	}
	if n, want := got.Latency.TotalCount(), int64(seconds*100); n != want {
		t.Errorf("latencies = %d, want %d", n, want)
	}
	if n, want := got.ByRequest[1].Service.TotalCount(), int64(seconds*10); n != want {
		t.Errorf("service times of searches = %d, want %d", n, want)
	}
	within := func(what string, got, want time.Duration) {
		if diff := got - want; diff < 0 || diff > want/1000+512 {
			t.Errorf("%s = %s, want %s to a thousandth above", what, got, want)
		}
	}
	within("p50", time.Duration(got.Latency.ValueAtQuantile(50)), browseTime+lag)
	within("p99", time.Duration(got.Latency.ValueAtQuantile(99)), searchTime+lag)
	if len(got.Seconds) != seconds || len(got.Timeline) != seconds {
		t.Fatalf("intervals = %d and %d, want %d", len(got.Seconds), len(got.Timeline), seconds)
	}
	second := got.Seconds[1]
	if second.Start != start+time.Second || second.End != start+2*time.Second ||
		!reflect.DeepEqual(second.Counts, []int64{browsesPerSecond, searchesPerSecond}) {
		t.Errorf("second interval = %+v", second)
	}
	within("first value", time.Duration(second.Values[0]), browseTime+lag)
	tick := got.Timeline[1]
	if tick.Start != second.Start || tick.At != second.End || tick.Answered != 100 || tick.Phase != got.Index {
		t.Errorf("second row = %+v", tick)
	}
	within("p50 of the row", tick.P50, browseTime+lag)
	within("p99 of the row", tick.P99, searchTime+lag)
	within("lag of the row", tick.LagP99, lag)
	// One sample before, three inside, one after.
	var at []time.Duration
	for _, sample := range got.Samples {
		at = append(at, sample.At-start)
	}
	const ms = time.Millisecond
	if want := []time.Duration{-700 * ms, 300 * ms, 1300 * ms, 2300 * ms, 3300 * ms}; !reflect.DeepEqual(at, want) {
		t.Errorf("samples at %v, want %v", at, want)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Run("a directory with something in it", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Create(dir, Run{}, time.Now())
		if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error = %v, want ErrExists with the directory", err)
		}
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(path, Run{}, time.Now()); err == nil {
			t.Error("no error")
		}
	})
	t.Run("not an empty directory", func(t *testing.T) {
		w, err := Create(t.TempDir(), Run{}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(EndedDone, ""); err != nil {
			t.Error(err)
		}
	})
}
