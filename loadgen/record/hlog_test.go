package record

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// TestEncoderAgreesWithTheLibrary holds our encoding to the library's decoder, and
// the bucket arithmetic to the library's own list of buckets.
func TestEncoderAgreesWithTheLibrary(t *testing.T) {
	values := func(list ...int64) *hdrhistogram.Histogram {
		h := NewHistogram()
		for _, value := range list {
			if err := h.RecordValue(value); err != nil {
				t.Fatal(err)
			}
		}
		return h
	}
	many := NewHistogram()
	if err := many.RecordValues(5e6, 1<<50); err != nil {
		t.Fatal(err)
	}
	tests := map[string]*hdrhistogram.Histogram{
		"empty":                       NewHistogram(),
		"one value":                   values(2e6),
		"the lowest":                  values(0),
		"the highest":                 values(int64(time.Hour)),
		"neighbours":                  values(1000, 1512, 2024, 2536),
		"one bucket between":          values(1000, 2024),
		"at the borders of magnitude": values(1<<20-1, 1<<20, 1<<21-1, 1<<21, 1<<30),
		"a large count":               many,
		"lognormal":                   randomHistogram(1, 3000).Latency,
		"many buckets":                randomHistogram(2, 100_000).Latency,
	}
	e, d := &encoder{}, &decoder{} // for all: what is left over from one must not enter the next
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			s, dropped := newSparse(h)
			if dropped != 0 || s.total() != h.TotalCount() {
				t.Errorf("%d values of %d, %d dropped", s.total(), h.TotalCount(), dropped)
			}
			encoded, err := e.append(nil, s)
			if err != nil {
				t.Fatal(err)
			}
			decoded, err := hdrhistogram.Decode(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if !decoded.Equals(h) {
				t.Error("the library decodes something else")
			}
			if got, ok := d.ours(encoded); !ok || !slices.Equal(got.index, s.index) || !slices.Equal(got.counts, s.counts) {
				t.Errorf("read back: %v, %t, want %v", got, ok, s)
			}
			if h.TotalCount() > 0 && s.max() != h.Max() {
				t.Errorf("max = %d, want %d", s.max(), h.Max())
			}
			ours := NewHistogram()
			if lost := s.addTo(ours); lost != 0 || !ours.Equals(h) {
				t.Errorf("adding it up again gives something else; %d lost", lost)
			}
			var listed []int64
			for _, bar := range h.Distribution() {
				if bar.Count > 0 {
					listed = append(listed, bar.To)
				}
			}
			if got := s.values(); len(got)+len(listed) > 0 && !reflect.DeepEqual(got, listed) {
				t.Errorf("values = %v, want %v", got, listed)
			}
		})
	}
}

func TestOtherShapes(t *testing.T) {
	other := hdrhistogram.New(1, math.MaxInt64/4, 2)
	for _, value := range []int64{5e6, 7e6, 2 * int64(time.Hour) * 2} {
		if err := other.RecordValue(value); err != nil {
			t.Fatal(err)
		}
	}
	s, dropped := newSparse(other)
	if s.total() != 2 || dropped != 1 {
		t.Errorf("%d values, %d dropped, want 2 and 1", s.total(), dropped)
	}
}

func TestSparseSum(t *testing.T) {
	a := sparse{index: []int32{1, 5, 9}, counts: []int64{1, 2, 3}}
	b := sparse{index: []int32{0, 5, 11}, counts: []int64{4, 5, 6}}
	want := sparse{index: []int32{0, 1, 5, 9, 11}, counts: []int64{4, 1, 7, 3, 6}}
	if got := a.plus(b); !reflect.DeepEqual(got, want) {
		t.Errorf("a + b = %v, want %v", got, want)
	}
	if got := b.plus(a); !reflect.DeepEqual(got, want) {
		t.Errorf("b + a = %v, want %v", got, want)
	}
	if got := a.plus(sparse{}); !reflect.DeepEqual(got, a) {
		t.Errorf("a + nothing = %v", got)
	}
	if got := (sparse{}).plus(a); !reflect.DeepEqual(got, a) {
		t.Errorf("nothing + a = %v", got)
	}
}

func TestTags(t *testing.T) {
	for _, want := range []tag{
		{0, "browse", quantityLatency}, {3, "a/b, c\n%", quantityService}, {1234, "", quantitySendLag}, {1, "größe", quantityLatency},
	} {
		text := want.String()
		if strings.ContainsAny(text, ", \n\r") {
			t.Errorf("%q holds what a tag must not", text)
		}
		if got, err := parseTag(text); err != nil || got != want {
			t.Errorf("parseTag(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	if got, want := (tag{3, "browse", quantityLatency}).String(), "003/browse/latency"; got != want {
		t.Errorf("tag = %q, want %q", got, want)
	}
	for _, bad := range []string{"", "003", "003/a", "x/a/latency", "-1/a/latency", "1/a/size", "1/%zz/latency", "1/a/latency/b"} {
		if got, err := parseTag(bad); err == nil {
			t.Errorf("parseTag(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestSeconds(t *testing.T) {
	tests := []struct {
		d    time.Duration
		text string
	}{
		{0, "0.000000000"},
		{1, "0.000000001"},
		{1500 * time.Millisecond, "1.500000000"},
		{100 * time.Hour, "360000.000000000"},
		{-1500 * time.Millisecond, "-1.500000000"},
		{-1, "-0.000000001"},
		{123456789012345678, "123456789.012345678"},
	}
	for _, test := range tests {
		if got := string(appendSeconds(nil, test.d)); got != test.text {
			t.Errorf("appendSeconds(%d) = %q, want %q", test.d, got, test.text)
		}
		if got, err := parseSeconds(test.text); err != nil || got != test.d {
			t.Errorf("parseSeconds(%q) = %d, %v, want %d", test.text, got, err, test.d)
		}
	}
	for text, want := range map[string]time.Duration{"7": 7 * time.Second, "0.127": 127 * time.Millisecond, "-0.5": -500 * time.Millisecond} {
		if got, err := parseSeconds(text); err != nil || got != want {
			t.Errorf("parseSeconds(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, bad := range []string{"", ".", "1.", "a", "1.2.3", "1.-5", "1.+5", "1e3", "1.0000000001", "99999999999999999999"} {
		if got, err := parseSeconds(bad); err == nil {
			t.Errorf("parseSeconds(%q) = %v, want an error", bad, got)
		}
	}
}

// TestOthersCanReadTheLog reads the log with the library's own reader, which
// keeps to the format of the Java original.
func TestOthersCanReadTheLog(t *testing.T) {
	dir, inMemory := writeExample(t)
	text, err := os.ReadFile(filepath.Join(dir, latencyFile))
	if err != nil {
		t.Fatal(err)
	}
	reader := hdrhistogram.NewHistogramLogReader(bytes.NewReader(text))
	total := NewHistogram()
	lines := 0
	for {
		h, err := reader.NextIntervalHistogram()
		if err != nil {
			t.Fatal(err)
		}
		if h == nil {
			break
		}
		lines++
		if h.Tag() == "001/browse/latency" {
			total.Merge(h)
		}
		if lines == 1 {
			wantStart := exampleAnchor().UnixMilli() + 1000
			if h.StartTimeMs() != wantStart || h.EndTimeMs() != wantStart+1000 {
				t.Errorf("first interval from %d to %d, want from %d", h.StartTimeMs(), h.EndTimeMs(), wantStart)
			}
		}
	}
	if want := 2 * 3 * 2 * 3; lines != want { // phases, seconds, requests, quantities
		t.Errorf("%d lines, want %d", lines, want)
	}
	if !total.Equals(whole(inMemory[1].ByRequest[0].Latency)) {
		t.Error("the library reads other latencies")
	}
}

func BenchmarkEncode(b *testing.B) {
	s, _ := newSparse(randomHistogram(1, 3000).Latency)
	var e encoder
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if buffer, err = e.append(buffer[:0], s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buffer)), "bytes")
}

func FuzzHlogLine(f *testing.F) {
	s, _ := newSparse(randomHistogram(1, 300).Latency)
	line, err := appendHlogLine(nil, &encoder{}, hlogLine{tag: tag{3, "a b", quantityService}, start: time.Second, end: 2 * time.Second, values: s})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(strings.TrimSuffix(string(line), "\n"))
	f.Add("#[StartTime: 1.5 (seconds since epoch)]")
	f.Add("Tag=003/a/latency,1.0,1.0,0.0,HISTFAAAAAh42gMAAAAAAQ==")
	f.Add("Tag=,,,,")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok, err := parseHlogLine(&decoder{}, []byte(text))
		if err != nil || !ok {
			return
		}
		if got.end < got.start {
			t.Fatalf("an interval from %s to %s", got.start, got.end)
		}
		again, err := appendHlogLine(nil, &encoder{}, got)
		if err != nil {
			t.Fatal(err)
		}
		reread, ok, err := parseHlogLine(&decoder{}, bytes.TrimSuffix(again, []byte("\n")))
		if err != nil || !ok || !reflect.DeepEqual(reread, got) {
			t.Fatalf("%q was read as %+v, written again it is %+v, %v", text, got, reread, err)
		}
	})
}
