package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sailplan-io/sailplan/scenarios"
)

func TestParseObjective(t *testing.T) {
	tests := []struct {
		text string
		want scenarios.Objective
		err  string // part of it
	}{
		{text: "p99<50ms", want: scenarios.Objective{Quantile: 0.99, Latency: 50 * time.Millisecond}},
		{text: "p99.9 <= 1.5s", want: scenarios.Objective{Quantile: 0.999, Latency: 1500 * time.Millisecond}},
		{text: "P50<800us", want: scenarios.Objective{Quantile: 0.5, Latency: 800 * time.Microsecond}},
		{text: "errors<0.1%", want: scenarios.Objective{ErrorRatio: 0.001}},
		{text: "errors <= 0.02", want: scenarios.Objective{ErrorRatio: 0.02}},
		{text: "p99=50ms", err: "there is no <"},
		{text: "p100<50ms", err: "neither a quantile nor errors"},
		{text: "p0<50ms", err: "neither a quantile nor errors"},
		{text: "q99<50ms", err: "neither a quantile nor errors"},
		{text: "pNaN<50ms", err: "neither a quantile nor errors"},
		{text: "p99<50", err: "is no time"},
		{text: "p99<-1ms", err: "is no time"},
		{text: "errors<lots", err: "lots"},
	}
	for _, tt := range tests {
		got, err := parseObjective(tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("parseObjective(%q) = %v, want an error with %q", tt.text, err, tt.err)
			}
			continue
		}
		if err != nil || got != tt.want {
			t.Errorf("parseObjective(%q) = %+v, %v, want %+v", tt.text, got, err, tt.want)
		}
	}
}

// applied parses a command line of run and returns the scenario that it makes.
func applied(t *testing.T, base scenarios.Scenario, fromURL bool, line ...string) (scenarios.Scenario, error) {
	t.Helper()
	var o runOptions
	c := (&app{}).runCommand()
	c.ResetFlags()
	o.flags(c)
	if err := c.ParseFlags(line); err != nil {
		t.Fatal(err)
	}
	err := o.apply(&base, c.Flags().Changed, fromURL)
	return base, err
}

// Arrivals that are closed are what --rate max stands for.
func TestClosedArrivals(t *testing.T) {
	shaped := scenarios.Scenario{Load: scenarios.Load{Rate: scenarios.PerSecond(7), Shape: &scenarios.Shape{}}}
	tests := []struct {
		name    string
		base    scenarios.Scenario
		fromURL bool
		line    []string
		err     string // part of it
	}{
		{name: "a URL", fromURL: true, line: []string{"--arrivals", "closed"}},
		{name: "a scenario with a rate and a shape", base: shaped, line: []string{"--arrivals", "closed"}},
		{name: "the same by its other name", base: shaped, line: []string{"--rate", "max"}},
		{name: "both", fromURL: true, line: []string{"--arrivals", "closed", "--rate", "max"}},
		{name: "with a rate", fromURL: true, line: []string{"--arrivals", "closed", "--rate", "5/s"}, err: "--arrivals closed sends as fast as answers come: leave out --rate 5/s"},
		{name: "neither", fromURL: true, line: []string{"--arrivals", "poisson", "--rate", "max"}, err: "--rate max sends as fast as answers come: leave out --arrivals poisson"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := applied(t, tt.base, tt.fromURL, tt.line...)
			if tt.err != "" {
				if err == nil || err.Error() != tt.err {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.Load.Arrivals != scenarios.Closed || !s.Load.Rate.IsZero() || s.Load.Shape != nil || !s.Guards.MaxRate.IsZero() {
				t.Errorf("got %+v with the guard %s, want closed arrivals alone", s.Load, s.Guards.MaxRate)
			}
		})
	}
}

func TestRunOfURL(t *testing.T) {
	base, err := scenarioOfURL("https://127.0.0.1:8443/a/b?q=1&r=2#part")
	if err != nil {
		t.Fatal(err)
	}
	s, err := applied(t, base, true)
	if err != nil {
		t.Fatal(err)
	}
	s = scenarios.Defaults(s)
	if err := scenarios.Validate(s); err != nil {
		t.Errorf("a bare URL is not valid: %v", err)
	}
	if s.Target.URL != "https://127.0.0.1:8443" || s.Requests[0].Path != "/a/b?q=1&r=2" || s.Requests[0].Method != "GET" {
		t.Errorf("got %s %s %s", s.Requests[0].Method, s.Target.URL, s.Requests[0].Path)
	}
	if s.Load.Rate.RPS() != 100 || s.Load.Duration != 10*time.Second || s.Guards.MaxRate.RPS() != 100 || len(s.Objectives) != 0 {
		t.Errorf("got rate %s for %s, guard %s, objectives %v", s.Load.Rate, s.Load.Duration, s.Guards.MaxRate, s.Objectives)
	}
	for _, raw := range []string{
		"http://user:secret@127.0.0.1/", "http://user:secret@127.0.0.1:bad port/", "http://user@127.0.0.1/?token=secret",
		"http://user:secret@127.0.0.1/?token=secret", "http://user:secret@127.0.0.1/#secret", "http://127.0.0.1:bad port/?token=secret",
		"http://u:p@127.0.0.1:bad port/?token=secret", "http://u:pa?secret@127.0.0.1:bad port/?mail=a@b&token=secret",
	} {
		if _, err := scenarioOfURL(raw); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "token") {
			t.Errorf("%s: got %v, want an error that repeats neither the password nor the query", raw, err)
		}
	}
	if _, err := scenarioOfURL("http://user:secret@shop.example.com:8080/a?b=c"); err == nil || !strings.Contains(err.Error(), "@shop.example.com:8080/a?…: a user in the URL is not sent; give --header") {
		t.Errorf("got %v, want an error that still tells which URL, and a way out", err)
	}
}

func TestRunFlagsCountBeforeTheScenario(t *testing.T) {
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	if err := os.WriteFile(body, []byte("of a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	base := func() scenarios.Scenario {
		return scenarios.Scenario{
			Target:     &scenarios.Target{URL: "http://127.0.0.1", TLS: scenarios.TLS{CAFile: "ca.pem"}},
			Requests:   []scenarios.Request{{Name: "a", Path: "/a", Headers: map[string]string{"x": "1"}}, {Name: "b", Path: "/b", Method: "PUT"}},
			Load:       scenarios.Load{Rate: scenarios.PerSecond(7), Arrivals: scenarios.Closed, Shape: &scenarios.Shape{}, Timeout: time.Second},
			Objectives: []scenarios.Objective{{ErrorRatio: 0.5}},
			Guards:     scenarios.Guards{MaxRate: scenarios.PerSecond(1000)},
		}
	}
	tests := []struct {
		name string
		line []string
		get  func(scenarios.Scenario) any
		want any
	}{
		{"nothing given", nil, func(s scenarios.Scenario) any { return s }, base()},
		{"rate", []string{"--rate", "5000/s"}, func(s scenarios.Scenario) any { return s.Load.Rate }, scenarios.PerSecond(5000)},
		{"a rate opens the loop and ends the shape", []string{"--rate", "5000/s"}, func(s scenarios.Scenario) any { return []any{s.Load.Arrivals, s.Load.Shape == nil} }, []any{scenarios.Process(""), true}},
		{"as fast as possible", []string{"--rate", "max"}, func(s scenarios.Scenario) any { return []any{s.Load.Arrivals, s.Load.Rate} }, []any{scenarios.Closed, scenarios.Rate{}}},
		{"the guard stays", []string{"--rate", "5/s"}, func(s scenarios.Scenario) any { return s.Guards.MaxRate }, scenarios.PerSecond(1000)},
		{"the guard is given", []string{"--max-rate", "5/s"}, func(s scenarios.Scenario) any { return s.Guards.MaxRate }, scenarios.PerSecond(5)},
		{"times", []string{"--duration", "3s", "--timeout", "2s", "--warm-up", "0s"}, func(s scenarios.Scenario) any { return []time.Duration{s.Load.Duration, s.Load.Timeout, s.Load.WarmUp} }, []time.Duration{3 * time.Second, 2 * time.Second, 0}},
		{"connections", []string{"--connections", "3", "--streams", "4"}, func(s scenarios.Scenario) any { return s.Connections }, scenarios.Connections{Count: 3, StreamsPerConnection: 4}},
		{"objectives replace", []string{"--objective", "p99<1s", "--objective", "errors<1%"}, func(s scenarios.Scenario) any { return s.Objectives }, []scenarios.Objective{{Quantile: 0.99, Latency: time.Second}, {ErrorRatio: 0.01}}},
		{"headers add up", []string{"-H", "Y:  2", "-H", "x: 3"}, func(s scenarios.Scenario) any { return s.Requests[0].Headers }, map[string]string{"x": "3", "Y": "2"}},
		{"data makes it a POST", []string{"--data", "hello"}, func(s scenarios.Scenario) any {
			return []string{s.Requests[0].Method, s.Requests[0].Body, s.Requests[1].Method}
		}, []string{"POST", "hello", "PUT"}},
		{"data of a file", []string{"--data", "@" + body, "--method", "patch"}, func(s scenarios.Scenario) any { return []string{s.Requests[0].Method, s.Requests[0].Body} }, []string{"PATCH", "of a file"}},
		{"insecure", []string{"--insecure"}, func(s scenarios.Scenario) any { return s.Target.TLS }, scenarios.TLS{CAFile: "ca.pem", Insecure: true}},
		{"protocol", []string{"--protocol", "http/1.1", "--connect-to", "127.0.0.1:1"}, func(s scenarios.Scenario) any { return []any{s.Target.Protocol, s.Target.ConnectTo} }, []any{scenarios.ProtocolHTTP1, "127.0.0.1:1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := applied(t, base(), false, tt.line...)
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.get(s); !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
	s, err := applied(t, base(), false, "--ca", "other.pem")
	if here, _ := os.Getwd(); err != nil || s.Target.TLS.CAFile != filepath.Join(here, "other.pem") {
		t.Errorf("got %s, %v, want a path from where the user is", s.Target.TLS.CAFile, err)
	}
}

func TestRunRefusesFlags(t *testing.T) {
	lab := scenarios.Scenario{Lab: &scenarios.Lab{}}
	target := scenarios.Scenario{Target: &scenarios.Target{}}
	tests := []struct {
		base scenarios.Scenario
		line []string
		want string
	}{
		{target, []string{"--rate", "fast"}, "--rate"},
		{target, []string{"--max-rate", "5"}, "--max-rate"},
		{target, []string{"--duration", "0s"}, "--duration"},
		{target, []string{"--timeout", "-1s"}, "--timeout"},
		{target, []string{"--connections", "0"}, "--connections"},
		{target, []string{"--header", "secret-without-colon"}, "--header"},
		{target, []string{"--data", "@/does/not/exist"}, "--data"},
		{target, []string{"--objective", "fast"}, "objective"},
		{lab, []string{"--insecure"}, "describes a lab"},
	}
	for _, tt := range tests {
		_, err := applied(t, tt.base, false, tt.line...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want an error about %s, without the value of a header", slices.Clone(tt.line), err, tt.want)
		}
	}
}
