package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What a request of each destination costs the gateway of a made-up mesh, and how large
// its answers are: what the large one costs more is 5 ns a byte.
const (
	smallRequest, largeRequest = 100e-6, 180e-6
	smallAnswer, largeAnswer   = 500.0, 16500.0
)

// ofMesh writes what a Prometheus scraped of two replicas of a gateway whose requests go
// to two destinations, as Istio's metrics have them; large is the share of the one with
// large answers at a share of the time.
func ofMesh(name string, from time.Time, large func(share float64) float64) (cpu, requests, classes, bytes []string) {
	random := rand.New(rand.NewPCG(7, 7))
	steps := int(observedHours * time.Hour / observedScrape)
	for i, pod := range []string{"a", "b"} {
		var seconds, answered float64
		var of, sent [2]float64
		for step := range steps {
			share := float64(step) / float64(steps)
			rate := wave(share) / 2 * (1 + 0.05*random.NormFloat64())
			part := large(share)
			answered += rate * observedScrape.Seconds()
			of[0] += rate * (1 - part) * observedScrape.Seconds()
			of[1] += rate * part * observedScrape.Seconds()
			sent[0], sent[1] = of[0]*smallAnswer, of[1]*largeAnswer
			cost := (1-part)*smallRequest + part*largeRequest
			seconds += (observedIdle + cost*rate) * observedScrape.Seconds() * (1 + 0.02*random.NormFloat64())
			at := float64(from.Unix()) + float64(step)*observedScrape.Seconds() + float64(i)*3.7
			line := func(metric, more string, v float64) string {
				return fmt.Sprintf("%s{case=%q,pod=%q%s} %.3f %.3f", metric, name, pod, more, v, at)
			}
			cpu = append(cpu, line("cpu_seconds_total", "", 1000+seconds))
			requests = append(requests, line("requests_total", "", math.Floor(answered)))
			for k, destination := range []string{"small", "large"} {
				// One request in ten fails; the proxies of both sides count each.
				for _, status := range []struct {
					code  string
					share float64
				}{{"200", 0.9}, {"503", 0.1}} {
					for _, reporter := range []string{"source", "destination"} {
						labels := fmt.Sprintf(",reporter=%q,destination_service_name=%q,response_code=%q", reporter, destination, status.code)
						classes = append(classes, line("istio_requests_total", labels, math.Floor(of[k]*status.share)))
					}
				}
				bytes = append(bytes, line("istio_response_bytes_sum", fmt.Sprintf(",destination_service_name=%q", destination), math.Floor(sent[k])))
			}
		}
	}
	return cpu, requests, classes, bytes
}

// meshes starts a Prometheus that scraped several of them.
func meshes(t *testing.T, from time.Time, cases map[string]func(share float64) float64) string {
	t.Helper()
	families := []struct {
		name, kind string
		lines      []string
	}{{"cpu_seconds", "counter", nil}, {"requests", "counter", nil}, {"istio_requests", "counter", nil}, {"istio_response_bytes", "summary", nil}}
	for name, large := range cases {
		cpu, requests, classes, bytes := ofMesh(name, from, large)
		for i, lines := range [][]string{cpu, requests, classes, bytes} {
			families[i].lines = append(families[i].lines, lines...)
		}
	}
	var text strings.Builder
	for _, f := range families {
		fmt.Fprintf(&text, "# TYPE %s %s\n%s\n", f.name, f.kind, strings.Join(f.lines, "\n"))
	}
	return backfilled(t, text.String())
}

// classesResult is what these tests look at.
type classesResult struct {
	Outcome    string
	Warnings   []string
	Components []struct {
		RequestCosts *struct {
			ByRequest []struct {
				Name                            string
				Share                           float64
				CPUSeconds, AboveMeanCPUSeconds struct{ Value, Low, High *float64 }
			}
			ClassLabel, Reason                                string
			CPUSecondsPerAnswerByte, CPUSecondsPerRequestByte struct{ Value, Low, High *float64 }
			CPUSecondsPerRequestWithoutBytes                  struct{ Value, Low, High *float64 }
		}
	}
}

// What each kind of request costs shows where production's mix changed, and is said not
// to show where it did not.
func TestSizeFromPrometheusByClass(t *testing.T) {
	from := time.Now().Add(-8 * time.Hour).Truncate(time.Minute)
	changing := func(share float64) float64 { return 0.35 + 0.25*math.Sin(6*math.Pi*share) }
	prometheus := meshes(t, from, map[string]func(share float64) float64{
		"changing": changing, "constant": func(float64) float64 { return 0.35 },
	})
	begin, end := from.UTC().Format(time.RFC3339), from.Add(observedHours*time.Hour).UTC().Format(time.RFC3339)
	scenario := func(name, more string) string {
		s := observedScenario(prometheus, name)
		s = strings.ReplaceAll(s, fmt.Sprintf(", workingSetBytes: %q", fmt.Sprintf("memory_bytes{case=%q}", name)), "")
		s = strings.ReplaceAll(s, fmt.Sprintf(", latencyBuckets: %q", fmt.Sprintf("duration_milliseconds_bucket{case=%q}", name)), more)
		return s
	}
	classes := func(name, more string) string {
		return fmt.Sprintf(", classes: %q", fmt.Sprintf("istio_requests_total{case=%q%s}", name, more))
	}
	const source = `,reporter="source"`
	bytes := fmt.Sprintf(", answerBytes: %q", `istio_response_bytes_sum{case="changing"}`)
	size := func(t *testing.T, scenario string) (c *command, r classesResult) {
		t.Helper()
		c = watch(t, scenario, "--from", begin, "--to", end)
		if got := c.wait(); got != 0 {
			t.Fatalf("exit code: got %d, want 0", got)
		}
		r = readJSON[classesResult](t, filepath.Join(c.dir, "run", "recommendation.json"))
		return c, r
	}
	holds := func(t *testing.T, what string, e struct{ Value, Low, High *float64 }, want float64) {
		t.Helper()
		if e.Value == nil || e.Low == nil || e.High == nil {
			t.Errorf("%s is not told, want %.4g", what, want)
			return
		}
		// The interval of one draw misses one time in twenty; half as wide again hardly does.
		if wide := (*e.High - *e.Low) / 4; want < *e.Low-wide || want > *e.High+wide || *e.High-*e.Low > 0.3*want {
			t.Errorf("%s: %.4g (%.4g – %.4g), want %.4g", what, *e.Value, *e.Low, *e.High, want)
		}
	}
	t.Run("told apart", func(t *testing.T) {
		c, r := size(t, scenario("changing", classes("changing", source)+bytes))
		costs := r.Components[0].RequestCosts
		if costs == nil || len(costs.ByRequest) != 2 || costs.ByRequest[0].Name != "small" || costs.ClassLabel != "destination_service_name" {
			t.Fatalf("costs: %+v, want those of two destinations", costs)
		}
		holds(t, "a small answer", costs.ByRequest[0].CPUSeconds, smallRequest)
		holds(t, "a large answer", costs.ByRequest[1].CPUSeconds, largeRequest)
		holds(t, "a byte of an answer", costs.CPUSecondsPerAnswerByte, (largeRequest-smallRequest)/(largeAnswer-smallAnswer))
		holds(t, "a request without bytes", costs.CPUSecondsPerRequestWithoutBytes, smallRequest-smallAnswer*(largeRequest-smallRequest)/(largeAnswer-smallAnswer))
		if costs.CPUSecondsPerRequestByte.Value != nil {
			t.Error("bytes of requests cost something, but no series counts them")
		}
		said := c.stdout.String()
		if !strings.Contains(said, "WHAT REQUESTS AND QUOTAS COST") || !strings.Contains(said, "destination_service_name") || strings.Contains(said, "no series tells") {
			t.Error("the answer does not show what each destination costs")
		}
		again := prepare(t, c.dir, os.Getenv(binaryVariable), "analyze", "run")
		again.begin()
		if got := again.wait(); got != 0 {
			t.Errorf("analyze: exit code %d, want 0", got)
		}
		if after := readJSON[classesResult](t, filepath.Join(c.dir, "run", "recommendation.json")); fmt.Sprint(after.Components[0].RequestCosts.Reason) != costs.Reason {
			t.Errorf("analyze says %q, the sizing %q", after.Components[0].RequestCosts.Reason, costs.Reason)
		}
	})
	for _, test := range []struct {
		name, scenario string
		says           string // of the component; empty: of the warnings
		warns          string
	}{
		{"a mix that did not change", scenario("constant", classes("constant", source)), "production's mix changed too little to tell them apart", ""},
		{"counted by both sides", scenario("changing", classes("changing", "")), "classes count 2 times the requests that came in", ""},
		{"no series of classes", scenario("changing", ""), "", "no series tells the kinds of requests apart"},
		{"bytes alone", scenario("changing", bytes), "bytes and requests did not rise together", "no series tells the kinds"},
		// The series of one destination alone count 0.65 of the requests in the mean.
		{"a part of the requests", scenario("changing", classes("changing", source+`,destination_service_name="small"`)), `"not in classes"; what the others cost does not show`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, r := size(t, test.scenario)
			costs := r.Components[0].RequestCosts
			switch {
			case test.says == "" && costs != nil:
				t.Errorf("costs %+v, want none", costs)
			case test.says != "" && (costs == nil || !strings.Contains(costs.Reason, test.says)):
				t.Errorf("costs %+v, want them to say %q", costs, test.says)
			}
			if test.says != "" && test.name != "a part of the requests" && test.name != "bytes alone" {
				for _, request := range costs.ByRequest {
					if request.CPUSeconds.Value != nil {
						t.Errorf("%s costs %g, want nothing told", request.Name, *request.CPUSeconds.Value)
					}
				}
			}
			if warned := strings.Join(r.Warnings, "\n"); !strings.Contains(warned, test.warns) || test.warns == "" && strings.Contains(warned, "no series tells") {
				t.Errorf("warnings %q, want %q among them", r.Warnings, test.warns)
			}
			if said := strings.Join(strings.Fields(c.stdout.String()), " "); test.says != "" && !strings.Contains(said, "WHAT REQUESTS AND QUOTAS COST") {
				t.Error("the answer does not show it")
			}
		})
	}
	t.Run("a label that no series has", func(t *testing.T) {
		c := watch(t, scenario("changing", classes("changing", source)+", classLabel: path"), "--from", begin, "--to", end)
		if got := c.wait(); got != 1 {
			t.Errorf("exit code: got %d, want 1", got)
		}
		if said := c.stderr.String(); !strings.Contains(said, "no series has the label path; there are") {
			t.Errorf("it says %q", said)
		}
	})
}
