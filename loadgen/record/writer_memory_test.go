package record

import (
	"runtime"
	"testing"
	"time"
)

// TestMemoryOfALongPhase sends the samples of a long phase, one a second, through a
// writer: they go to the file, and as many as of an hour are there when it ends.
func TestMemoryOfALongPhase(t *testing.T) {
	const samples, bound = 100_000, 4 << 20 // in memory they would take some 50 MB
	every := int(IntervalFor(samples*time.Second) / time.Second)
	w, _ := exampleWriter(t, openFile)
	w.Sample(sampleAt(-500 * time.Millisecond))
	p, err := w.BeginPhase(exampleSpec("long", samples))
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		w.flush()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var first uint64
	for n := range samples {
		w.Sample(sampleAt(time.Duration(n) * time.Second))
		if n%1000 == 999 { // as a run of some speed gives the disk its time
			w.flush()
		}
		if n == samples/20 {
			first = heap()
		}
	}
	if last := heap(); last > first+bound {
		t.Errorf("heap grew from %d to %d bytes while %d samples came", first, last, samples)
	}
	data, err := p.End(exampleFacts(0, samples))
	if err != nil {
		t.Fatal(err)
	}
	if n, want := len(data.Samples), samples/every; n < want || n > want+5*every {
		t.Errorf("the phase has %d samples, want about %d", n, want)
	}
	for _, end := range [][]Sample{data.Samples[1:6], data.Samples[len(data.Samples)-5:]} {
		for i := 1; i < len(end); i++ {
			if gap := end[i].At - end[i-1].At; gap != time.Second {
				t.Errorf("at an end of the phase samples are %s apart, want all there were", gap)
			}
		}
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
}

// Sources of the same replica are thinned apart from each other.
func TestThinnedSourcesOfAReplica(t *testing.T) {
	const day = 24 * 60 * 60
	w, _ := exampleWriter(t, openFile)
	p, err := w.BeginPhase(exampleSpec("long", day))
	if err != nil {
		t.Fatal(err)
	}
	for at := time.Hour; at < 2*time.Hour; at += time.Second {
		w.Sample(Sample{At: at, Component: "gateway", Metrics: map[Metric]float64{CPUSeconds: at.Seconds()}})
		w.Sample(Sample{At: at + time.Millisecond, Component: "gateway", Metrics: map[Metric]float64{DownRequests: at.Seconds()}})
	}
	data, err := p.End(exampleFacts(0, day))
	if err != nil {
		t.Fatal(err)
	}
	for _, metric := range []Metric{CPUSeconds, DownRequests} {
		if got, want := len(data.Series("gateway", "", metric)), 3600/24; got != want {
			t.Errorf("%s: %d samples of an hour, want %d", metric, got, want)
		}
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
}

// TestSamplesAreWrittenAsTheyCome looks into a phase that has not ended.
func TestSamplesAreWrittenAsTheyCome(t *testing.T) {
	w, now := exampleWriter(t, openFile)
	writePhase(t, w, now, "one", 3)
	w.flush()
	got, err := Open(w.Dir())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Data) != 1 || len(got.Data[0].Samples) != 3 {
		t.Errorf("phases = %+v, want one with its three samples", got.Data)
	}
	if err := w.Close(EndedInterrupted, ""); err != nil {
		t.Fatal(err)
	}
}
