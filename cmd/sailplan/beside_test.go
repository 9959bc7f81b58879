package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// besideScenario is a lab whose gateway has a quota, and whose mix has a large answer.
const besideScenario = `apiVersion: sailplan.io/v1
kind: Scenario
metadata: {name: beside}
lab:
  proxy: embedded
  gateway: {concurrency: 1, limits: {cpu: 300m}}
  sidecar: {concurrency: 1}
  service: {replicas: 1, responseBytes: 128}
connections: {count: 4, streamsPerConnection: 100}
requests:
  - {name: small, weight: 3, method: GET, path: /}
  - {name: large, weight: 1, method: GET, path: "/?bytes=65536"}
objectives: [{quantile: 0.9, latency: 60ms}]
guards: {maxRate: 4000/s}
demand: {peakRate: 1000/s}
sizing: {perClass: true, quotaPrice: true, perConnection: true}
`

// besideResult is what this test looks at.
type besideResult struct {
	Outcome    string
	Components []struct {
		Name         string
		RequestCosts *struct {
			ByRequest []struct {
				Name       string
				Share      float64
				CPUSeconds struct{ Value *float64 }
			}
			Reason string
		}
	}
	QuotaTrial *struct {
		Rps           float64
		Reason        string
		Told          bool
		With, Without []struct {
			Component            string
			ThrottledRatio       float64
			CPUSecondsPerRequest struct{ Value *float64 }
		}
		WithP99Seconds, WithoutP99Seconds, P99Ratio struct{ Value, Low, High *float64 }
	}
	Phases []struct {
		Kind              string
		P99LatencySeconds struct{ Value *float64 }
		ThrottledRatio    map[string]float64
		Verdict           struct{ Valid bool }
	}
}

// TestBesideASizing asks a sizing for the cost of each request of its mix and for the
// price of its quotas, and looks for both in the record, in the result and in every form
// of the report.
func TestBesideASizing(t *testing.T) {
	c, code := judged(t, map[string]string{"s.yaml": besideScenario}, "size", "s.yaml", "--quick", "--out", "run")
	if code != 0 && code != 3 {
		t.Fatalf("exit code: got %d, want 0 or 3", code)
	}
	dir := filepath.Join(c.dir, "run")
	run := readJSON[record.Run](t, filepath.Join(dir, "run.json"))
	result := readJSON[besideResult](t, filepath.Join(dir, "recommendation.json"))
	t.Run("what each request costs", func(t *testing.T) { mixesOf(t, run, result) })
	t.Run("what a connection takes", func(t *testing.T) { connectionsOf(t, run, dir) })
	t.Run("price of the quotas", func(t *testing.T) { quotasOf(t, run, result) })
	for _, report := range []string{"stdout", "report.md", "report.html"} {
		text := c.stdout.String()
		if report != "stdout" {
			content, err := os.ReadFile(filepath.Join(dir, report))
			if err != nil {
				t.Fatal(err)
			}
			text = string(content)
		}
		for _, want := range []string{"What requests and quotas cost", "CPU time of each request of the mix", "Above the mean"} {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(want)) { // titles are in capitals on a terminal
				t.Errorf("%s does not have %q", report, want)
			}
		}
		if want := "What the CPU quotas cost"; run.Lab.LimitsEnforced && !strings.Contains(text, want) {
			t.Errorf("%s does not have %q", report, want)
		}
	}
}

// mixesOf looks for two rates of either mix, each measured twice, for the answers that
// these bring, and for what each costs.
func mixesOf(t *testing.T, run record.Run, result besideResult) {
	mostly := map[string]int{}
	for _, p := range run.Phases {
		if p.Spec.Kind != scenarios.KindMix {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(p.Spec.Name, "mostly "), " ")
		mostly[name]++
		at := map[string]int{"small": 0, "large": 1}[name]
		if len(p.Spec.Mix) != 2 || math.Abs(p.Spec.Mix[at]/(p.Spec.Mix[0]+p.Spec.Mix[1])-0.85) > 1e-9 {
			t.Errorf("phase %q has the mix %v, want 85 %% of %s", p.Spec.Name, p.Spec.Mix, name)
		}
		// 85 % of 64 KiB, and 15 %.
		each, want := float64(p.Counts.BytesReceived)/math.Max(float64(p.Counts.Answered), 1), []float64{0.15, 0.85}[at]*65536
		if each < 0.8*want || each > 1.2*want+1000 {
			t.Errorf("an answer of phase %q has %.0f bytes in the mean, want some %.0f", p.Spec.Name, each, want)
		}
	}
	for _, name := range []string{"small", "large"} {
		if mostly[name] < 4 {
			t.Errorf("%d phases are mostly %s, want 4 or more", mostly[name], name)
		}
	}
	costs := result.Components[0].RequestCosts
	if costs == nil || len(costs.ByRequest) != 2 || costs.ByRequest[0].Share != 0.75 {
		t.Fatalf("the gateway's costs: %+v", costs)
	}
	small, large := costs.ByRequest[0].CPUSeconds.Value, costs.ByRequest[1].CPUSeconds.Value
	if small == nil || large == nil {
		t.Fatalf("not told apart: %s", costs.Reason)
	}
	// Which is dearer a quick sizing on a busy machine may not tell.
	if *small < 0 || *large <= 0 {
		t.Errorf("an answer of 64 KiB costs %g s, one of 128 bytes %g s", *large, *small)
	}
}

// connectionsOf looks for the connections that were held open in what the gateway itself
// counted.
func connectionsOf(t *testing.T, run record.Run, dir string) {
	rec, err := record.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var held []int
	for i, p := range run.Phases {
		if p.Spec.Kind != scenarios.KindConnections {
			continue
		}
		held = append(held, p.Spec.HeldConnections)
		most := 0.0
		for _, s := range rec.Data[i].Samples {
			if s.Component == "gateway" && s.At >= p.Start && s.At <= p.SendEnd {
				most = math.Max(most, s.Metrics[record.DownConnections])
			}
		}
		if want := float64(4 + p.Spec.HeldConnections); most != want {
			t.Errorf("phase %q: the gateway has %g connections, want %g", p.Spec.Name, most, want)
		}
	}
	if !slices.Equal(held, []int{0, 80, 160, 240, 320, 400, 480}) {
		t.Errorf("held open: %v", held)
	}
}

// quotasOf holds the price to the phases that it comes from.
func quotasOf(t *testing.T, run record.Run, result besideResult) {
	trial := result.QuotaTrial
	if trial == nil {
		t.Fatal("there is no price of the quotas, and no reason why")
	}
	if !run.Lab.LimitsEnforced {
		if trial.Told || !strings.Contains(trial.Reason, "no price of the quotas was measured") {
			t.Errorf("without limits: %+v", trial)
		}
		limited(t, nil)
		return
	}
	var order []bool
	var p99 [2][]float64
	var throttled [2]float64
	for i, p := range run.Phases {
		if p.Spec.Kind != scenarios.KindQuota {
			continue
		}
		at := 0
		if p.Spec.QuotasLifted {
			at = 1
		}
		if !strings.HasSuffix(p.Spec.Name, "again") {
			order = append(order, p.Spec.QuotasLifted)
		}
		if summary := result.Phases[i]; summary.Verdict.Valid && summary.P99LatencySeconds.Value != nil {
			p99[at] = append(p99[at], *summary.P99LatencySeconds.Value)
			throttled[at] = math.Max(throttled[at], summary.ThrottledRatio["gateway"])
		}
	}
	lifted := 0
	for _, l := range order {
		if l {
			lifted++
		}
	}
	if len(order) != 10 || lifted != 5 {
		t.Errorf("quotas are lifted in %v, want five of ten", order)
	}
	if throttled[1] > 0 {
		t.Errorf("the gateway was throttled in %g of the periods with its quota lifted", throttled[1])
	}
	for at, e := range []struct{ Value, Low, High *float64 }{trial.WithP99Seconds, trial.WithoutP99Seconds} {
		sum := 0.0
		for _, v := range p99[at] {
			sum += v
		}
		if want := sum / float64(len(p99[at])); e.Value == nil || math.Abs(*e.Value-want) > 1e-6*want {
			t.Errorf("p99 of side %d: %v, want the mean of its phases, %g", at, e.Value, want)
		}
	}
	if trial.Told && (trial.P99Ratio.Low == nil || *trial.P99Ratio.Low <= 1 && *trial.P99Ratio.High >= 1) {
		t.Errorf("a price is told by %+v", trial.P99Ratio)
	}
	if trial.Reason == "" || !strings.Contains(trial.Reason, "p99 is") {
		t.Errorf("the reason is %q", trial.Reason)
	}
}
