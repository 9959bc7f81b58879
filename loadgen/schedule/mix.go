package schedule

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Mix draws kinds of request in proportion to their weights, by Walker's alias
// method (as Vose builds its table): two numbers and one look-up a draw.
type Mix struct {
	source *rand.Rand
	keep   []float64 // probability to stay with a column
	alias  []int32   // where to go otherwise
}

// NewMix returns a Mix of len(weights) kinds. Weights are finite and ≥ 0, and
// one of them is above zero.
func NewMix(weights []float64, seed uint64) (*Mix, error) {
	sum := 0.0
	for i, w := range weights {
		if w < 0 || math.IsNaN(w) || math.IsInf(w, 0) {
			return nil, fmt.Errorf("weight %d of the mix is %v", i+1, w)
		}
		sum += w
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		return nil, errors.New("the mix has no weight above zero")
	}
	n := len(weights)
	m := &Mix{
		source: rand.New(rand.NewPCG(seed, streamMix)),
		keep:   make([]float64, n),
		alias:  make([]int32, n),
	}
	scaled := make([]float64, n)
	var small, large []int32
	for i, w := range weights {
		scaled[i] = w / sum * float64(n)
		if scaled[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		m.keep[s], m.alias[s] = scaled[s], l
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	// What is left differs from one by rounding alone.
	for _, i := range append(small, large...) {
		m.keep[i], m.alias[i] = 1, i
	}
	return m, nil
}

// Next returns the kind of the next arrival, in [0, number of weights).
func (m *Mix) Next() int32 {
	if len(m.keep) == 1 {
		return 0
	}
	column := m.source.IntN(len(m.keep))
	if m.source.Float64() < m.keep[column] {
		return int32(column)
	}
	return m.alias[column]
}

// Share tells which of several workers sends an arrival. Poisson arrivals are
// shared out at random, which leaves each worker with a Poisson process;
// others in turn.
type Share struct {
	source  *rand.Rand
	workers int
	turn    int
}

// NewShare returns a Share between workers ≥ 1, at random or in turn.
func NewShare(workers int, random bool, seed uint64) *Share {
	s := &Share{workers: workers}
	if random {
		s.source = rand.New(rand.NewPCG(seed, streamShare))
	}
	return s
}

// Next returns the worker of the next arrival, in [0, workers).
func (s *Share) Next() int {
	if s.workers == 1 {
		return 0
	}
	if s.source != nil {
		return s.source.IntN(s.workers)
	}
	worker := s.turn
	s.turn = (s.turn + 1) % s.workers
	return worker
}
