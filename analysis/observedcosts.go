package analysis

import (
	"fmt"
	"math"
	"slices"

	"github.com/sailplan-io/sailplan/analysis/models"
	"github.com/sailplan-io/sailplan/analysis/stat"
	"github.com/sailplan-io/sailplan/loadgen/record"
)

// notCounted is the class of the requests that the series of classes leave out.
const notCounted = "not in classes"

// How far the requests that classes count may lie from those that came in.
const (
	leastCounted = 0.95 // below, the rest is a class of its own
	mostCounted  = 1.1  // above, some are counted twice
)

// observedCosts fits what each kind of request, and each byte, costs a component, where
// its series tell them apart.
func (r *Result) observedCosts(rec *record.Record, windows []examined) {
	anyClass := false
	for i := range r.Components {
		t := trafficOf(rec, windows, rec.Components[i])
		if t == nil {
			continue
		}
		anyClass = anyClass || len(t.names) > 0
		r.Components[i].RequestCosts = t.costs()
	}
	if !anyClass {
		r.Warnings = append(r.Warnings, "no series tells the kinds of requests apart, so what each of them costs does not show: only that of the mean request of the mix as it was; name classes in observe.components[].prometheus where there are such series")
	}
}

// observedMix is what the windows say of the requests of a component.
type observedMix struct {
	label   string
	names   []string // of the classes
	points  []models.ClassPoint
	total   []float64 // requests of each class in all windows
	counted float64   // share of the component's requests that classes count; NaN: not known
	bytes   [2]bool   // whether those of requests and of answers are known
}

// trafficOf collects the windows that show the demand of a component; nil where its
// series tell nothing of its requests.
func trafficOf(rec *record.Record, windows []examined, c record.Component) *observedMix {
	var m *observedMix
	var came, counted float64
	var left []float64 // requests a second that no class counts, of each point
	for _, w := range windows {
		at := slices.IndexFunc(w.Traffic, func(t record.Traffic) bool { return t.Component == c.Name })
		if at < 0 {
			continue
		}
		told := w.Traffic[at]
		if m == nil {
			m = &observedMix{label: told.ClassLabel, total: make([]float64, len(told.Classes)), bytes: [2]bool{told.RequestBytes != nil, told.AnswerBytes != nil}}
			for _, class := range told.Classes {
				m.names = append(m.names, class.Name)
			}
		}
		r := perReplicaOf(w, c)
		each := (w.SendEnd - w.Start).Seconds() * float64(r.replicas)
		if !showsDemand(w) || clipped(r, ceilingOf(rec, c)) || math.IsNaN(r.cores) || !(each > 0) || len(told.Classes) != len(m.names) {
			continue
		}
		p := models.ClassPoint{Cores: r.cores, WakeUps: r.wakeUps, RequestBytes: bytesOf(told.RequestBytes, each), AnswerBytes: bytesOf(told.AnswerBytes, each)}
		own, known := w.samples.Rate(c.Name, record.DownRequests)
		if !known {
			own = math.NaN()
		}
		sum := 0.0
		for k, class := range told.Classes {
			p.Rates = append(p.Rates, class.Requests/each)
			m.total[k] += class.Requests
			sum += class.Requests
		}
		if len(m.names) == 0 {
			p.Rates = []float64{r.rps}
		}
		came, counted = came+own*each/float64(r.replicas), counted+sum
		left = append(left, math.Max(0, own/float64(r.replicas)-sum/each))
		m.points = append(m.points, p)
	}
	if m != nil && len(m.names) > 0 {
		m.counted = counted / came
		m.leave(left, came-counted)
	}
	return m
}

// bytesOf is a count of bytes a second and replica; 0 where it is not known, which is
// then a column that tells nothing.
func bytesOf(n *float64, each float64) float64 {
	if n == nil {
		return 0
	}
	return *n / each
}

// leave makes a class of the requests that none counts, where they are many.
func (m *observedMix) leave(left []float64, missing float64) {
	if !(m.counted < leastCounted) {
		return
	}
	m.names, m.total = append(m.names, notCounted), append(m.total, missing)
	for i := range m.points {
		m.points[i].Rates = append(m.points[i].Rates, left[i])
	}
}

// costs fits them.
func (m *observedMix) costs() *RequestCosts {
	names, total := m.names, 0.0
	if len(names) == 0 {
		names = []string{"all"}
	}
	for _, n := range m.total {
		total += n
	}
	shares := make([]float64, len(names))
	for i := range shares {
		shares[i] = 1
		if len(m.names) > 0 {
			shares[i] = finite(m.total[i] / total)
		}
	}
	fit := models.FitClasses(m.points, names, shares)
	out := &RequestCosts{
		ByRequest: []RequestCost{}, ClassLabel: m.label,
		CPUSecondsPerRequestWithoutBytes: fit.PerRequest, CPUSecondsPerRequestByte: fit.PerRequestByte, CPUSecondsPerAnswerByte: fit.PerAnswerByte,
		CPUIdleCores: fit.Idle, AtRps: finite(fit.At), Reason: m.words(fit),
	}
	for i := range m.names {
		out.ByRequest = append(out.ByRequest, RequestCost{Name: names[i], Share: shares[i], CPUSeconds: fit.PerClass[i], AboveMeanCPUSeconds: fit.AboveMean[i]})
	}
	if m.counted > mostCounted {
		out.withhold(len(m.points), out.Reason)
	}
	for i, known := range m.bytes {
		if known {
			continue
		}
		e := stat.NotEstimable(len(m.points), "no series counts them (requestBytes, answerBytes)")
		if i == 0 {
			out.CPUSecondsPerRequestByte = e
		} else {
			out.CPUSecondsPerAnswerByte = e
		}
	}
	if !m.bytes[0] && !m.bytes[1] {
		out.CPUSecondsPerRequestWithoutBytes = stat.NotEstimable(len(m.points), "no series counts bytes (requestBytes, answerBytes)")
	}
	return out
}

// withhold takes all costs back.
func (c *RequestCosts) withhold(n int, why string) {
	e := stat.NotEstimable(n, why)
	for i := range c.ByRequest {
		c.ByRequest[i].CPUSeconds, c.ByRequest[i].AboveMeanCPUSeconds = e, e
	}
	c.CPUSecondsPerRequestWithoutBytes, c.CPUSecondsPerRequestByte, c.CPUSecondsPerAnswerByte, c.CPUIdleCores = e, e, e, e
}

// words say what was told apart, and what such data cannot tell.
func (m *observedMix) words(fit models.Classes) string {
	if m.counted > mostCounted {
		return fmt.Sprintf("classes count %.3g times the requests that came in (requests): some more than once, so nothing is told of them; narrow the selector down, as by reporter=\"source\"", m.counted)
	}
	if len(m.names) == 0 {
		if fit.PerRequestByte.OK() && m.bytes[0] || fit.PerAnswerByte.OK() && m.bytes[1] {
			return fmt.Sprintf("told by %d windows in which bytes and requests did not rise together", len(m.points))
		}
		return "production does not tell the cost of a byte: " + firstWarning(fit.PerAnswerByte)
	}
	words := "by the label " + m.label + ": " + fit.Words
	if m.counted < leastCounted {
		words += fmt.Sprintf("; classes count %s of the requests that came in, and the rest is %q", percent(m.counted), notCounted)
	}
	if len(m.points) < len(m.names)+3 {
		return words
	}
	const cannot = ": production's mix changed too little to tell them apart, and such data cannot; a load test of other mixes does (sizing.perClass)"
	switch {
	case fit.Told == 0:
		words += cannot
	case fit.Told < len(m.names):
		words += "; what the others cost does not show" + cannot
	}
	return words
}
