package experiment

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

// prometheusAnswering serves instant queries; answer is the "data" of the reply,
// empty for an internal error.
func prometheusAnswering(t *testing.T, answer func() string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		data := answer()
		if data == "" {
			http.Error(w, `{"status":"error","errorType":"internal","error":"broken"}`, http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"status":"success","data":%s}`, data)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	emptyVector = `{"resultType":"vector","result":[]}`
	zeroVector  = `{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"0"]}]}`
	hotVector   = `{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"0"]},{"metric":{"pod":"b"},"value":[1700000000,"0.31"]}]}`
)

func TestConditionBreached(t *testing.T) {
	for _, test := range []struct {
		name, data string
		reason     string // part of it; empty: not breached
		err        string
	}{
		{"an empty answer is no breach", emptyVector, "", ""},
		{"zero is no breach", zeroVector, "", ""},
		{"not a number is no breach", `{"resultType":"vector","result":[{"metric":{},"value":[1700000000,"NaN"]}]}`, "", ""},
		{"any sample that is not zero is one", hotVector, `"errors": bad > 0.2 is 0.31`, ""},
		{"a scalar counts", `{"resultType":"scalar","result":[1700000000,"2"]}`, "is 2", ""},
		{"a guard that can't be asked is an error", "", "", `"errors": asking Prometheus`},
	} {
		t.Run(test.name, func(t *testing.T) {
			url := prometheusAnswering(t, func() string { return test.data })
			c, err := newConditions(url, []scenarios.Condition{{Name: "errors", Query: "bad > 0.2"}})
			if err != nil {
				t.Fatal(err)
			}
			reason, err := c.breached(t.Context())
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error: got %v, want one with %q", err, test.err)
			}
			if (reason == "") != (test.reason == "") || !strings.Contains(reason, test.reason) {
				t.Errorf("reason: got %q, want one with %q", reason, test.reason)
			}
		})
	}
}

func TestConditionsStopOnceBreached(t *testing.T) {
	var asked atomic.Int32
	url := prometheusAnswering(t, func() string {
		if asked.Add(1) > 1 {
			return hotVector
		}
		return emptyVector
	})
	c, err := newConditions(url, []scenarios.Condition{{Name: "errors", Query: "bad"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var reasons []string
	c.watch(ctx, func(reason string, err error) { reasons = append(reasons, fmt.Sprint(reason, err)) })
	if len(reasons) != 1 || !strings.Contains(reasons[0], "0.31") {
		t.Errorf("got %q, want one stop that names the value", reasons)
	}
	if ctx.Err() != nil {
		t.Error("watching went on after the breach")
	}
}

func TestConditionsStopWhenPrometheusIsGone(t *testing.T) {
	url := prometheusAnswering(t, func() string { return "" })
	c, err := newConditions(url, []scenarios.Condition{{Name: "errors", Query: "bad"}})
	if err != nil {
		t.Fatal(err)
	}
	var got error
	c.watch(t.Context(), func(_ string, err error) { got = err })
	if got == nil || !strings.Contains(got.Error(), "asking Prometheus") {
		t.Errorf("got %v, want the error of asking", got)
	}
}
