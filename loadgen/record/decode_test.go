package record

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The decoder knows the number of buckets of the library's histogram.
func TestAllBuckets(t *testing.T) {
	if got := len(NewHistogram().Export().Counts); got != allBuckets {
		t.Errorf("a histogram has %d buckets, want %d", got, allBuckets)
	}
}

// What is not of our shape, or is damaged, is left to the library.
func TestDecodeOtherHistograms(t *testing.T) {
	other := hdrhistogram.New(1, int64(time.Hour), 2)
	if err := other.RecordValues(5e6, 7); err != nil {
		t.Fatal(err)
	}
	encoded, err := other.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	d := &decoder{}
	s, dropped, err := d.decode(encoded)
	if err != nil || dropped != 0 || s.total() != 7 || math.Abs(float64(s.max())-5e6) > 5e4 {
		t.Errorf("another shape: %v, %d dropped, %v, want seven times 5 ms", s, dropped, err)
	}
	for _, bad := range []string{"", "HISTF", "no base64", string(encoded[:len(encoded)-8])} {
		if got, _, err := d.decode([]byte(bad)); err == nil {
			t.Errorf("decode(%q) = %v, want an error", bad, got)
		}
	}
}

// FuzzDecode holds the decoder to the library's.
func FuzzDecode(f *testing.F) {
	for n := range 3 {
		s, _ := newSparse(randomHistogram(uint64(n), n*n*40).Latency)
		encoded, err := (&encoder{}).append(nil, s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(encoded))
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := (&decoder{}).ours([]byte(text))
		if !ok {
			return
		}
		decoded, err := hdrhistogram.Decode([]byte(text))
		if err != nil {
			t.Fatalf("read %v from what the library refuses: %v", got, err)
		}
		if want, _ := newSparse(decoded); !slices.Equal(got.index, want.index) || !slices.Equal(got.counts, want.counts) {
			t.Fatalf("read %v, the library %v", got, want)
		}
	})
}

// FuzzSample holds the reading of rows to encoding/json.
func FuzzSample(f *testing.F) {
	for _, sample := range []Sample{
		sampleAt(300 * time.Millisecond), sampleAt(-time.Second),
		{At: 7, Component: "a", Replica: "b", Metrics: map[Metric]float64{"x": 1e-9, "y": -3, "z": 1e21}},
		{Component: `"\`, Replica: "größe", Metrics: map[Metric]float64{}},
	} {
		text, err := json.Marshal(sample)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	for _, text := range []string{
		`{"atNanos":1,"component":"a","metrics":{"x":01}}`, `{"atNanos":1,"component":"a","metrics":{"x":1,}}`,
		`{"atNanos":1.5,"component":"a","metrics":{}}`, `{"atNanos":1,"component":"a","metrics":{"x":.5,"x":2}} `,
		`{"component":"a","metrics":{"x":1e999}}`, `{"atNanos":-,"component":"a","metrics":{"x":0x1}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d sampleDecoder
		got, ok := d.plain([]byte(text))
		var want Sample
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			if ok {
				t.Fatalf("%q was read as %+v, and is %v", text, got, err)
			}
			return
		}
		if ok && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q was read as %+v, want %+v", text, got, want)
		}
	})
}

// Rows as they are written do not need encoding/json.
func TestPlainSamples(t *testing.T) {
	var d sampleDecoder
	for _, sample := range []Sample{sampleAt(1), {At: -5, Component: "sidecar", Replica: "pod-1", Metrics: map[Metric]float64{CPUSeconds: 1.25e-7, RSSBytes: 0}}} {
		text, err := json.Marshal(sample)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := d.plain(text); !ok || !reflect.DeepEqual(got, sample) {
			t.Errorf("%s was read as %+v, %t", text, got, ok)
		}
	}
	if got, err := d.decode([]byte(`{"component":"größe","metrics":{"x":1}}`)); err != nil || got.Component != "größe" {
		t.Errorf("another form: %+v, %v", got, err)
	}
	if _, err := d.decode([]byte(`{"atNanos":1`)); err == nil {
		t.Error("half a row: no error")
	}
}

func TestCoarse(t *testing.T) {
	h := randomHistogram(3, 50_000).Latency
	fine, _ := newSparse(h)
	got := fine.coarse(sparse{})
	if got.total() != fine.total() || !slices.IsSorted(got.index) {
		t.Fatalf("%d values, want %d", got.total(), fine.total())
	}
	if len(got.index) > len(fine.index)/5 {
		t.Errorf("%d buckets of %d are left", len(got.index), len(fine.index))
	}
	// Each value counts in a bucket that ends at most a sixty-fourth above it.
	values, at := got.values(), 0
	left := slices.Clone(got.counts)
	for i, v := range fine.values() {
		for left[at] == 0 {
			at++
		}
		if over := float64(values[at]-v) / float64(v); over < 0 || over > 1.0/64 {
			t.Fatalf("%d ns is counted at %d", v, values[at])
		}
		left[at] -= fine.counts[i]
	}
}
