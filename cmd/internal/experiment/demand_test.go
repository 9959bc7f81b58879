package experiment

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestPastDemand(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rates.csv"), []byte("time,rate\n2026-03-01,10\n2026-03-02,NaN\n2026-03-03,30\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bad.csv"), []byte("time,rate\n2026-03-01,ten\n2026-03-01,ten\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, asked := rangeServer(t, http.StatusOK, matrixOf(`{"metric":{},"values":[[999700,"10"],[999715,"NaN"],[999730,"30"]]}`))
	negative, _ := rangeServer(t, http.StatusOK, matrixOf(`{"metric":{},"values":[[999700,"10"],[999715,"-1"]]}`))
	two, _ := rangeServer(t, http.StatusOK, matrixOf(`{"metric":{"a":"1"},"values":[[1,"1"],[2,"1"]]}`, `{"metric":{"a":"2"},"values":[[1,"1"],[2,"1"]]}`))
	for _, c := range []struct {
		name       string
		history    scenarios.DemandHistory
		prometheus string
		n          int
		err        string
	}{
		{"none", scenarios.DemandHistory{}, "", 0, ""},
		{"a file beside the scenario", scenarios.DemandHistory{File: "rates.csv"}, "", 2, ""},
		{"a file elsewhere", scenarios.DemandHistory{File: filepath.Join(dir, "rates.csv")}, "", 2, ""},
		{"a file that is not there", scenarios.DemandHistory{File: "no.csv"}, "", 0, "demand.history.file"},
		{"a file with words", scenarios.DemandHistory{File: "bad.csv"}, "", 0, `line 2: "ten" is no rate`},
		{"a query", scenarios.DemandHistory{Query: "up", Last: 48 * time.Hour}, server, 2, ""},
		{"a rate below zero", scenarios.DemandHistory{Query: "up", Last: 48 * time.Hour}, negative, 0, "demand.history.query: a rate of -1"},
		{"two series", scenarios.DemandHistory{Query: "up", Last: 48 * time.Hour}, two, 0, "demand.history.query: it has 2 series"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := pastDemand(context.Background(), scenarios.Scenario{
				Dir: dir, Demand: scenarios.Demand{History: c.history}, Observe: scenarios.Observe{Prometheus: c.prometheus},
			})
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
				t.Fatalf("error %v, want one with %q", err, c.err)
			case len(got) != c.n:
				t.Errorf("%d rates, want %d", len(got), c.n)
			case c.n == 2 && (got[0].RPS != 10 || got[1].RPS != 30):
				t.Errorf("got %v, want 10 and 30: what is missing is left out", got)
			}
		})
	}
	if asked.Get("query") != "up" {
		t.Errorf("asked %v", asked)
	}
}
