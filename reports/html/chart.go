package html

import (
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/reports"
)

// chart is what the script gets: columns over one shared axis, as uPlot wants
// them. What is not there is null.
type chart struct {
	X       axis         `json:"x"`
	Y       axis         `json:"y"`
	Xs      []float64    `json:"xs"`
	XTexts  []string     `json:"xTexts"`
	Lines   []chartLine  `json:"lines"`
	Limits  []chartLimit `json:"limits"`
	Markers []marker     `json:"markers"`
}

type axis struct {
	Label string `json:"label"`
	Log   bool   `json:"log"`
}

type chartLine struct {
	Name  string     `json:"name"`
	Color int        `json:"color"`
	Dots  bool       `json:"dots"`
	Ys    []*float64 `json:"ys"`
	Texts []string   `json:"texts"`
	Lows  []*float64 `json:"lows"`
	Highs []*float64 `json:"highs"`
	// Gap is false where a missing value only means that another line has a
	// point there; a gap of the line's own is true.
	Gaps []bool `json:"gaps"`
}

type chartLimit struct {
	Label string  `json:"label"`
	At    float64 `json:"at"`
	Color int     `json:"color"`
}

type marker struct {
	Label string   `json:"label"`
	At    float64  `json:"at"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
	Color int      `json:"color"`
}

func chartOf(s reports.Series) chart {
	c := chart{
		X: axisOf(s.X), Y: axisOf(s.Y),
		Xs: []float64{}, XTexts: []string{}, Lines: []chartLine{}, Limits: []chartLimit{}, Markers: []marker{},
	}
	slots := shared(s.Lines)
	for _, slot := range slots {
		c.Xs = append(c.Xs, slot.x)
		c.XTexts = append(c.XTexts, s.X.Format(slot.x))
	}
	for _, l := range s.Lines {
		c.Lines = append(c.Lines, spread(l, slots, s.Y))
	}
	for _, l := range s.Limits {
		if finite(l.At) != nil {
			c.Limits = append(c.Limits, chartLimit{l.Label, l.At, l.Color})
		}
	}
	for _, m := range s.Markers {
		if finite(m.At) != nil {
			c.Markers = append(c.Markers, marker{m.Label, m.At, finite(m.Low), finite(m.High), m.Color})
		}
	}
	return c
}

func axisOf(a reports.Axis) axis {
	label := a.Label
	if a.Unit != "" {
		label += " (" + a.Unit + ")"
	}
	return axis{reports.OneLine(label), a.Log}
}

// slot is a place on the shared axis: the nth point of a line at x.
type slot struct {
	x   float64
	nth int
}

func compareSlots(a, b slot) int {
	switch {
	case a.x < b.x:
		return -1
	case a.x > b.x:
		return 1
	}
	return a.nth - b.nth
}

// slotsOf returns the slots of a line's points, in their order.
func slotsOf(l reports.Line) []slot {
	points := sorted(l)
	slots := make([]slot, len(points))
	for i, p := range points {
		slots[i] = slot{x: p.X}
		if i > 0 && points[i-1].X == p.X {
			slots[i].nth = slots[i-1].nth + 1
		}
	}
	return slots
}

func sorted(l reports.Line) []reports.Point {
	points := slices.DeleteFunc(slices.Clone(l.Points), func(p reports.Point) bool { return finite(p.X) == nil })
	slices.SortStableFunc(points, func(a, b reports.Point) int { return compareSlots(slot{x: a.X}, slot{x: b.X}) })
	return points
}

// shared returns the slots of all lines, each once, rising.
func shared(lines []reports.Line) []slot {
	var all []slot
	for _, l := range lines {
		all = append(all, slotsOf(l)...)
	}
	slices.SortFunc(all, compareSlots)
	return slices.Compact(all)
}

// spread puts the points of a line into the shared slots.
func spread(l reports.Line, slots []slot, y reports.Axis) chartLine {
	n := len(slots)
	out := chartLine{
		Name: reports.OneLine(l.Name), Color: l.Color, Dots: l.Dots,
		Ys: make([]*float64, n), Texts: make([]string, n), Lows: make([]*float64, n), Highs: make([]*float64, n), Gaps: make([]bool, n),
	}
	for i := range out.Texts {
		out.Texts[i] = reports.Absent
	}
	mine := slotsOf(l)
	for i, p := range sorted(l) {
		at, _ := slices.BinarySearchFunc(slots, mine[i], compareSlots)
		if finite(p.Y) == nil || (y.Log && p.Y <= 0) {
			out.Gaps[at] = true
			continue
		}
		out.Ys[at], out.Texts[at] = finite(p.Y), y.Format(p.Y)
		if low := finite(p.Low); low != nil && !(y.Log && *low <= 0) {
			out.Lows[at] = low
		}
		out.Highs[at] = finite(p.High)
	}
	return out
}

func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}
