package experiment

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// rangeServer answers range queries with a body, and keeps the last question.
func rangeServer(t *testing.T, status int, result string) (address string, asked *url.Values) {
	t.Helper()
	asked = &url.Values{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/query_range" {
			http.NotFound(w, r)
			return
		}
		_ = r.ParseForm()
		*asked = r.Form
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, result)
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

// matrixOf is the answer of a Prometheus with those series.
func matrixOf(series ...string) string {
	return `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}}`
}

func TestReplayAsksPrometheus(t *testing.T) {
	end := time.Unix(1_000_000, 0)
	address, asked := rangeServer(t, http.StatusOK,
		matrixOf(`{"metric":{},"values":[[999700,"10"],[999715,"NaN"],[999730,"30.5"]]}`))
	got, err := rateSamples(context.Background(), address, "sum(rate(x[1m]))", 5*time.Minute, end)
	if err != nil {
		t.Fatal(err)
	}
	want := []scenarios.RateSample{{At: time.Unix(999700, 0), RPS: 10}, {At: time.Unix(999730, 0), RPS: 30.5}}
	if len(got) != 2 || !got[0].At.Equal(want[0].At) || got[0].RPS != 10 || !got[1].At.Equal(want[1].At) || got[1].RPS != 30.5 {
		t.Errorf("got %v, want %v: what is not a number is left out", got, want)
	}
	for name, want := range map[string]float64{"start": 999700, "end": 1_000_000, "step": 1} {
		if got, err := strconv.ParseFloat(asked.Get(name), 64); err != nil || got != want {
			t.Errorf("%s: got %s, want %v", name, asked.Get(name), want)
		}
	}
	// Prometheus refuses more than 11 000 points a series.
	if _, err := rateSamples(context.Background(), address, "x", 720*time.Hour, end); err != nil {
		t.Fatal(err)
	}
	if step, err := strconv.ParseFloat(asked.Get("step"), 64); err != nil || 720*3600/step > 11_000 || 720*3600/step < 9_000 {
		t.Errorf("720 hours: got a step of %s s, want some 10 000 points", asked.Get("step"))
	}
}

func TestReplayRefuses(t *testing.T) {
	const one = `{"metric":{"pod":"a"},"values":[[1,"1"],[2,"2"]]}`
	tests := []struct {
		name   string
		status int
		answer string
		want   string
	}{
		{"no series", 200, matrixOf(), "no series in the last 5m0s"},
		{"several series", 200, matrixOf(one, strings.Replace(one, `"a"`, `"b"`, 1)), `2 series, of which one can be used: put sum(…) around it ({pod="a"}, {pod="b"}`},
		{"one value", 200, matrixOf(`{"metric":{},"values":[[1,"1"]]}`), "1 values in the last 5m0s: at least two"},
		{"nothing but not-a-number", 200, matrixOf(`{"metric":{},"values":[[1,"NaN"],[2,"NaN"]]}`), "0 values"},
		{"not PromQL", 400, `{"status":"error","errorType":"bad_data","error":"parse error: unclosed left parenthesis"}`, "does not understand it"},
		{"down", 503, `oh`, "asking Prometheus"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := rangeServer(t, tt.status, tt.answer)
			_, err := rateSamples(context.Background(), address, "x", 5*time.Minute, time.Now())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
