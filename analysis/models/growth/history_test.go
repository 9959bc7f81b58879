package growth

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReadCSV(t *testing.T) {
	for _, c := range []struct {
		name, text string
		times      []int64 // seconds
		rates      []float64
		err        string
	}{
		{"header", "time,rate\n0,5\n3600,6.5\n", []int64{0, 3600}, []float64{5, 6.5}, ""},
		{"no header, spaces, a comment", "# from somewhere\n 0, 5\n60, 1e3\n", []int64{0, 60}, []float64{5, 1000}, ""},
		{"dates", "day;x,rate\n1970-01-02,1\n1970-01-03,2\n", []int64{86400, 172800}, []float64{1, 2}, ""},
		{"RFC 3339", "1970-01-01T01:00:00+01:00,1\n1970-01-01T00:00:01.5Z,2\n", []int64{0, 1}, []float64{1, 2}, ""},
		{"a mark, quotes", "\ufeff\"0\",\"5\"\n", []int64{0}, []float64{5}, ""},
		{"missing values", "0,\n1,NaN\n2,3\n", []int64{0, 1, 2}, []float64{math.NaN(), math.NaN(), 3}, ""},
		{"empty", "", nil, nil, "there are no rows"},
		{"header alone", "time,rate\n", nil, nil, "there are no rows"},
		{"one column", "0\n", nil, nil, "wrong number of fields"},
		{"three columns", "0,1,2\n", nil, nil, "wrong number of fields"},
		{"text as rate", "0,1\n1,many\n", nil, nil, `line 2: "many" is no rate`},
		{"text as time", "0,1\nsoon,1\n", nil, nil, `line 2: "soon" is no instant`},
		{"negative", "0,-1\n", nil, nil, `line 1: "-1" is no rate`},
		{"infinite", "0,+Inf\n", nil, nil, "is no rate"},
		{"milliseconds", "1767225600000,1\n", nil, nil, "no instant in seconds since 1970"},
		{"falling", "5,1\n4,1\n", nil, nil, "line 2: 1970-01-01T00:00:04Z does not come after 1970-01-01T00:00:05Z"},
		{"twice", "5,1\n5,1\n", nil, nil, "does not come after"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ReadCSV(strings.NewReader(c.text))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var times []int64
			for _, at := range got.Times {
				times = append(times, at.Unix())
			}
			same := func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }
			if !slices.Equal(times, c.times) || !slices.EqualFunc(got.Rates, c.rates, same) {
				t.Errorf("got %v, %v, want %v, %v", times, got.Rates, c.times, c.rates)
			}
		})
	}
}

// FuzzReadCSV: what is read can be written and read again, and forecast from.
func FuzzReadCSV(f *testing.F) {
	for _, seed := range []string{"time,rate\n0,5\n3600,6.5\n", "1970-01-02,1\n1970-01-03,NaN\n", "# x\n\"0\",\"1e300\"\n1,0\n", "0.5,1\n0.75,1\n", "1970-01-01,1\n2200-12-31T23:59:59Z,2\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ReadCSV(strings.NewReader(text))
		if err != nil {
			return
		}
		var again strings.Builder
		for i, at := range h.Times {
			if !(h.Rates[i] >= 0) && !math.IsNaN(h.Rates[i]) {
				t.Fatalf("a rate of %v", h.Rates[i])
			}
			fmt.Fprintf(&again, "%s,%v\n", at.Format(time.RFC3339Nano), h.Rates[i])
		}
		second, err := ReadCSV(strings.NewReader(again.String()))
		if err != nil || len(second.Times) != len(h.Times) || !second.Times[0].Equal(h.Times[0]) {
			t.Fatalf("%q is read again as %v, %v", again.String(), second, err)
		}
		if len(h.Times) < 200 {
			FromHistory(h, Options{HorizonDays: 30, Draws: 5}).Reaches(1000)
		}
	})
}

// TestThin: the highest of each stretch is left, at its instant, and days keep their
// peaks.
func TestThin(t *testing.T) {
	var h History
	for minute := range 30 * 24 * 60 {
		at := wednesday().Add(time.Duration(minute) * time.Minute)
		h.Times, h.Rates = append(h.Times, at), append(h.Rates, float64((minute*7919)%10007))
	}
	h.Rates[90] = math.NaN()
	h.Rates[100] = 20000
	thin := h.Thin(1000)
	if n := len(thin.Times); n != 30*24 {
		t.Fatalf("%d values, want one an hour", n)
	}
	if at := slices.Index(thin.Rates, 20000); at != 1 || !thin.Times[1].Equal(h.Times[100]) {
		t.Errorf("the highest of the second hour is at %d, %s", at, thin.Times[1])
	}
	before, err := h.reduce()
	if err != nil {
		t.Fatal(err)
	}
	after, err := thin.reduce()
	if err != nil || !slices.Equal(before.rate, after.rate) {
		t.Errorf("the peaks of days are %v, were %v (%v)", after.rate, before.rate, err)
	}
	if n := len(h.Thin(100).Times); n > 100 || n < 30 {
		t.Errorf("%d values, want at most 100", n)
	}
	if same := h.Thin(len(h.Times)); len(same.Times) != len(h.Times) {
		t.Error("a history that is short enough is changed")
	}
}
