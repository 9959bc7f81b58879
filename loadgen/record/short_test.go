package record

import (
	"reflect"
	"testing"
	"time"
)

// A histogram that ends earlier is written as one of full length with the same values.
func TestShortHistogram(t *testing.T) {
	short, whole := NewHistogramUpTo(250*time.Millisecond), NewHistogram()
	for _, v := range []time.Duration{0, 500, 1000, 2047, 2048, 1_048_576, 77_777_777, 250_000_000} {
		if err := short.RecordValues(int64(v), 3); err != nil {
			t.Fatal(err)
		}
		if err := whole.RecordValues(int64(v), 3); err != nil {
			t.Fatal(err)
		}
	}
	got, dropped := newSparse(short)
	want, _ := newSparse(whole)
	if dropped != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v and %d dropped, want %+v", got, dropped, want)
	}
}
