package hpa

import (
	"math"
	"testing"
	"time"
)

// plain is a replica that idles at 50m, uses 0.1 ms a request, asks for half a
// core and is safe up to 4 000/s, where it uses 450m, 90 % of its request.
func plain() Replica {
	return Replica{Cores: func(rps float64) float64 { return 0.05 + 1e-4*rps }, Request: 0.5, SafeRPS: 4000}
}

func flat(rps float64, d time.Duration) []Point { return []Point{{0, rps}, {d, rps}} }

func world(load []Point) World {
	return World{Controller: Default(), Load: load, Replica: plain()}
}

func TestSimulateSteady(t *testing.T) {
	// 12 000/s at a target of 60 %: at four replicas each uses 0.35 of 0.5 cores, 70 %,
	// which is more than 66 %; at five 0.29, 58 %. So five are left alone.
	got := world(flat(12000, 2*time.Hour)).Simulate(Setting{Target: 60, Min: 2, Max: 20}, 0)
	if got.MinPods != 5 || got.MaxPods != 5 || got.Ups+got.Downs+got.Turns != 0 || got.OverSeconds != 0 {
		t.Errorf("%+v, want five pods throughout", got)
	}
	if want := 12000.0 / 5 / 4000; math.Abs(got.WorstLoad-want) > 1e-9 || math.Abs(got.PodHours-10) > 1e-9 || got.Seconds != 7200 {
		t.Errorf("load %g over %g s in %g pod-hours, want %g over 7200 s in 10", got.WorstLoad, got.Seconds, got.PodHours, want)
	}
	// With the hottest at 1.8 times the mean that is 1.08 times what is safe.
	w := world(flat(12000, 2*time.Hour))
	w.Replica.Hottest = func(int, float64) float64 { return 1.8 }
	if got = w.Simulate(Setting{Target: 60, Min: 2, Max: 20}, 0); math.Abs(got.WorstLoad-1.08) > 1e-9 || got.OverSeconds != 7200 || got.OverRequests != 1 {
		t.Errorf("%+v, want a load of 1.08, too much throughout", got)
	}
}

// A jump from one load to four times it, by hand, with looks and scrapes at the
// multiples of 15 s. Two replicas carry 2 000/s each, 250m, 50 %. At t = 60 s it jumps to
// 16 000/s: 8 000/s each, 0.85 cores, 170 % (no ceiling). The scrape at 75 s sees
// all of it, the look at 90 s decides: 170/50 × 2 = 6.8, seven, of which the rules
// allow max(2·2, 4) = 4. The two new ones count as using nothing: not ready, and
// without a sample. The look at 105 s: (170·2 + 0 + 0)/4 = 85 %, 1.7 × 4 = 6.8, so
// seven. 120 s: of seven 48 %, which is within the tolerance: seven remain. The two
// are ready at 150 s and carry their share 15 s later; the three others start at 105 s and carry
// theirs at 180 s. At four a replica has 4 000/s: that is just safe.
func TestSimulateJump(t *testing.T) {
	load := []Point{{0, 4000}, {60 * time.Second, 4000}, {60 * time.Second, 16000}, {10 * time.Minute, 16000}}
	got := world(load).Simulate(Setting{Target: 50, Min: 2, Max: 20}, 40)
	pods := []int{2, 2, 2, 2, 2, 2, 4, 7, 7, 7, 7, 7, 7, 7}
	for i, want := range pods {
		if m := got.Series[i]; m.Pods != want || m.At != time.Duration(i)*15*time.Second {
			t.Errorf("at %s %d pods, want %d", m.At, m.Pods, want)
		}
	}
	// From 60 s, when it jumps, to 165 s, when four carry it.
	if got.OverSeconds != 105 || math.Abs(got.WorstLoad-2) > 1e-9 {
		t.Errorf("over for %g s, at most %g times, want 105 s and 2", got.OverSeconds, got.WorstLoad)
	}
	if want := 105 * 16000.0 / (60*4000 + 540*16000); math.Abs(got.OverRequests-want) > 1e-9 {
		t.Errorf("%g of the requests, want %g", got.OverRequests, want)
	}
	// Seven at 16 000/s use 0.279 cores each, 55 %: 1.1, which is tolerated.
	if got.Ups != 2 || got.Downs != 0 || got.MaxPods != 7 {
		t.Errorf("%d up, %d down, %d pods, want two, none, seven", got.Ups, got.Downs, got.MaxPods)
	}
	// Kubernetes up to 1.32 does not tolerate just 1.1, so there is one more.
	w := world(load)
	w.Controller.Before133 = true
	if got := w.Simulate(Setting{Target: 50, Min: 2, Max: 20}, 0); got.MaxPods != 8 || got.Ups != 3 {
		t.Errorf("before 1.33: %d pods, want eight", got.MaxPods)
	}
}

func TestSimulateIsLaterWithSlowerParts(t *testing.T) {
	load := []Point{{0, 4000}, {60 * time.Second, 4000}, {60 * time.Second, 24000}, {30 * time.Minute, 24000}}
	over := func(change func(w *World)) float64 {
		w := world(load)
		change(&w)
		return w.Simulate(Setting{Target: 50, Min: 2, Max: 20}, 0).OverSeconds
	}
	base := over(func(*World) {})
	for name, test := range map[string]struct {
		change func(w *World)
		later  float64 // seconds; −1: by some
	}{
		"start-up":  {func(w *World) { w.Timing.StartUp = 2 * time.Minute }, 60},
		"traffic":   {func(w *World) { w.Timing.Traffic = 75 * time.Second }, -1},
		"scrape":    {func(w *World) { w.Timing.Scrape = 60 * time.Second }, -1},
		"sync":      {func(w *World) { w.Timing.Sync = 60 * time.Second }, -1},
		"a ceiling": {func(w *World) { w.Replica.Ceiling = 0.5 }, -1}, // two at 100 % ask for four, where six are needed
	} {
		got := over(test.change) - base
		if test.later >= 0 && got != test.later || test.later < 0 && !(got > 0) {
			t.Errorf("slower %s: %g s later, want %g", name, got, test.later)
		}
	}
}

func TestSimulateGoesDownAfterFiveMinutes(t *testing.T) {
	load := []Point{{0, 16000}, {5 * time.Minute, 16000}, {5 * time.Minute, 4000}, {20 * time.Minute, 4000}}
	got := world(load).Simulate(Setting{Target: 50, Min: 2, Max: 20}, 80)
	// 16 000/s needs seven, which begin; 4 000/s two, which are 24 % of 50 % of seven:
	// 0.107/0.5 = 21 %, 21/50 × 7 = 2.94. The look at 315 s still sees the load before; that
	// at 330 s asks for three, and is followed 300 s after the last that asked for seven.
	var down time.Duration
	for _, m := range got.Series {
		if m.Pods < 7 && down == 0 {
			down = m.At
		}
	}
	if down != 630*time.Second || got.Downs < 1 || got.MinPods < 2 || got.OverSeconds != 0 {
		t.Errorf("down at %s: %+v, want 10 min 30 s", down, got)
	}
	if got.Turns != 0 {
		t.Errorf("%d turns, want none: it only goes down", got.Turns)
	}
}

func TestSimulateExternalMetric(t *testing.T) {
	// 3 000/s per replica of 16 000/s are six. It sees a minute's mean.
	load := []Point{{0, 4000}, {5 * time.Minute, 4000}, {5 * time.Minute, 16000}, {30 * time.Minute, 16000}}
	got := world(load).Simulate(Setting{RPS: 3000, Min: 2, Max: 20}, 0)
	if got.MinPods != 2 || got.MaxPods != 6 || got.Turns != 0 {
		t.Errorf("%+v, want two to six pods", got)
	}
	both := world(load).Simulate(Setting{RPS: 3000, Target: 50, Min: 2, Max: 20}, 0)
	if both.MaxPods != 7 || both.OverSeconds > got.OverSeconds {
		t.Errorf("with CPU too: %+v, want seven pods and no more time over than %g s", both, got.OverSeconds)
	}
}

func TestSimulateDisturbances(t *testing.T) {
	hour := flat(12000, time.Hour)
	// Five replicas carry 12 000/s (see TestSimulateSteady), and four do.
	for _, test := range []struct {
		name   string
		what   Disturbance
		least  int     // pods
		worst  float64 // load
		over   float64 // seconds
		target int
	}{
		{"a replica", Disturbance{At: 10 * time.Minute, Lost: 1}, 5, 12000.0 / 4 / 4000, 0, 60},
		// Three of five carry 4 000/s each: just safe. A zone of three: two of five.
		{"a zone of three", Disturbance{At: 10 * time.Minute, Zones: 3}, 5, 1, 0, 60},
		// Which may differ by two: three of five. The two left carry 6 000/s each.
		{"an uneven zone of three", Disturbance{At: 10 * time.Minute, Zones: 3, Skew: 2}, 5, 1.5, 75, 60},
		// Two of five carry 6 000/s each until the others have started and got their share.
		{"a zone of two", Disturbance{At: 10 * time.Minute, Zones: 2}, 5, 1.5, 75, 60},
		// ⌈5/4⌉ = 2 more start, ⌊5/4⌋ = 1 may be missing: four carry it.
		{"an update", Disturbance{At: 10 * time.Minute, Update: true}, 5, 12000.0 / 4 / 4000, 0, 60},
		// Twice the load for a quarter of an hour; it is at its most already.
		{"a cluster", Disturbance{At: 10 * time.Minute, Factor: 2}, 5, 1.2, 900, 60},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := world(hour)
			w.Disturbances = []Disturbance{test.what}
			got := w.Simulate(Setting{Target: test.target, Min: 5, Max: 5}, 0)
			if got.OverSeconds != test.over || math.Abs(got.WorstLoad-test.worst) > 1e-9 || got.MinPods < test.least {
				t.Errorf("%+v, want %g s over, a load of %g, at least %d pods", got, test.over, test.worst, test.least)
			}
			if math.Abs(got.PodHours-5) > 0.2 {
				t.Errorf("%g pod-hours, want about 5: what was lost is replaced", got.PodHours)
			}
		})
	}
}

// An update with the surge and the missing that a Deployment has replaces every pod.
func TestSimulateUpdateReplacesAll(t *testing.T) {
	w := world(flat(12000, time.Hour))
	w.Disturbances = []Disturbance{{At: 5 * time.Minute, Update: true}}
	sim := w.begin(Setting{Target: 60, Min: 9, Max: 9})
	most := 0
	for sim.now < time.Hour {
		sim.disturb()
		sim.reconcile()
		total := 0
		for _, c := range sim.pods {
			total += c.count
			if sim.now > 20*time.Minute && (c.old || c.started < 5*time.Minute) {
				t.Fatalf("at %s there still is %+v", sim.now, c)
			}
		}
		most = max(most, total)
		sim.serve(sim.step)
	}
	if want := 9 + 3; most != want { // ⌈9/4⌉
		t.Errorf("at most %d pods, want %d", most, want)
	}
}

// With a surge of one and none missing the nine are replaced one by one, each in
// the minute until it is ready and the 15 s until it carries its share.
func TestSimulateUpdateAsItIsTold(t *testing.T) {
	w := world(flat(12000, time.Hour))
	w.Disturbances = []Disturbance{{At: 5 * time.Minute, Update: true}}
	for _, test := range []struct {
		name               string
		surge, unavailable int
		fewest, most       int
		seconds            float64 // of the nine, beyond or short of them
	}{
		{"one more", 1, 0, 9, 10, 9 * 75},
		{"one fewer", 0, 1, 9, 9, 0},
		{"neither, which is one fewer", 0, 0, 9, 9, 0},
	} {
		w.Surge = func(int) int { return test.surge }
		w.Unavailable = func(int) int { return test.unavailable }
		got := w.Simulate(Setting{Target: 60, Min: 9, Max: 9}, 0)
		if got.MinPods < test.fewest-1 || got.MaxPods != test.most || math.Abs((got.PodHours-9)*3600-test.seconds) > 150 {
			t.Errorf("%s: %d to %d pods, %g s more, want %d to %d, %g s", test.name, got.MinPods, got.MaxPods, (got.PodHours-9)*3600, test.fewest, test.most, test.seconds)
		}
	}
}

func TestSimulateCountsTurns(t *testing.T) {
	// Up, down after the window, up again, down again: three turns.
	var load []Point
	for i := range 4 {
		rps := []float64{4000, 16000}[i%2]
		load = append(load, Point{time.Duration(i) * time.Hour, rps}, Point{time.Duration(i+1) * time.Hour, rps})
	}
	load = append(load, Point{4 * time.Hour, 4000}, Point{5 * time.Hour, 4000})
	got := world(load).Simulate(Setting{Target: 50, Min: 2, Max: 20}, 0)
	if got.Turns != 3 || got.Ups < 2 || got.Downs < 2 {
		t.Errorf("%+v, want three turns", got)
	}
}

// metrics-server averages a pod that has just started since its start when that is
// ten seconds ago, and else waits for the next scrape.
func TestScrapeOfFreshPods(t *testing.T) {
	sim := world(flat(4000, time.Hour)).begin(Setting{Target: 50, Min: 2, Max: 20})
	sim.now = time.Minute
	sim.pods = []cohort{
		{count: 1, started: 55 * time.Second, seen: 55 * time.Second, cpu: 1},
		{count: 1, started: 50 * time.Second, seen: 50 * time.Second, cpu: 1},
		{count: 1, started: 45 * time.Second, seen: 45 * time.Second, cpu: 1},
		{count: 1, started: 30 * time.Second, seen: 45 * time.Second, cpu: 1, scraped: true},
	}
	sim.scrape()
	want := []Sample{{}, {Value: 100, At: time.Minute, Window: 10 * time.Second, OK: true}, {}, {Value: 67, At: time.Minute, Window: 15 * time.Second, OK: true}}
	for i, c := range sim.pods {
		if c.sample != want[i] || !c.scraped || c.cpu != 0 || c.seen != time.Minute {
			t.Errorf("pod %d: %+v, want %+v", i, c, want[i])
		}
	}
}

func TestReconcileTakesTheYoungest(t *testing.T) {
	sim := world(flat(4000, time.Hour)).begin(Setting{Target: 50, Min: 2, Max: 20})
	sim.pods = []cohort{{count: 3, started: 1}, {count: 2, started: 2}, {count: 2, started: 3}}
	sim.replicas = 4
	sim.reconcile()
	if len(sim.pods) != 2 || sim.pods[0].count != 3 || sim.pods[1].count != 1 || sim.pods[1].started != 2 {
		t.Errorf("%+v, want the three oldest and one more", sim.pods)
	}
}

func TestSimulateNothingServes(t *testing.T) {
	w := world(flat(1000, 10*time.Minute))
	w.Disturbances = []Disturbance{{At: time.Minute, Lost: 1}}
	got := w.Simulate(Setting{Target: 60, Min: 1, Max: 1}, 0)
	// 60 s until it is ready, and 15 s until the clients know.
	if got.OverSeconds != 75 || math.IsInf(got.WorstLoad, 0) {
		t.Errorf("%+v, want 75 s over", got)
	}
}

func TestWorldCheck(t *testing.T) {
	good := world(flat(1, time.Hour))
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(w *World){
		"no load":         func(w *World) { w.Load = nil },
		"late begin":      func(w *World) { w.Load = []Point{{1, 1}, {2, 1}} },
		"no length":       func(w *World) { w.Load = []Point{{0, 1}, {0, 1}} },
		"a year":          func(w *World) { w.Load = flat(1, 365*24*time.Hour) },
		"backwards":       func(w *World) { w.Load = []Point{{0, 1}, {5, 1}, {2, 1}, {6, 1}} },
		"not a number":    func(w *World) { w.Load = flat(math.NaN(), time.Hour) },
		"infinite":        func(w *World) { w.Load = flat(math.Inf(1), time.Hour) },
		"nothing":         func(w *World) { w.Load = flat(0, time.Hour) },
		"no demand":       func(w *World) { w.Replica.Cores = nil },
		"no request":      func(w *World) { w.Replica.Request = 0 },
		"nothing is safe": func(w *World) { w.Replica.SafeRPS = math.NaN() },
		"hasty":           func(w *World) { w.Timing.Sync = time.Millisecond },
		"before its time": func(w *World) { w.Timing.StartUp = -1 },
	} {
		w := good
		change(&w)
		if err := w.Check(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, err := w.Choose(Search{Fewest: 1, Most: 2, Max: 3, Targets: []int{50}}); err == nil {
			t.Errorf("%s: chosen from", name)
		}
	}
}

// A week with looks every 15 s, twenty settings: has to be far below a second.
func BenchmarkWeek(b *testing.B) {
	w := world(week())
	w.Disturbances = Disturb(w.Load, Losses{Zones: 3})
	b.ReportAllocs()
	for b.Loop() {
		for i := range 20 {
			w.Simulate(Setting{Target: 25 + 2*i, Min: 2, Max: 100}, 0)
		}
	}
}

// week rises and falls seven times between 8 000/s and 40 000/s, with a point every
// five minutes.
func week() []Point {
	var load []Point
	for at := time.Duration(0); at <= 7*24*time.Hour; at += 5 * time.Minute {
		load = append(load, Point{at, 24000 - 16000*math.Cos(2*math.Pi*at.Hours()/24)})
	}
	return load
}
