package models

import (
	"math"
	"testing"
)

func TestMixes(t *testing.T) {
	got := Mixes([]float64{6, 3, 1})
	want := [][]float64{{0.85, 0.1125, 0.0375}, {0.15 * 6 / 7, 0.85, 0.15 / 7}, {0.1, 0.05, 0.85}}
	for i := range want {
		for j := range want[i] {
			near(t, "weight", got[i][j], want[i][j], 1e-12)
		}
	}
}

func TestMixRate(t *testing.T) {
	calm := func(rps float64) MixStep { return MixStep{RPS: rps, Use: 0.1} }
	throttled := func(rps float64) MixStep { return MixStep{RPS: rps, Use: 0.4, Throttled: 0.3} }
	for _, test := range []struct {
		name  string
		steps []MixStep
		want  float64 // 0: no more
	}{
		{"begins a quarter of the way up", nil, 250},
		{"goes up where nothing is pressed", []MixStep{calm(250)}, 550},
		{"two are enough", []MixStep{calm(250), calm(550)}, 0},
		{"goes down from what is throttled", []MixStep{throttled(250)}, 250 / 2.2 / 2.2},
		{"and further", []MixStep{throttled(250), throttled(51)}, 51 / 2.2 / 2.2},
		{"goes between when up was too much", []MixStep{calm(250), throttled(550)}, 370.80992},
		{"a missed objective is too much", []MixStep{calm(250), {RPS: 550, Use: 1.2}}, 370.80992},
		{"no rate that was too much is tried again, whatever chance made of it", []MixStep{calm(248), throttled(551)}, 369.65930},
		{"goes down where there is no room between", []MixStep{calm(250), throttled(551), throttled(371)}, 250 / 2.2},
		{"goes up below what was too much", []MixStep{throttled(250), calm(51.7)}, 51.7 * 2.2},
		{"four are the most", []MixStep{throttled(250), throttled(51), throttled(10), throttled(2)}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, more := MixRate(1000, test.steps)
			if more != (test.want > 0) || math.Abs(got-test.want) > 1e-4 {
				t.Errorf("next rate %g, more %v, want %g", got, more, test.want)
			}
		})
	}
}
