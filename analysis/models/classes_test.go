package models

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// truth is a proxy that pays for requests, bytes and wake-ups: a small answer, a
// large one and an upload.
var (
	requestBytes = []float64{100, 100, 16500}
	answerBytes  = []float64{300, 16600, 200}
)

const (
	trueIdle, truePerRequest, truePerByte, truePerWakeUp = 0.04, 60e-6, 4e-9, 60e-6
)

func trueClass(i int) float64 { return truePerRequest + truePerByte*(requestBytes[i]+answerBytes[i]) }

// mixPoint is a phase of that proxy at a rate, with shares of the mix.
func mixPoint(random *rand.Rand, rps float64, shares []float64) ClassPoint {
	p := ClassPoint{WakeUps: 5.28 * math.Pow(rps, 0.746)}
	cores := trueIdle + truePerWakeUp*p.WakeUps
	for i, share := range shares {
		rate := rps * share
		p.Rates = append(p.Rates, rate)
		p.RequestBytes += rate * requestBytes[i]
		p.AnswerBytes += rate * answerBytes[i]
		cores += rate * trueClass(i)
	}
	p.Cores = cores * (1 + 0.01*random.NormFloat64())
	p.WakeUps *= 1 + 0.01*random.NormFloat64()
	return p
}

var usualMix = []float64{0.6, 0.3, 0.1}

var classNames = []string{"small", "large", "upload"}

// sweepOfMixes is a sizing: the usual mix at rising rates, and as many phases of
// other mixes as Mixes and MixRate ask for.
func sweepOfMixes(random *rand.Rand, others bool) []ClassPoint {
	var points []ClassPoint
	for _, rps := range []float64{150, 210, 290, 400, 560, 800, 1100, 1300} {
		points = append(points, mixPoint(random, rps, usualMix))
	}
	if others {
		for _, mix := range Mixes(usualMix) {
			points = append(points, mixPoint(random, 330, mix), mixPoint(random, 730, mix))
		}
	}
	return points
}

func TestFitClasses(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 3))
	held, total := 0, 0
	for range 200 {
		c := FitClasses(sweepOfMixes(random, true), classNames, usualMix)
		for i, e := range c.PerClass {
			if !e.OK() {
				t.Fatalf("%s: %v", classNames[i], e.Warnings)
			}
			want := trueClass(i) + truePerWakeUp*5.28*math.Pow(c.At, 0.746-1)
			total++
			if e.Low <= want && want <= e.High {
				held++
			}
			if math.Abs(e.Value-want) > 0.2*want {
				t.Errorf("%s costs %.3g s, want %.3g", classNames[i], e.Value, want)
			}
		}
		for i, e := range c.AboveMean {
			want := trueClass(i) - (0.6*trueClass(0) + 0.3*trueClass(1) + 0.1*trueClass(2))
			if math.Abs(e.Value-want) > 10e-6 || e.Low <= 0 == (want > 20e-6) || e.High-e.Low > 40e-6 {
				t.Errorf("%s costs %.3g s [%.3g, %.3g] more than the mean, want %.3g, known to 20 µs and told from 0 where it is large", classNames[i], e.Value, e.Low, e.High, want)
			}
		}
		if !c.PerAnswerByte.OK() || !c.PerRequestByte.OK() || !c.PerRequest.OK() {
			t.Fatalf("bytes are not told apart: %v %v %v", c.PerRequest, c.PerRequestByte, c.PerAnswerByte)
		}
		near(t, "a byte of an answer", c.PerAnswerByte.Value, truePerByte, 0.25)
		near(t, "a byte of a request", c.PerRequestByte.Value, truePerByte, 0.25)
	}
	if share := float64(held) / float64(total); share < 0.9 || share > 0.995 {
		t.Errorf("%.1f of a hundred intervals hold the cost, want 90 to 99.5", 100*share)
	}
}

// A mix that never varies tells only the sum.
func TestFitClassesTogether(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 3))
	points := sweepOfMixes(random, false)
	// As a random draw of the mix has it: not quite in proportion.
	for _, p := range points {
		for i := range p.Rates {
			p.Rates[i] *= 1 + 0.01*random.NormFloat64()
		}
	}
	c := FitClasses(points, classNames, usualMix)
	for i, e := range c.PerClass {
		if e.OK() || !strings.Contains(e.Warnings[0], "rose together") {
			t.Errorf("%s: %+v, want not estimable", classNames[i], e)
		}
	}
	if c.PerAnswerByte.OK() || c.PerRequestByte.OK() {
		t.Errorf("bytes %+v and %+v, want not estimable", c.PerRequestByte, c.PerAnswerByte)
	}
	if c.Told != 0 || !strings.Contains(c.Words, "only the sum of their costs shows") {
		t.Errorf("%d told apart, words %q, want none", c.Told, c.Words)
	}
}

// Two that always go together are not told apart, the third is.
func TestFitClassesInPart(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 4))
	var points []ClassPoint
	for i := range 12 {
		third := 0.1 + 0.07*float64(i%6)
		points = append(points, mixPoint(random, 200+100*float64(i%4), []float64{(1 - third) * 0.7, (1 - third) * 0.3, third}))
	}
	c := FitClasses(points, classNames, usualMix)
	if c.PerClass[0].OK() || c.PerClass[1].OK() || !c.PerClass[2].OK() {
		t.Errorf("%+v, want only the third", c.PerClass)
	}
}

func TestFitClassesTooFew(t *testing.T) {
	for _, points := range [][]ClassPoint{nil, sweepOfMixes(rand.New(rand.NewPCG(1, 1)), true)[:5]} {
		c := FitClasses(points, classNames, usualMix)
		if len(c.PerClass) != 3 || c.PerClass[0].OK() || !strings.Contains(c.Words, "needs 6") {
			t.Errorf("%d points: %+v", len(points), c)
		}
	}
	bad := []ClassPoint{{Rates: []float64{1, math.NaN(), 1}}, {Rates: []float64{1}}}
	if c := FitClasses(bad, classNames, usualMix); c.PerClass[0].N != 0 {
		t.Errorf("points that are no numbers count: %+v", c)
	}
}
