package hpa

import (
	"errors"
	"math"
	"testing"
	"time"
)

// The cases are those of Kubernetes' pkg/controller/podautoscaler/horizontal_test.go.

// rules is generateScalingRules; a number of 0 is no such policy.
func rules(pods int, podsPeriod time.Duration, percent int, percentPeriod, window time.Duration) *Rules {
	r := Rules{Window: window * time.Second}
	if pods != 0 {
		r.Policies = append(r.Policies, Policy{Value: pods, Period: podsPeriod * time.Second})
	}
	if percent != 0 {
		r.Policies = append(r.Policies, Policy{Percent: true, Value: percent, Period: percentPeriod * time.Second})
	}
	return &r
}

// behave is a behavior with what is nil as Kubernetes fills it in.
func behave(up, down *Rules) *Behavior {
	b := DefaultBehavior()
	if up != nil {
		b.Up = *up
	}
	if down != nil {
		b.Down = *down
	}
	return &b
}

// TestConvertDesiredReplicasWithRules.
func TestWithinRules(t *testing.T) {
	for _, test := range []struct {
		name                           string
		current, desired, fewest, most int
		want                           int
		why                            Reason
	}{
		{"within range", 5, 7, 3, 8, 7, DesiredWithinRange},
		{"too few", 3, 1, 2, 8, 2, TooFewReplicas},
		{"zero within range", 1, 0, 0, 10, 0, DesiredWithinRange},
		{"the end is below the limit", 20, 1000, 1, 10, 10, TooManyReplicas},
		{"the limit is below the end", 3, 1000, 1, 2000, 6, ScaleUpLimit},
		{"four at least", 1, 1000, 1, 2000, 4, ScaleUpLimit}, // scaleUpLimitMinimum
	} {
		if got, why := withinRules(test.current, test.desired, test.fewest, test.most); got != test.want || why != test.why {
			t.Errorf("%s: %d because %s, want %d because %s", test.name, got, why, test.want, test.why)
		}
	}
}

// uniform is generateEventsUniformDistribution: the changes lie in the middles of
// as many equal parts of the last seconds.
func uniform(period int, changes ...int) []change {
	segment := float64(period) / float64(len(changes))
	var out []change
	for i, by := range changes {
		out = append(out, change{by, look - time.Second*time.Duration(float64(period)-segment*float64(i+1)+segment/2)})
	}
	return out
}

// TestScalingWithRules.
func TestLimit(t *testing.T) {
	for _, test := range []struct {
		name             string
		ups, downs       []change
		fewest, most     int
		up, down         *Rules
		current, desired int
		want             int
		why              Reason
	}{
		{name: "within range", current: 5, desired: 7, fewest: 3, most: 8, want: 7, why: DesiredWithinRange},
		{name: "too few", current: 3, desired: 1, fewest: 2, most: 8, want: 2, why: TooFewReplicas},
		{name: "zero", current: 1, desired: 0, fewest: 0, most: 10, want: 0, why: DesiredWithinRange},
		{name: "too many", current: 20, desired: 1000, fewest: 1, most: 10, want: 10, why: TooManyReplicas},
		{name: "more than the most", current: 100, desired: 1000, fewest: 100, most: 150, want: 150, why: TooManyReplicas},
		{name: "one percent up", current: 3, desired: 1000, fewest: 1, most: 2000, up: rules(0, 0, 1, 60, 0), want: 4, why: ScaleUpLimit},
		{name: "20 pods down", current: 1000, desired: 3, fewest: 3, most: 2000, down: rules(20, 60, 0, 0, 0), want: 980, why: ScaleDownLimit},
		{name: "up by default", current: 10, desired: 50, fewest: 1, most: 1000, want: 20, why: ScaleUpLimit},
		{name: "pods allow more than percent", current: 10, desired: 500, fewest: 1, most: 1000, up: rules(100, 60, 100, 60, 0), want: 110, why: ScaleUpLimit},
		{name: "percent allow more than pods", current: 10, desired: 500, fewest: 1, most: 1000, up: rules(2, 60, 100, 60, 0), want: 20, why: ScaleUpLimit},
		{name: "large pods policy", current: 10, desired: 50, fewest: 1, most: 1000, up: rules(100, 60, 0, 0, 0), want: 50, why: DesiredWithinRange},
		{name: "larger pods policy", current: 10, desired: 50, fewest: 1, most: 1000, up: rules(10000, 60, 0, 0, 0), want: 50, why: DesiredWithinRange},
		{name: "pods policy", current: 10, desired: 50, fewest: 1, most: 1000, up: rules(30, 60, 0, 0, 0), want: 40, why: ScaleUpLimit},
		{name: "percent policy", current: 10, desired: 50, fewest: 1, most: 1000, up: rules(0, 0, 200, 60, 0), want: 30, why: ScaleUpLimit},
		{name: "down, pods allow more", current: 100, desired: 2, fewest: 1, most: 1000, down: rules(20, 60, 1, 60, 300), want: 80, why: ScaleDownLimit},
		{name: "down, a little more", current: 100, desired: 2, fewest: 1, most: 1000, down: rules(2, 60, 1, 60, 300), want: 98, why: ScaleDownLimit},
		{name: "down to the fewest", current: 10, desired: 0, fewest: 1, most: 1000, down: rules(100, 60, 0, 0, 300), want: 1, why: TooFewReplicas},
		{name: "down to the fewest by percent", current: 10, desired: 2, fewest: 5, most: 1000, down: rules(0, 0, 100, 60, 300), want: 5, why: TooFewReplicas},
		{name: "down, pods policy", current: 10, desired: 2, fewest: 1, most: 1000, down: rules(5, 60, 0, 0, 300), want: 5, why: ScaleDownLimit},
		{name: "down, percent policy", current: 10, desired: 5, fewest: 1, most: 1000, down: rules(0, 0, 50, 60, 300), want: 5, why: DesiredWithinRange},
		{name: "up before, the most", ups: uniform(120, 1, 5, 9), current: 100, desired: 500, fewest: 1, most: 200, up: rules(300, 60, 0, 0, 0), want: 200, why: TooManyReplicas},
		{name: "up before, the most by percent", ups: uniform(120, 1, 5, 9), current: 100, desired: 500, fewest: 1, most: 200, up: rules(0, 0, 10000, 60, 0), want: 200, why: TooManyReplicas},
		{name: "a lot up before", ups: uniform(120, 1, 5, 9), current: 100, desired: 500, fewest: 1, most: 1000, up: rules(5, 120, 0, 0, 0), want: 100, why: ScaleUpLimit},
		{name: "up before, pods policy", ups: uniform(120, 1, 5, 9), current: 100, desired: 500, fewest: 1, most: 1000, up: rules(150, 120, 0, 0, 0), want: 235, why: ScaleUpLimit},
		{name: "up before, percent policy", ups: uniform(120, 1, 5, 9), current: 100, desired: 500, fewest: 1, most: 1000, up: rules(0, 0, 200, 120, 0), want: 255, why: ScaleUpLimit},
		{name: "down before, by default", downs: uniform(120, 1, 5, 9), current: 10, desired: 5, fewest: 1, most: 1000, want: 5, why: DesiredWithinRange},
		{name: "down before, the fewest", downs: uniform(120, 1, 5, 9), current: 100, desired: 0, fewest: 1, most: 1000, down: rules(115, 120, 0, 0, 300), want: 1, why: TooFewReplicas},
		{name: "down before, five", downs: uniform(120, 1, 5, 9), current: 100, desired: 0, fewest: 5, most: 1000, down: rules(130, 120, 0, 0, 300), want: 5, why: TooFewReplicas},
		{name: "down before, all percent", downs: uniform(120, 1, 5, 9), current: 100, desired: 2, fewest: 5, most: 1000, down: rules(0, 0, 100, 120, 300), want: 5, why: TooFewReplicas},
		{name: "down before, pods policy", downs: uniform(120, 1, 5, 9), current: 100, desired: 2, fewest: 1, most: 1000, down: rules(5, 120, 0, 0, 300), want: 100, why: ScaleDownLimit},
		{name: "down before, percent policy", downs: uniform(120, 2, 4, 6), current: 100, desired: 0, fewest: 1, most: 1000, down: rules(0, 0, 50, 120, 300), want: 56, why: ScaleDownLimit},
		{name: "a lot down before", downs: uniform(120, 10, 10, 10), current: 100, desired: 0, fewest: 1, most: 1000, down: rules(0, 0, 10, 120, 300), want: 100, why: ScaleDownLimit},
		{name: "down below zero", downs: uniform(120, 10, 10, 10), current: 10, desired: 5, fewest: 1, most: 1000, down: rules(0, 0, 1000, 120, 300), want: 5, why: DesiredWithinRange},
		{name: "one of two periods", ups: uniform(120, 8, 12, 9, 11), current: 100, desired: 200, fewest: 1, most: 1000, up: rules(1000, 30, 100, 60, 0), want: 200, why: DesiredWithinRange},
		{name: "one of two periods down", downs: uniform(120, 8, 12, 9, 11), current: 100, desired: 5, fewest: 1, most: 1000, down: rules(1000, 30, 100, 60, 300), want: 5, why: DesiredWithinRange},
		// TestCalculateScaleUpLimitWithScalingRules and …Down…WithBehaviors: the smallest change.
		{name: "up, the smallest", current: 1, desired: 10, fewest: 1, most: 100, up: &Rules{Select: SelectMin, Policies: rules(2, 60, 50, 60, 0).Policies}, want: 2, why: ScaleUpLimit},
		{name: "down, the smallest", current: 5, desired: 1, fewest: 1, most: 100, down: &Rules{Select: SelectMin, Policies: rules(2, 60, 50, 60, 0).Policies}, want: 3, why: ScaleDownLimit},
		{name: "up, disabled", current: 5, desired: 10, fewest: 1, most: 100, up: &Rules{Select: Disabled}, want: 5, why: ScaleUpLimit},
		{name: "down, disabled", current: 5, desired: 1, fewest: 1, most: 100, down: &Rules{Select: Disabled}, want: 5, why: ScaleDownLimit},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := State{ups: test.ups, downs: test.downs}
			got, why := behave(test.up, test.down).limit(&s, look, test.current, test.desired, test.fewest, test.most)
			if got != test.want || why != test.why {
				t.Errorf("%d because %s, want %d because %s", got, why, test.want, test.why)
			}
		})
	}
}

func minutesAgo(replicas int, minutes time.Duration) recommendation {
	return recommendation{replicas, look - minutes*time.Minute}
}

// TestNormalizeDesiredReplicas, without a behavior.
func TestStabilizeWithoutBehavior(t *testing.T) {
	for _, test := range []struct {
		name string
		past []recommendation
		want int
	}{
		{"nothing before", nil, 3},
		{"more before", []recommendation{minutesAgo(4, 2), minutesAgo(5, 1)}, 5},
		{"less before", []recommendation{minutesAgo(1, 2), minutesAgo(2, 1)}, 3},
		{"long before", []recommendation{minutesAgo(10, 10), minutesAgo(9, 9)}, 3},
		{"long before, and lately", []recommendation{minutesAgo(10, 10), minutesAgo(9, 9), minutesAgo(5, 2), minutesAgo(4, 1)}, 5},
		{"just five minutes before", []recommendation{minutesAgo(7, 5)}, 7}, // timestamp.Before(cutoff) is strict
	} {
		s := State{began: true, recommendations: test.past}
		d := Decision{Proposed: 3}
		Autoscaler{Controller: tester(), Min: 1, Max: 100}.normalize(&s, Observation{Now: look, Replicas: 100}, &d)
		if d.Replicas != test.want {
			t.Errorf("%s: %d, want %d", test.name, d.Replicas, test.want)
		}
		if held := d.Able == ScaleDownStabilized; held != (test.want != 3) {
			t.Errorf("%s: %s", test.name, d.Able)
		}
	}
}

// TestNormalizeDesiredReplicasWithBehavior.
func TestStabilize(t *testing.T) {
	for _, test := range []struct {
		name          string
		past          []recommendation
		current, wish int
		up, down      time.Duration // windows, seconds
		want          int
	}{
		{"nothing before", nil, 100, 5, 0, 0, 5},
		{"down", []recommendation{minutesAgo(4, 2), minutesAgo(5, 1)}, 100, 3, 0, 180, 5},
		{"up", []recommendation{minutesAgo(4, 2), minutesAgo(5, 1)}, 1, 7, 300, 0, 4},
		{"no window down", []recommendation{minutesAgo(1, 2), minutesAgo(2, 1)}, 100, 3, 300, 0, 3},
		{"no window up", []recommendation{minutesAgo(4, 2), minutesAgo(5, 1)}, 1, 3, 0, 300, 3},
		{"long before", []recommendation{minutesAgo(10, 10), minutesAgo(9, 9)}, 100, 3, 0, 0, 3},
		{"long before, up", []recommendation{minutesAgo(10, 10), minutesAgo(9, 9)}, 1, 100, 0, 0, 100},
		{"some before", []recommendation{minutesAgo(10, 10), minutesAgo(9, 9), minutesAgo(5, 2), minutesAgo(4, 1)}, 100, 3, 0, 180, 5},
		{"some before, up", []recommendation{minutesAgo(10, 100), minutesAgo(9, 3), minutesAgo(5, 2), minutesAgo(6, 1)}, 1, 100, 300, 0, 5},
		{"just as long before as the window", []recommendation{minutesAgo(7, 3)}, 100, 3, 0, 180, 3}, // timestamp.After(cutoff) is strict
	} {
		b := Behavior{Up: Rules{Window: test.up * time.Second}, Down: Rules{Window: test.down * time.Second}}
		s := State{began: true, recommendations: test.past}
		if got := b.stabilize(&s, Observation{Now: look, Replicas: test.current}, test.wish); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
		if last := s.recommendations[len(s.recommendations)-1]; last != (recommendation{test.wish, look}) {
			t.Errorf("%s: remembers %+v", test.name, last)
		}
	}
}

// TestStoreScaleEvents.
func TestRemember(t *testing.T) {
	ago := func(by int, seconds time.Duration) change { return change{by, look - seconds*time.Second} }
	for _, test := range []struct {
		name          string
		past          []change
		rules         *Rules
		want          []int
		withinAMinute int // before
	}{
		{"nothing before", nil, rules(10, 60, 100, 60, 0), []int{5}, 0},
		{"an old one", []change{ago(7, 61)}, rules(10, 60, 100, 60, 0), []int{5}, 0},
		{"one that counts", []change{ago(7, 58)}, rules(10, 60, 100, 60, 0), []int{7, 5}, 7},
		{"one of each", []change{ago(7, 61), ago(6, 59)}, rules(10, 60, 0, 0, 0), []int{5, 6}, 6},
		{"the last old one", []change{ago(8, 29), ago(6, 59), ago(7, 61), ago(9, 61)}, rules(10, 60, 100, 30, 0), []int{8, 6, 7, 5}, 14},
		{"just as old as the period", []change{ago(7, 60)}, rules(10, 60, 0, 0, 0), []int{7, 5}, 0},
		{"both count", []change{ago(7, 58), ago(6, 59)}, rules(10, 120, 100, 30, 0), []int{7, 6, 5}, 13},
	} {
		for _, sign := range []int{1, -1} {
			s := State{ups: append([]change(nil), test.past...)}
			list := &s.ups
			b := &Behavior{Up: *test.rules}
			if sign < 0 {
				s = State{downs: append([]change(nil), test.past...)}
				list, b = &s.downs, &Behavior{Down: *test.rules}
			}
			if before := (100 - s.at(look-time.Minute, 100)) * sign; before != test.withinAMinute {
				t.Errorf("%s: %d within a minute, want %d", test.name, before, test.withinAMinute)
			}
			s.remember(look, 5*sign, b)
			var got []int
			for _, c := range *list {
				got = append(got, c.replicas)
			}
			if len(got) != len(test.want) {
				t.Errorf("%s: remembers %v, want %v", test.name, got, test.want)
				continue
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("%s: remembers %v, want %v", test.name, got, test.want)
				}
			}
		}
	}
}

// The whole of a step. A past of nil is that of an autoscaler that is new, which
// takes the replicas it finds for its first recommendation.
func TestStep(t *testing.T) {
	levels := func(values ...int64) []Reading { return []Reading{{Samples: twice(values...)}} }
	broken := Reading{Err: errors.New("something went wrong")}
	fresh := []recommendation{} // the tests' empty list
	for _, test := range []struct {
		name             string
		fewest, most     int
		current, running int
		metrics          []Metric
		pods             []Pod
		readings         []Reading
		past             []recommendation
		behavior         *Behavior
		want             int
		active, able     Reason
		limited          Reason
	}{
		{name: "ScaleUp", fewest: 2, most: 6, current: 3, metrics: []Metric{cpu(30)}, pods: alike(pods(3), 1), readings: levels(300, 500, 700), want: 5},
		{name: "ScaleUpUnreadyLessScale", fewest: 2, most: 6, current: 3, metrics: []Metric{cpu(30)}, pods: with(alike(pods(3), 1), unready, 0), readings: levels(300, 500, 700), want: 4},
		{name: "ScaleUpCMUnreadyandCpuHot", fewest: 2, most: 6, current: 3, metrics: []Metric{{Source: PodsAverage, Target: 15000}}, pods: with(pods(3), unready, 0, 2), readings: []Reading{{Samples: uses(50000, 15000, 30000)}}, want: 6, limited: TooManyReplicas},
		{name: "ScaleUpFromZeroCMObject", fewest: 0, most: 6, metrics: []Metric{{Source: Value, Target: 15000}}, readings: []Reading{{Total: 20000}}, want: 2},
		{name: "ScaleUpFromZeroIgnoresToleranceCMObject", fewest: 0, most: 6, metrics: []Metric{{Source: Value, Target: 1000}}, readings: []Reading{{Total: 1000}}, want: 1},
		{name: "ScaleUpCMExternal", fewest: 2, most: 6, current: 3, metrics: []Metric{{Source: Value, Target: 6666}}, pods: pods(3), readings: []Reading{{Total: 8600}}, want: 4},
		{name: "ScaleUpPerPodCMExternal", fewest: 2, most: 6, current: 3, metrics: []Metric{{Source: AverageValue, Target: 2222}}, pods: pods(3), readings: []Reading{{Total: 8600}}, want: 4},
		{name: "ScaleDown", fewest: 2, most: 6, current: 5, metrics: []Metric{cpu(50)}, pods: alike(pods(5), 1), readings: levels(100, 300, 500, 250, 250), past: fresh, want: 3},
		{name: "ScaleDownWithScalingRules", fewest: 2, most: 6, current: 5, metrics: []Metric{cpu(50)}, pods: alike(pods(5), 1), readings: levels(100, 300, 500, 250, 250), past: fresh, behavior: behave(rules(0, 0, 100, 15, 30), nil), want: 3},
		{name: "ScaleDownStabilizeInitialSize", fewest: 2, most: 6, current: 5, metrics: []Metric{cpu(50)}, pods: alike(pods(5), 1), readings: levels(100, 300, 500, 250, 250), want: 5, able: ScaleDownStabilized},
		{name: "ScaleDownToZeroCMExternal", fewest: 0, most: 6, current: 5, metrics: []Metric{{Source: Value, Target: 14400}}, pods: pods(5), readings: []Reading{{}}, past: fresh, want: 0},
		{name: "ScaleUpOneMetricEmpty", fewest: 2, most: 6, current: 3, metrics: []Metric{cpu(30), {Source: Value, Target: 100}}, pods: alike(pods(3), 1), readings: []Reading{{Samples: twice(300, 400, 500)}, broken}, want: 4},
		{name: "NoScaleDownOneMetricEmpty", fewest: 2, most: 6, current: 5, metrics: []Metric{cpu(50), {Source: Value, Target: 1000}}, pods: alike(pods(5), 1), readings: []Reading{{Samples: twice(100, 300, 500, 250, 250)}, broken}, past: fresh, want: 5, active: NoValidMetric},
		{name: "ScaleUpBothMetricsEmpty", fewest: 2, most: 6, current: 3, metrics: []Metric{cpu(30), {Source: Value, Target: 100}}, pods: alike(pods(3), 1), readings: []Reading{broken, broken}, want: 3, active: NoValidMetric},
		{name: "the most of several metrics", fewest: 2, most: 9, current: 3, metrics: []Metric{cpu(30), {Source: AverageValue, Target: 1000}}, pods: alike(pods(3), 1), readings: []Reading{{Samples: twice(300, 500, 700)}, {Total: 6000}}, want: 6},
		{name: "MinReplicas", fewest: 2, most: 5, current: 3, metrics: []Metric{cpu(90)}, pods: asking(pods(3), 0.9, 1, 1.1), readings: levels(10, 95, 10), past: fresh, want: 2, limited: TooFewReplicas},
		{name: "ZeroMinReplicasDesiredZero", fewest: 0, most: 5, current: 3, metrics: []Metric{cpu(90)}, pods: asking(pods(3), 0.9, 1, 1.1), readings: levels(0, 0, 0), past: fresh, want: 0},
		{name: "MinReplicasDesiredZero", fewest: 2, most: 5, current: 3, metrics: []Metric{cpu(90)}, pods: asking(pods(3), 0.9, 1, 1.1), readings: levels(0, 0, 0), past: fresh, want: 2, limited: TooFewReplicas},
		{name: "ZeroReplicas", fewest: 3, most: 5, metrics: []Metric{cpu(90)}, want: 0, active: ScalingDisabled},
		{name: "TooFewReplicas", fewest: 3, most: 5, current: 2, metrics: []Metric{cpu(90)}, want: 3, limited: TooFewReplicas},
		{name: "TooManyReplicas", fewest: 3, most: 5, current: 10, metrics: []Metric{cpu(90)}, want: 5, limited: TooManyReplicas},
		{name: "MaxReplicas", fewest: 2, most: 5, current: 3, metrics: []Metric{cpu(90)}, pods: asking(pods(3), 0.9, 1, 1.1), readings: levels(8000, 9500, 1000), want: 5, limited: TooManyReplicas},
		{name: "SuperfluousMetrics", fewest: 2, most: 6, current: 4, metrics: []Metric{cpu(100)}, pods: alike(pods(4), 1), readings: levels(4000, 9500, 3000, 7000, 3200, 2000), want: 6, limited: TooManyReplicas},
		{name: "MissingMetrics", fewest: 2, most: 6, current: 4, metrics: []Metric{cpu(100)}, pods: alike(pods(4), 1), readings: levels(400, 95), past: fresh, want: 3},
		{name: "EmptyMetrics", fewest: 2, most: 6, current: 4, metrics: []Metric{cpu(100)}, pods: alike(pods(4), 1), readings: levels(), want: 4, active: NoValidMetric},
		{name: "EmptyCPURequest", fewest: 1, most: 5, current: 1, metrics: []Metric{cpu(100)}, pods: asking(pods(1)), readings: levels(200), want: 1, active: NoValidMetric},
		{name: "EventCreated", fewest: 1, most: 5, current: 1, metrics: []Metric{cpu(50)}, pods: alike(pods(1), 0.2), readings: levels(200), want: 2},
		{name: "UpscaleCap", fewest: 1, most: 100, current: 3, metrics: []Metric{cpu(10)}, pods: alike(pods(3), 0.1), readings: levels(100, 200, 300), behavior: behave(rules(0, 0, 700, 60, 0), nil), want: 24, limited: ScaleUpLimit},
		{name: "UpscaleCapGreaterThanMaxReplicas", fewest: 1, most: 20, current: 3, metrics: []Metric{cpu(10)}, pods: alike(pods(3), 0.1), readings: levels(100, 200, 300), behavior: behave(rules(0, 0, 700, 60, 0), nil), want: 20, limited: TooManyReplicas},
		{name: "MoreReplicasThanSpecNoScale", fewest: 1, most: 8, current: 4, running: 5, metrics: []Metric{cpu(50)}, pods: alike(pods(5), 1), readings: levels(500, 500, 500, 500, 500), want: 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := Autoscaler{Controller: tester(), Min: test.fewest, Max: test.most, Metrics: test.metrics, Behavior: test.behavior}
			s := State{began: test.past != nil, recommendations: test.past}
			running := test.current
			if test.running > 0 {
				running = test.running
			}
			d := a.Step(&s, Observation{Now: look, Replicas: test.current, Running: running, Pods: test.pods, Readings: test.readings})
			if d.Replicas != test.want {
				t.Errorf("%d replicas, want %d: %+v", d.Replicas, test.want, d)
			}
			for _, reason := range []struct{ got, want, usual Reason }{{d.Active, test.active, ValidMetricFound}, {d.Able, test.able, ReadyForNewScale}, {d.Limited, test.limited, DesiredWithinRange}} {
				if reason.want == "" {
					reason.want = reason.usual
				}
				if reason.got != reason.want {
					t.Errorf("%s, want %s", reason.got, reason.want)
				}
			}
			if failed := d.Err() != nil; failed != (test.active == NoValidMetric || test.name == "ScaleUpOneMetricEmpty") {
				t.Errorf("error %v", d.Err())
			}
			if test.behavior != nil && d.Replicas != test.current {
				if now := s.at(look-time.Second, d.Replicas); now != test.current {
					t.Errorf("remembers that there were %d, want %d", now, test.current)
				}
			}
		})
	}
}

// What Kubernetes does by default over some looks, by hand: the replicas double,
// and go down five minutes after they were last needed.
func TestStepOverTime(t *testing.T) {
	a := Autoscaler{Controller: Default(), Min: 2, Max: 100, Metrics: []Metric{{Source: AverageValue, Target: 1000}}}
	var s State
	replicas := 2
	var got []int
	for i := range 30 {
		total := int64(40_000)
		if i >= 5 {
			total = 3_000
		}
		d := a.Step(&s, Observation{Now: time.Duration(i) * 15 * time.Second, Replicas: replicas, Running: replicas, Readings: []Reading{{Total: total}}})
		replicas = d.Replicas
		got = append(got, replicas)
	}
	// The last look that asked for 40 was at 60 s; at 360 s it is just five minutes
	// old and still counts, at 375 s it does not.
	want := []int{4, 8, 16, 32, 40}
	for i := 5; i < 30; i++ {
		if i <= 24 {
			want = append(want, 40)
		} else {
			want = append(want, 3)
		}
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("at %d s %d replicas, want %d: %v", 15*i, got[i], want[i], got)
		}
	}
}

// An autoscaler's own tolerances hold, each in its direction.
func TestStepTolerances(t *testing.T) {
	wide, narrow := 0.36, 0.01
	for _, test := range []struct {
		name     string
		up, down *float64
		total    int64 // of three replicas at 1 000 each
		want     int
	}{
		{"down within its own", nil, &wide, 2_000, 3},
		{"up outside of its own", &narrow, nil, 3_100, 4},
		{"up within the controller's", nil, &narrow, 3_100, 3},
		{"down outside of the controller's", &wide, nil, 2_000, 2},
	} {
		b := DefaultBehavior()
		b.Up.Tolerance, b.Down.Tolerance = test.up, test.down
		a := Autoscaler{Controller: Default(), Min: 1, Max: 9, Metrics: []Metric{{Source: AverageValue, Target: 1000}}, Behavior: &b}
		s := State{began: true}
		if d := a.Step(&s, Observation{Now: look, Replicas: 3, Running: 3, Readings: []Reading{{Total: test.total}}}); d.Replicas != test.want {
			t.Errorf("%s: %d replicas, want %d", test.name, d.Replicas, test.want)
		}
	}
}

func TestCeil(t *testing.T) {
	for v, want := range map[float64]int{0: 0, 1.2: 2, 3: 3, -5: 0, 1e300: math.MaxInt32} {
		if got := ceil(v); got != want {
			t.Errorf("ceil(%g) = %d, want %d", v, got, want)
		}
	}
}
