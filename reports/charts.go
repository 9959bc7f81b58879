package reports

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/sailplan-io/sailplan/analysis"
	"github.com/sailplan-io/sailplan/analysis/quantity"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
	"github.com/sailplan-io/sailplan/scenarios"
)

// Colours of the lines of a chart, as indexes into the palette of a form.
const (
	colorFirst = iota
	colorSecond
	colorThird
	colorMuted
	colorLimit
)

const millis = 1e3 // charts show latency in milliseconds

// chartSection draws what the tables say in numbers.
func chartSection(result analysis.Result, rec *record.Record) Section {
	s := Section{Title: "Charts"}
	for _, series := range []Series{latencyChart(result), cpuChart(result)} {
		if len(series.Lines) > 0 {
			s.Blocks = append(s.Blocks, series)
		}
	}
	s.Blocks = append(s.Blocks, timelineCharts(result, rec)...)
	return s
}

// sweepPhases are the phases of the same load at different rates.
func sweepPhases(result analysis.Result) []analysis.PhaseSummary {
	var phases []analysis.PhaseSummary
	for _, p := range result.Phases {
		kind := scenarios.PhaseKind(p.Kind)
		if kind != scenarios.KindPreflight && kind != scenarios.KindWarmUp && !kind.Aside() && p.OfferedRps > 0 {
			phases = append(phases, p)
		}
	}
	slices.SortStableFunc(phases, func(a, b analysis.PhaseSummary) int { return cmp.Compare(a.OfferedRps, b.OfferedRps) })
	return phases
}

// latencyChart shows latency against the offered rate, with the objective and
// the predicted and the measured edge.
func latencyChart(result analysis.Result) Series {
	s := Series{
		Title:   "Latency against offered rate",
		Caption: "Every phase of the load is a point. The edge is where p99 crosses the objective.",
		X:       Axis{Label: "offered rate", Unit: "/s"},
		Y:       Axis{Label: "latency", Unit: "ms", Log: true},
	}
	p99 := Line{Name: "p99", Color: colorFirst}
	p50 := Line{Name: "p50", Color: colorSecond}
	invalid := Line{Name: "p99, phase not valid", Color: colorMuted, Dots: true}
	for _, p := range sweepPhases(result) {
		if !p.Verdict.Valid {
			invalid.add(p.OfferedRps, p.P99, millis)
			continue
		}
		p99.add(p.OfferedRps, p.P99, millis)
		p50.add(p.OfferedRps, p.P50, millis)
	}
	s.Lines = drawn(p99, p50, invalid)
	for _, o := range result.Objectives {
		if o.LatencySeconds > 0 {
			s.Limits = append(s.Limits, Limit{Label: "objective " + o.Text, At: o.LatencySeconds * millis, Color: colorLimit})
		}
	}
	predicted := result.SLOEdge.Rps
	if v := result.Verification; v != nil {
		predicted = v.PredictedRps
		s.mark("measured edge", v.MeasuredRps, colorFirst)
	}
	s.mark("predicted edge", predicted, colorThird)
	return s
}

// cpuChart shows what components consume, all replicas together.
func cpuChart(result analysis.Result) Series {
	s := Series{
		Title:   "CPU against rate",
		Caption: "All replicas of a component together, with the limit where there is one.",
		X:       Axis{Label: "achieved rate", Unit: "/s"},
		Y:       Axis{Label: "CPU", Unit: "cores"},
	}
	phases := sweepPhases(result)
	slices.SortStableFunc(phases, func(a, b analysis.PhaseSummary) int { return cmp.Compare(a.AchievedRps, b.AchievedRps) })
	for i, name := range phaseComponents(result) {
		line := Line{Name: name, Color: componentColor(i)}
		for _, p := range phases {
			if e, ok := p.CPUCores[name]; ok && p.Verdict.Valid {
				line.add(p.AchievedRps, e, 1)
			}
		}
		s.Lines = append(s.Lines, drawn(line)...)
		for _, c := range result.Components {
			if c.Name == name && c.CPULimitCores > 0 && c.ReplicasMeasured > 0 && len(line.Points) > 0 {
				s.Limits = append(s.Limits, Limit{Label: "limit of " + name, At: c.CPULimitCores * float64(c.ReplicasMeasured), Color: line.Color})
			}
		}
	}
	return s
}

// componentColor leaves out the colours that mean something else.
func componentColor(i int) int {
	if i >= colorMuted {
		return i + 2
	}
	return i
}

// timelineCharts show the run as it went.
func timelineCharts(result analysis.Result, rec *record.Record) []Block {
	offered := Line{Name: "offered", Color: colorMuted}
	for _, p := range result.Phases {
		if p.Seconds > 0 && p.OfferedRps > 0 {
			offered.Points = append(offered.Points, offeredPoints(p, rec)...)
			offered.gap(p.StartSeconds + p.Seconds)
		}
	}
	answered := Line{Name: "answered", Color: colorFirst}
	p99, p50 := Line{Name: "p99", Color: colorFirst}, Line{Name: "p50", Color: colorSecond}
	if rec != nil {
		for _, data := range rec.Data {
			shortest := longestInterval(data) / 2
			before := data.Start
			for _, tick := range data.Timeline {
				at, length := tick.At.Seconds(), tick.At-before
				before = tick.At
				if length <= 0 || length < shortest {
					continue // the rest of a second, whose few answers would look like a fall
				}
				answered.Points = append(answered.Points, bare(at, float64(tick.Answered)/length.Seconds()))
				if tick.Answered > 0 {
					p99.Points = append(p99.Points, bare(at, tick.P99.Seconds()*millis))
					p50.Points = append(p50.Points, bare(at, tick.P50.Seconds()*millis))
				}
			}
			for _, line := range []*Line{&answered, &p99, &p50} {
				line.gap(before.Seconds())
			}
		}
	}
	x := Axis{Label: "time since the start", Unit: "s"}
	rate := Series{Title: "Rate over the run", X: x, Y: Axis{Label: "rate", Unit: "/s"}, Lines: drawn(answered, offered)}
	latency := Series{Title: "Latency over the run", X: x, Y: Axis{Label: "latency", Unit: "ms", Log: true}, Lines: drawn(p99, p50)}
	for _, o := range result.Objectives {
		if o.LatencySeconds > 0 {
			latency.Limits = append(latency.Limits, Limit{Label: "objective " + o.Text, At: o.LatencySeconds * millis, Color: colorLimit})
		}
	}
	var blocks []Block
	for _, s := range []Series{rate, latency} {
		if len(s.Lines) > 0 {
			blocks = append(blocks, s)
		}
	}
	return blocks
}

// offeredPoints draws the rate that a phase offered: that of its curve, where it
// has one and there is a record of it.
func offeredPoints(p analysis.PhaseSummary, rec *record.Record) []Point {
	if rec != nil {
		for _, data := range rec.Data {
			if data.Index != p.Index || len(data.Spec.Curve) == 0 {
				continue
			}
			var points []Point
			for _, c := range data.Spec.Curve {
				if at := c.At.Seconds(); at <= p.Seconds {
					points = append(points, bare(p.StartSeconds+at, c.RPS))
				}
			}
			return points
		}
	}
	return []Point{bare(p.StartSeconds, p.OfferedRps), bare(p.StartSeconds+p.Seconds, p.OfferedRps)}
}

// longestInterval returns the length of the longest interval of a phase's
// timeline.
func longestInterval(data record.PhaseData) time.Duration {
	longest, before := time.Duration(0), data.Start
	for _, tick := range data.Timeline {
		longest, before = max(longest, tick.At-before), tick.At
	}
	return longest
}

// drawn leaves out lines without a point.
func drawn(lines ...Line) []Line {
	return slices.DeleteFunc(lines, func(l Line) bool {
		return !slices.ContainsFunc(l.Points, func(p Point) bool { return !math.IsNaN(p.Y) })
	})
}

func bare(x, y float64) Point { return Point{x, y, math.NaN(), math.NaN()} }

// gap ends the line at x: it is not joined to what follows.
func (l *Line) gap(x float64) { l.Points = append(l.Points, bare(x, math.NaN())) }

// add appends an estimate in the unit that factor turns it into.
func (l *Line) add(x float64, e stat.Estimate, factor float64) {
	if !e.OK() || math.IsInf(e.Value, 0) {
		return
	}
	e = e.Scale(factor)
	l.Points = append(l.Points, Point{x, e.Value, finiteBound(e, e.Low), finiteBound(e, e.High)})
}

func (s *Series) mark(label string, e stat.Estimate, color int) {
	if e.OK() && !math.IsInf(e.Value, 0) {
		s.Markers = append(s.Markers, Marker{label + " " + quantity.Rate(e.Value), e.Value, finiteBound(e, e.Low), finiteBound(e, e.High), color})
	}
}

func finiteBound(e stat.Estimate, bound float64) float64 {
	if e.Confidence <= 0 || math.IsInf(bound, 0) {
		return math.NaN()
	}
	return bound
}
