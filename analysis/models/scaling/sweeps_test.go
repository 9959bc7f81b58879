package scaling

import (
	"math"
	"math/rand/v2"
)

// points zips the columns of a sweep.
func points(n, x []float64) []Point {
	out := make([]Point, len(n))
	for i := range n {
		out[i] = Point{n[i], x[i]}
	}
	return out
}

// raytracer is the throughput of a ray tracer on an SGI Origin 2000 by
// processors: data set raytracer of the R package usl (github.com/smoeding/usl).
func raytracer() []Point {
	return points(
		[]float64{1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64},
		[]float64{20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310})
}

// specsdm91 is the throughput of a SPARCcenter 2000 in the SPEC SDM91 benchmark
// by simulated users: data set specsdm91 of the R package usl.
func specsdm91() []Point {
	return points(
		[]float64{1, 18, 36, 72, 108, 144, 216},
		[]float64{64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2})
}

// cisco is the throughput of a server by concurrency that Schwartz fits in
// "Practical scalability analysis with the Universal Scalability Law", 2015; the
// numbers are those in the tests of github.com/codahale/usl.
func cisco() []Point {
	x := []float64{
		955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08,
		7219.8, 7867.61, 8278.71, 8646.7, 9047.84, 9426.55, 9645.37, 9897.24,
		10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37,
		12075.41, 12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39,
	}
	n := make([]float64, len(x))
	for i := range n {
		n[i] = float64(i + 1)
	}
	return points(n, x)
}

// noisy is a sweep over ns of a system with a constant coefficient of variation.
func noisy(at func(n float64) float64, ns []float64, cv float64, random *rand.Rand) []Point {
	var out []Point
	for _, n := range ns {
		out = append(out, Point{n, at(n) * math.Exp(cv*random.NormFloat64())})
	}
	return out
}
