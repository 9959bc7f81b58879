package record

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestDemandIsReadBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	w, err := Create(dir, Run{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	rates := []scenarios.RateSample{
		{At: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), RPS: 0},
		{At: time.Date(2026, 3, 1, 1, 0, 0, 500e6, time.UTC), RPS: 1234.5678901},
	}
	if err := w.Demand(rates); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(EndedDone, ""); err != nil {
		t.Fatal(err)
	}
	rec, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(rec.Demand, rates, func(a, b scenarios.RateSample) bool { return a.At.Equal(b.At) && a.RPS == b.RPS }) {
		t.Errorf("got %v, want %v", rec.Demand, rates)
	}
	for text, want := range map[string]string{
		"time,rate\n2026-03-01T00:00:00Z;5\n":                            "demand.csv:2: \"2026-03-01T00:00:00Z;5\" is not an instant and a rate",
		"time,rate\nsoon,5\n":                                            "\"soon\" is no instant",
		"2026-03-01T00:00:00Z,-1\n":                                      "demand.csv:1: \"-1\" is no rate",
		"2026-03-01T00:00:00Z,NaN\n":                                     "is no rate",
		"2026-03-02T00:00:00Z,1\n2026-03-01T00:00:00Z,1\n# never read\n": "demand.csv:2: 2026-03-01T00:00:00Z does not come after",
	} {
		if err := os.WriteFile(filepath.Join(dir, demandFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}
