package record

import (
	"runtime"
	"testing"
	"time"
)

// TestMemoryOfALongPhase sends the samples of a long phase through a writer: they
// go to the file, and are all there when the phase ends.
func TestMemoryOfALongPhase(t *testing.T) {
	const samples, bound = 100_000, 4 << 20 // in memory they would take some 50 MB
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
	if n := len(data.Samples); n != samples+1 {
		t.Errorf("the phase has %d samples, want %d and the one before", n, samples)
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
