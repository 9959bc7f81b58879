package scenarios_test

import (
	"math"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestParseRate(t *testing.T) {
	for in, want := range map[string]scenarios.Rate{
		"5000/s":         {Count: 5000, Per: time.Second},
		"2.5k/s":         {Count: 2500, Per: time.Second},
		"1M/s":           {Count: 1_000_000, Per: time.Second},
		"90/m":           {Count: 90, Per: time.Minute},
		"90/min":         {Count: 90, Per: time.Minute},
		"10/h":           {Count: 10, Per: time.Hour},
		"0.5/s":          {Count: 500, Per: 1000 * time.Second},
		"0.001/h":        {Count: 1, Per: 1000 * time.Hour},
		"3/7s":           {Count: 3, Per: 7 * time.Second},
		"0/s":            {},
		"1000000000/s":   {Count: 1e9, Per: time.Second},
		"999999.999k/s":  {Count: 999_999_999, Per: time.Second},
		"0.1k/100ms":     {Count: 100, Per: 100 * time.Millisecond},
		"1234567.891/1s": {Count: 1_234_567_891, Per: 1000 * time.Second},
	} {
		if got, err := scenarios.ParseRate(in); err != nil || got != want {
			t.Errorf("%s: got %+v, error %v, want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "5", "/", "/s", "s", "5/", "5/d", "5/0s", "5/-1s", "-5/s", "+5/s", "1e3/s", "NaN/s", "Inf/s", "0x10/s", "1_000/s", "5 /s", " 5/s", "1.2345/s", "1.5/9999999h", "1000000001/s", "1001M/s", "5/s/s", "5//s"} {
		if got, err := scenarios.ParseRate(in); err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		}
	}
}

func TestRateString(t *testing.T) {
	for _, test := range []struct {
		rate scenarios.Rate
		want string
	}{
		{scenarios.Rate{}, "0/s"},
		{scenarios.PerSecond(5000), "5000/s"},
		{scenarios.PerSecond(2.5), "2.5/s"},
		{scenarios.PerSecond(1234.567), "1234.567/s"},
		{scenarios.Rate{Count: 90, Per: time.Minute}, "90/m"},
		{scenarios.Rate{Count: 2500, Per: 1000 * time.Hour}, "2.5/h"},
		{scenarios.Rate{Count: 3, Per: 7 * time.Second}, "3/7s"},
	} {
		if got := test.rate.String(); got != test.want {
			t.Errorf("%+v: got %s, want %s", test.rate, got, test.want)
		}
	}
}

func TestQuantities(t *testing.T) {
	for in, want := range map[string]scenarios.Bytes{"0": 0, "1024": 1024, "1Ki": 1024, "0.5Gi": 512 << 20, "512Mi": 512 << 20, "1k": 1000, "1.5M": 1_500_000, "888Pi": 888 << 50} {
		if got, err := scenarios.ParseBytes(in); err != nil || got != want {
			t.Errorf("%s: got %d, error %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1", "+1", "1B", "1MB", "0.5", "512m", "1e3", "9999Pi", "8192Pi", "1000P", "999999999999999999Pi", "Mi", "1 Mi", ".5Mi", "0.3Ki"} {
		if got, err := scenarios.ParseBytes(in); err == nil {
			t.Errorf("%q: got %d, want an error", in, got)
		}
	}
	for in, want := range map[string]scenarios.CPU{"0": 0, "300m": 300, "1": 1000, "0.5": 500, "2.125": 2125, "1500m": 1500, "999999999m": 999999999} {
		if got, err := scenarios.ParseCPU(in); err != nil || got != want {
			t.Errorf("%s: got %d, error %v, want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1", "1k", "100u", "0.0005", "1e3", "m", "0.5m", "half"} {
		if got, err := scenarios.ParseCPU(in); err == nil {
			t.Errorf("%q: got %d, want an error", in, got)
		}
	}
	for in, want := range map[string]scenarios.Ratio{"0": 0, "20%": 0.2, "20 %": 0.2, "0.2": 0.2, "0.1%": 0.001, "14%": 0.14, "100%": 1, "1e-3": 0.001, "5e-1%": 0.005} {
		if got, err := scenarios.ParseRatio(in); err != nil || got != want {
			t.Errorf("%s: got %v, error %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "%", "-1", "NaN", "Inf", "1e5", "0x1p-2", "20%%", " 20%", "1,5"} {
		if got, err := scenarios.ParseRatio(in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}

func TestQuantityStrings(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{scenarios.Bytes(0).String(), "0"},
		{scenarios.Bytes(1000).String(), "1000"},
		{scenarios.Bytes(1536).String(), "1536"},
		{scenarios.Bytes(512 << 20).String(), "512Mi"},
		{scenarios.CPU(300).String(), "300m"},
		{scenarios.CPU(2000).String(), "2"},
		{scenarios.Ratio(0).String(), "0%"},
		{scenarios.Ratio(0.2).String(), "20%"},
		{scenarios.Ratio(0.001).String(), "0.1%"},
		{scenarios.Ratio(0.07).String(), "7%"},
		{scenarios.Ratio(1.5).String(), "150%"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
	for name, marshal := range map[string]func() ([]byte, error){
		"negative rate":  scenarios.Rate{Count: -1, Per: 1}.MarshalText,
		"timeless rate":  scenarios.Rate{Count: 1}.MarshalText,
		"negative bytes": scenarios.Bytes(-1).MarshalText,
		"negative cpu":   scenarios.CPU(-1).MarshalText,
		"nan":            scenarios.Ratio(math.NaN()).MarshalText,
		"infinite":       scenarios.Ratio(math.Inf(1)).MarshalText,
	} {
		if text, err := marshal(); err == nil {
			t.Errorf("%s: got %s, want an error", name, text)
		}
	}
}
