package hpa

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// The cases are those of Kubernetes' pkg/controller/podautoscaler/replica_calculator_test.go,
// named as there without the prefix TestReplicaCalc. Its pods have two containers
// that ask for the same and use the same; its clock is an hour after everything
// began, its initialisation period two minutes and its readiness delay 10 s.

const look = time.Hour

func tester() Controller {
	return Controller{Tolerance: Tolerance{0.1, 0.1}, CPUInitializationPeriod: 2 * time.Minute, InitialReadinessDelay: 10 * time.Second, DownscaleStabilization: 5 * time.Minute}
}

// pods returns n pods that have long been ready.
func pods(n int) []Pod {
	out := make([]Pod, n)
	for i := range out {
		out[i] = Pod{Readiness: Ready}
	}
	return out
}

// asking gives the pods two containers with these requests, in cores.
func asking(p []Pod, cores ...float64) []Pod {
	for i := range p {
		for _, name := range []string{"container1", "container2"} {
			c := Container{Name: name}
			if i < len(cores) {
				c.Request = int64(math.Round(1000 * cores[i]))
			}
			p[i].Containers = append(p[i].Containers, c)
		}
	}
	return p
}

func alike(p []Pod, cores float64) []Pod {
	list := make([]float64, len(p))
	for i := range list {
		list[i] = cores
	}
	return asking(p, list...)
}

func with(p []Pod, change func(p *Pod), which ...int) []Pod {
	for _, i := range which {
		change(&p[i])
	}
	return p
}

func unready(p *Pod)  { p.Readiness = NotReady }
func failed(p *Pod)   { p.Phase, p.Readiness = Failed, NotReady }
func pending(p *Pod)  { p.Phase, p.Readiness = Pending, NotReady }
func deleting(p *Pod) { p.Deleting = true; p.Readiness = NotReady }
func hot(p *Pod)      { p.Started = look }                 // hotCPUCreationTime
func cool(p *Pod)     { p.Started = look - 3*time.Minute } // coolCPUCreationTime

// uses returns samples of a minute's window, in thousandths, taken when everything began.
func uses(values ...int64) []Sample {
	out := make([]Sample, len(values))
	for i, v := range values {
		out[i] = Sample{Value: v, Window: time.Minute, OK: true}
	}
	return out
}

// twice is what two containers use that use the same.
func twice(values ...int64) []Sample {
	out := uses(values...)
	for i := range out {
		out[i].Value *= 2
	}
	return out
}

func cpu(target int64) Metric { return Metric{Source: Utilization, CPU: true, Target: target} }

func TestPropose(t *testing.T) {
	qps := func(source Source, target int64) Metric { return Metric{Source: source, Target: target} }
	three, four, five := []float64{0.9, 1, 1.1}, 4, 5
	for _, test := range []struct {
		name      string
		metric    Metric
		current   int
		pods      []Pod
		samples   []Sample
		total     int64
		tolerance *Tolerance
		replicas  int
		usage     int64
		err       string
	}{
		{name: "DisjointResourcesMetrics", metric: cpu(100), current: 1, pods: alike(pods(1), 1), samples: append([]Sample{{}}, twice(100)...), err: "no metrics of pods that are there"},
		{name: "ScaleUp", metric: cpu(30), current: 3, pods: alike(pods(3), 1), samples: twice(300, 500, 700), replicas: 5, usage: 50},
		{name: "ScaleUpUnreadyLessScale", metric: cpu(30), current: 3, pods: with(alike(pods(3), 1), unready, 0), samples: twice(300, 500, 700), replicas: 4, usage: 60},
		{name: "ScaleUpHotCpuLessScale", metric: cpu(30), current: 3, pods: with(with(alike(pods(3), 1), hot, 0), cool, 1, 2), samples: twice(300, 500, 700), replicas: 4, usage: 60},
		{name: "ScaleUpUnreadyNoScale", metric: cpu(30), current: 3, pods: with(alike(pods(3), 1), unready, 1, 2), samples: twice(400, 500, 700), replicas: 3, usage: 40},
		{name: "ScaleHotCpuNoScale", metric: cpu(30), current: 3, pods: with(with(with(alike(pods(3), 1), unready, 1, 2), hot, 1, 2), cool, 0), samples: twice(400, 500, 700), replicas: 3, usage: 40},
		{name: "ScaleUpIgnoresFailedPods", metric: cpu(30), current: 2, pods: with(alike(pods(4), 1), failed, 2, 3), samples: twice(500, 700), replicas: 4, usage: 60},
		{name: "ScaleUpIgnoresDeletionPods", metric: cpu(30), current: 2, pods: with(alike(pods(4), 1), deleting, 2, 3), samples: twice(500, 700), replicas: 4, usage: 60},
		{name: "ScaleUpCM", metric: qps(PodsAverage, 15000), current: 3, pods: pods(3), samples: uses(20000, 10000, 30000), replicas: 4, usage: 20000},
		{name: "ScaleUpCMUnreadyHotCpuNoLessScale", metric: qps(PodsAverage, 15000), current: 3, pods: with(with(pods(3), unready, 2), hot, 2), samples: uses(50000, 10000, 30000), replicas: 6, usage: 30000},
		{name: "ScaleUpCMUnreadyHotCpuScaleWouldScaleDown", metric: qps(PodsAverage, 15000), current: 3, pods: with(with(pods(3), unready, 0, 2), hot, 0, 2), samples: uses(50000, 15000, 30000), replicas: 7, usage: 31666},
		{name: "ScaleUpCMObject", metric: qps(Value, 15000), current: 3, pods: pods(3), total: 20000, replicas: 4, usage: 20000},
		{name: "ScaleUpOverflow", metric: qps(Value, 1), current: 3, pods: pods(3), total: math.MaxInt64, replicas: math.MaxInt32, usage: math.MaxInt64},
		{name: "ScaleUpCMPerPodObject", metric: qps(AverageValue, 5000), current: 3, pods: pods(3), total: 20000, replicas: 4, usage: 6667},
		{name: "ScaleUpCMObjectIgnoresUnreadyPods", metric: qps(Value, 10000), current: 3, pods: with(pods(3), unready, 0, 2), total: 50000, replicas: 5, usage: 50000},
		{name: "ScaleUpCMExternalIgnoresUnreadyPods", metric: qps(Value, 4400), current: 3, pods: with(pods(3), unready, 0, 2), total: 8600, replicas: 2, usage: 8600},
		{name: "ScaleUpPerPodCMExternal", metric: qps(AverageValue, 2150), current: 3, pods: pods(3), total: 8600, replicas: 4, usage: 2867},
		{name: "TestExternalPerPodMetricReplicaOverflow", metric: qps(AverageValue, 1), current: 1, pods: pods(1), total: math.MaxInt64, replicas: math.MaxInt32, usage: math.MaxInt64},
		{name: "TestExternalPerPodMetricUsageOverflow", metric: qps(AverageValue, math.MaxInt64), current: 1, pods: pods(1), total: math.MaxInt64, replicas: 1, usage: math.MaxInt64},
		{name: "ScaleDown", metric: cpu(50), current: 5, pods: alike(pods(5), 1), samples: twice(100, 300, 500, 250, 250), replicas: 3, usage: 28},
		{name: "ScaleDownCM", metric: qps(PodsAverage, 20000), current: 5, pods: pods(5), samples: uses(12000, 12000, 12000, 12000, 12000), replicas: 3, usage: 12000},
		{name: "ScaleDownPerPodCMObject", metric: qps(AverageValue, 2000), current: 5, pods: pods(5), total: 6000, replicas: 3, usage: 1200},
		{name: "ScaleDownCMObject", metric: qps(Value, 20000), current: 5, pods: pods(5), total: 12000, replicas: 3, usage: 12000},
		{name: "ScaleDownCMExternal", metric: qps(Value, 14334), current: 5, pods: pods(5), total: 8600, replicas: 3, usage: 8600},
		{name: "ScaleDownPerPodCMExternal", metric: qps(AverageValue, 2867), current: 5, pods: pods(5), total: 8600, replicas: 3, usage: 1720},
		{name: "ScaleDownIncludeUnreadyPods", metric: cpu(50), current: 5, pods: with(alike(pods(5), 1), unready, 3, 4), samples: twice(100, 300, 500, 250, 250), replicas: 2, usage: 30},
		{name: "ScaleDownExcludeUnscheduledPods", metric: cpu(50), current: 5, pods: with(alike(pods(5), 1), pending, 1, 2, 3, 4), samples: twice(100), replicas: 1, usage: 10},
		{name: "ScaleDownIgnoreHotCpuPods", metric: cpu(50), current: 5, pods: with(with(alike(pods(5), 1), cool, 0, 1, 2), hot, 3, 4), samples: twice(100, 300, 500, 250, 250), replicas: 2, usage: 30},
		{name: "ScaleDownIgnoresFailedPods", metric: cpu(50), current: 5, pods: with(alike(pods(7), 1), failed, 5, 6), samples: twice(100, 300, 500, 250, 250), replicas: 3, usage: 28},
		{name: "ScaleDownIgnoresDeletionPods", metric: cpu(50), current: 5, pods: with(alike(pods(7), 1), deleting, 5, 6), samples: twice(100, 300, 500, 250, 250), replicas: 3, usage: 28},
		{name: "Tolerance", metric: cpu(100), current: 3, pods: asking(pods(3), three...), samples: twice(1010, 1030, 1020), replicas: 3, usage: 102},
		{name: "ToleranceCM", metric: qps(PodsAverage, 20000), current: 3, pods: pods(3), samples: uses(20000, 21000, 21000), replicas: 3, usage: 20666},
		{name: "ToleranceCMObject", metric: qps(Value, 20000), current: 3, pods: pods(3), total: 20666, replicas: 3, usage: 20666},
		{name: "TolerancePerPodCMObject", metric: qps(AverageValue, 5000), current: 4, pods: pods(4), total: 20166, replicas: 4, usage: 5042},
		{name: "ToleranceCMExternal", metric: qps(Value, 8888), current: 3, pods: pods(3), total: 8600, replicas: 3, usage: 8600},
		{name: "TolerancePerPodCMExternal", metric: qps(AverageValue, 2900), current: 3, pods: pods(3), total: 8600, replicas: 3, usage: 2867},
		{name: "ConfigurableTolerance: outside of 0 %", metric: cpu(100), current: 3, pods: asking(pods(3), three...), samples: twice(909, 1010, 1111), tolerance: &Tolerance{0, 0}, replicas: 4, usage: 101},
		{name: "ConfigurableTolerance: within 200 % up", metric: cpu(100), current: 3, pods: asking(pods(3), three...), samples: twice(1890, 1910, 1900), tolerance: &Tolerance{Down: 0.1, Up: 2}, replicas: 3, usage: 190},
		{name: "ConfigurableTolerance: outside of 8 % up", metric: cpu(100), current: 3, pods: asking(pods(3), three...), samples: twice(1100, 1080, 1090), tolerance: &Tolerance{Down: 2, Up: 0.08}, replicas: 4, usage: 109},
		{name: "ConfigurableTolerance: within 36 % down", metric: cpu(100), current: 3, pods: asking(pods(3), three...), samples: twice(660, 640, 650), tolerance: &Tolerance{Down: 0.36, Up: 0.1}, replicas: 3, usage: 65},
		{name: "ConfigurableTolerance: outside of 34 % down", metric: cpu(100), current: 3, pods: asking(pods(3), three...), samples: twice(660, 640, 650), tolerance: &Tolerance{Down: 0.34, Up: 0.1}, replicas: 2, usage: 65},
		{name: "ConfigurableToleranceCM", metric: qps(PodsAverage, 20000), current: 3, pods: pods(3), samples: uses(20000, 21000, 21000), tolerance: &Tolerance{0.1, 0.01}, replicas: 4, usage: 20666},
		{name: "ConfigurableToleranceCMObject", metric: qps(Value, 20000), current: 3, pods: pods(3), total: 20666, tolerance: &Tolerance{0.1, 0.01}, replicas: 4, usage: 20666},
		{name: "ConfigurableTolerancePerPodCMObject", metric: qps(AverageValue, 5000), current: 4, pods: pods(4), total: 20208, tolerance: &Tolerance{0.1, 0.01}, replicas: 5, usage: 5052},
		{name: "ConfigurableToleranceCMExternal", metric: qps(Value, 8800), current: 3, pods: pods(3), total: 8900, tolerance: &Tolerance{0.1, 0.01}, replicas: 4, usage: 8900},
		{name: "ConfigurableTolerancePerPodCMExternal", metric: qps(AverageValue, 2800), current: 3, pods: pods(3), total: 8600, tolerance: &Tolerance{0.1, 0.01}, replicas: 4, usage: 2867},
		{name: "SuperfluousMetrics", metric: cpu(100), current: 4, pods: alike(pods(four), 1), samples: twice(4000, 9500, 3000, 7000, 3200, 2000), replicas: 24, usage: 587},
		{name: "MissingMetrics", metric: cpu(100), current: 4, pods: alike(pods(four), 1), samples: twice(400, 95), replicas: 3, usage: 24},
		{name: "EmptyMetrics", metric: cpu(100), current: 4, pods: alike(pods(3), 1), err: "no metrics"},
		{name: "EmptyCPURequest", metric: cpu(100), current: 1, pods: asking(pods(1)), samples: twice(200), err: "missing request"},
		{name: "TestPlainMetricReplicaCalcMissingMetricsNoChangeEq", metric: qps(PodsAverage, 20000), current: 5, pods: pods(five), samples: uses(20000, 19000, 21000), replicas: 5, usage: 20000},
		{name: "MissingMetricsNoChangeEq", metric: cpu(100), current: 2, pods: alike(pods(2), 1), samples: twice(1000), replicas: 2, usage: 100},
		{name: "MissingMetricsNoChangeGt", metric: cpu(100), current: 2, pods: alike(pods(2), 1), samples: twice(1900), replicas: 2, usage: 190},
		{name: "MissingMetricsNoChangeLt", metric: cpu(100), current: 2, pods: alike(pods(2), 1), samples: twice(600), replicas: 2, usage: 60},
		{name: "MissingMetricsUnreadyChange", metric: cpu(50), current: 3, pods: with(alike(pods(3), 1), unready, 0), samples: twice(100, 450), replicas: 3, usage: 45},
		{name: "MissingMetricsHotCpuNoChange", metric: cpu(50), current: 3, pods: with(with(alike(pods(3), 1), hot, 0), cool, 1, 2), samples: twice(100, 450), replicas: 3, usage: 45},
		{name: "MissingMetricsUnreadyScaleUp", metric: cpu(50), current: 3, pods: with(alike(pods(3), 1), unready, 0), samples: twice(100, 2000), replicas: 4, usage: 200},
		{name: "MissingMetricsHotCpuScaleUp", metric: cpu(50), current: 3, pods: with(with(with(alike(pods(3), 1), unready, 0), hot, 0), cool, 1, 2), samples: twice(100, 2000), replicas: 4, usage: 200},
		{name: "MissingMetricsUnreadyScaleDown", metric: cpu(50), current: 4, pods: with(alike(pods(4), 1), unready, 0), samples: twice(100, 100, 100), replicas: 3, usage: 10},
		{name: "MissingMetricsScaleDownTargetOver100", metric: cpu(300), current: 4, pods: with(asking(pods(4), 1, 1, 2, 2), unready, 0), samples: twice(200, 100, 100), replicas: 2, usage: 6},
		{name: "DuringRollingUpdateWithMaxSurge", metric: cpu(50), current: 2, pods: alike(pods(3), 1), samples: twice(100, 100), replicas: 2, usage: 10},
		{name: "DuringRollingUpdateWithMaxSurgeCM", metric: qps(PodsAverage, 17000), current: 2, pods: pods(3), samples: uses(10000, 10000), replicas: 2, usage: 10000},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := tester()
			tolerance := c.Tolerance
			if test.tolerance != nil {
				tolerance = *test.tolerance
			}
			o := Observation{Now: look, Replicas: test.current, Running: test.current, Pods: test.pods}
			got := c.propose(test.metric, tolerance, o, Reading{Samples: test.samples, Total: test.total})
			if test.err != "" {
				if got.Err == nil || !strings.Contains(got.Err.Error(), test.err) {
					t.Errorf("%+v, want an error that says %q", got, test.err)
				}
				return
			}
			if got.Err != nil || got.Replicas != test.replicas || got.Usage != test.usage {
				t.Errorf("%d replicas at %d (%v), want %d at %d", got.Replicas, got.Usage, got.Err, test.replicas, test.usage)
			}
		})
	}
}

// The cases ComputedToleranceAlgImplementation, their arithmetic done by hand: ten
// pods use 150m each of 300m on average, 50 %. A target of 56 % lets that be, since
// 50/56 = 0.893 is further than a tenth from 1 and one of 55 % does not: 0.909.
func TestProposeAtTheEdgeOfTolerance(t *testing.T) {
	requests := []float64{0.4, 0.2, 0.31, 0.29, 0.302, 0.298, 0.301, 0.299, 0.3, 0.3}
	levels := twice(150, 150, 150, 150, 150, 150, 150, 150, 150, 150)
	for target, want := range map[int64]int{56: 9, 55: 10} {
		o := Observation{Now: look, Replicas: 10, Running: 10, Pods: asking(pods(10), requests...)}
		if got := tester().propose(cpu(target), Tolerance{0.1, 0.1}, o, Reading{Samples: levels}); got.Replicas != want || got.Usage != 50 {
			t.Errorf("target %d %%: %+v, want %d replicas at 50 %%", target, got, want)
		}
	}
}

// The cases of TestGroupPods: which pods' CPU counts.
func TestGroup(t *testing.T) {
	ago := func(d time.Duration) time.Duration { return look - d }
	second := time.Second
	for _, test := range []struct {
		name                    string
		pod                     Pod
		sample                  Sample
		memory                  bool
		ready, unready, missing int
	}{
		{name: "ready, memory", pod: Pod{NotStarted: true}, sample: Sample{Value: 1, At: look, Window: time.Minute, OK: true}, memory: true, ready: 1},
		{name: "no condition", pod: Pod{Started: look}, sample: Sample{Value: 1, OK: true}, unready: 1},
		{name: "fresh metrics while it initialises", pod: Pod{Started: ago(60 * second), Readiness: Ready, ReadySince: ago(30 * second)}, sample: Sample{Value: 1, At: look, Window: 30 * second, OK: true}, ready: 1},
		{name: "no fresh metrics while it initialises", pod: Pod{Started: ago(60 * second), Readiness: Ready, ReadySince: ago(30 * second)}, sample: Sample{Value: 1, At: look, Window: 60 * second, OK: true}, unready: 1},
		{name: "not ready, just after its start", pod: Pod{Started: ago(10 * time.Minute), Readiness: NotReady, ReadySince: ago(9*time.Minute + 54*second)}, sample: Sample{Value: 1, OK: true}, unready: 1},
		{name: "ready without fresh metrics, later", pod: Pod{Started: ago(3 * time.Minute), Readiness: Ready, ReadySince: ago(3 * time.Minute)}, sample: Sample{Value: 1, At: ago(2 * time.Minute), Window: time.Minute, OK: true}, ready: 1},
		{name: "not ready any more", pod: Pod{Started: ago(10 * time.Minute), Readiness: NotReady, ReadySince: ago(9 * time.Minute)}, sample: Sample{Value: 1, OK: true}, ready: 1},
		{name: "never ready, by the delay", pod: Pod{Started: ago(10 * time.Minute), Readiness: NotReady, ReadySince: ago(9*time.Minute + 50*second)}, sample: Sample{Value: 1, OK: true}, ready: 1},
		{name: "without metrics", pod: Pod{Started: ago(3 * time.Minute)}, missing: 1},
		{name: "pending", pod: Pod{Phase: Pending}, unready: 1},
		{name: "failed", pod: Pod{Phase: Failed}, sample: Sample{Value: 1, OK: true}},
		{name: "going", pod: Pod{Deleting: true}, sample: Sample{Value: 1, OK: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := Metric{Source: ResourceAverage, CPU: !test.memory, Target: 1}
			got, _ := tester().group(m, Observation{Now: look, Pods: []Pod{test.pod}}, []Sample{test.sample})
			if got.ready != test.ready || got.unready != test.unready || got.missing != test.missing {
				t.Errorf("%d ready, %d unready, %d missing, want %d, %d, %d", got.ready, got.unready, got.missing, test.ready, test.unready, test.missing)
			}
		})
	}
}

// A container of its own, as with ContainerResource: TestScaleUpContainer and
// TestScaleDownContainerResource of horizontal_test.go, and a container that is not there.
func TestProposeOfContainer(t *testing.T) {
	m := cpu(30)
	m.Container = "container1"
	o := Observation{Now: look, Replicas: 3, Running: 3, Pods: alike(pods(3), 1)}
	if got := tester().propose(m, Tolerance{0.1, 0.1}, o, Reading{Samples: uses(300, 500, 700)}); got.Replicas != 5 || got.Usage != 50 {
		t.Errorf("up: %+v, want 5 replicas at 50 %%", got)
	}
	// Together with a second container that idles the same pods are at 25 %: five
	// were needed by the container alone, and 25/30 of three are three by both.
	all := cpu(30)
	if got := tester().propose(all, Tolerance{0.1, 0.1}, o, Reading{Samples: uses(300, 500, 700)}); got.Replicas != 3 || got.Usage != 25 {
		t.Errorf("diluted: %+v, want 3 replicas at 25 %%", got)
	}
	m.Container = "container3"
	if got := tester().propose(m, Tolerance{0.1, 0.1}, o, Reading{Samples: uses(300, 500, 700)}); got.Err == nil {
		t.Errorf("%+v, want an error: no such container", got)
	}
	m.Container, m.Target = "container2", 50
	o = Observation{Now: look, Replicas: 5, Running: 5, Pods: alike(pods(5), 1)}
	if got := tester().propose(m, Tolerance{0.1, 0.1}, o, Reading{Samples: uses(100, 300, 500, 250, 250)}); got.Replicas != 3 {
		t.Errorf("down: %+v, want 3 replicas", got)
	}
}

// Pods that are alike may be counted instead of listed.
func TestProposeCountsPodsThatAreAlike(t *testing.T) {
	listed := Observation{Now: look, Replicas: 6, Running: 6, Pods: with(with(alike(pods(6), 1), unready, 3), pending, 4, 5)}
	counted := Observation{Now: look, Replicas: 6, Running: 6, Pods: with(with(alike(pods(3), 1), unready, 1), pending, 2)}
	counted.Pods[0].Count, counted.Pods[2].Count = 3, 2
	for _, target := range []int64{20, 30, 50, 70} {
		one := tester().propose(cpu(target), Tolerance{0.1, 0.1}, listed, Reading{Samples: twice(700, 700, 700, 300)})
		other := tester().propose(cpu(target), Tolerance{0.1, 0.1}, counted, Reading{Samples: twice(700, 300)})
		if one != other || one.Err != nil {
			t.Errorf("target %d %%: listed %+v, counted %+v", target, one, other)
		}
	}
}

// KEP-4951 changed more than it meant to: what lies exactly at the end of the
// tolerance acted before and is tolerated since, because of how 1 − 1.1 rounds.
func TestToleranceChangedItsMeaning(t *testing.T) {
	for _, test := range []struct {
		ratio         float64
		before, since bool
	}{
		{55.0 / 50, false, true}, {45.0 / 50, true, true}, {56.0 / 50, false, false}, {44.0 / 50, false, false}, {1, true, true},
	} {
		c := tester()
		since := c.within(c.Tolerance, test.ratio)
		c.Before133 = true
		if before := c.within(c.Tolerance, test.ratio); before != test.before || since != test.since {
			t.Errorf("ratio %g: tolerated before %t, since %t, want %t, %t", test.ratio, before, since, test.before, test.since)
		}
	}
}

// What the cases of Kubernetes leave open, by hand.
func TestProposeKeepsTheDirection(t *testing.T) {
	for _, test := range []struct {
		name    string
		current int
		pods    []Pod
		samples []Sample
		want    int
	}{
		// 90 % of two pods, and nothing of a third: 60 %, twice the target, of three pods
		// six. That are fewer than there should be, though it asks for more.
		{"more than there are", 10, alike(pods(3), 1), twice(900, 900), 10},
		// Four at 29 % of 30 % are left alone. With the four that are not ready
		// as zeros they would be at 14 %.
		{"not ready, and near the target", 8, with(alike(pods(8), 1), unready, 4, 5, 6, 7), twice(290, 290, 290, 290, 0, 0, 0, 0), 8},
	} {
		o := Observation{Now: look, Replicas: test.current, Running: test.current, Pods: test.pods}
		if got := tester().propose(cpu(30), Tolerance{0.1, 0.1}, o, Reading{Samples: test.samples}); got.Err != nil || got.Replicas != test.want {
			t.Errorf("%s: %+v, want %d replicas", test.name, got, test.want)
		}
	}
}

func TestProposeWithoutReading(t *testing.T) {
	broken := errors.New("the API did not answer")
	if got := tester().propose(cpu(50), Tolerance{}, Observation{}, Reading{Err: broken}); !errors.Is(got.Err, broken) {
		t.Errorf("%+v, want the API's error", got)
	}
	for _, m := range []Metric{cpu(50), {Source: Value, Target: 1}, cpu(0)} {
		if got := tester().propose(m, Tolerance{}, Observation{Replicas: 2}, Reading{Total: 5}); got.Err == nil {
			t.Errorf("metric %+v without pods or target: %+v, want an error", m, got)
		}
	}
}
